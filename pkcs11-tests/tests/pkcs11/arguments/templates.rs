//! The ways in which a template can be bad.

use cryptoki_sys::*;

use super::call::Memory;

pub(super) enum Change {
    /// This pointer and this count.
    Words([usize; 2]),
    /// These attributes behind the good ones.
    With(Vec<Entry>),
    /// The array one byte off.
    Off,
}

/// Type, value and length: a value of NULL or nowhere where it is none.
#[derive(Clone)]
pub(super) enum Entry {
    Value(CK_ATTRIBUTE_TYPE, &'static [u8]),
    Bad(CK_ATTRIBUTE_TYPE, usize, usize),
}

const NULL: usize = 0;
const NOWHERE: usize = 1;
const UNAVAILABLE: usize = CK_UNAVAILABLE_INFORMATION as usize;

/// Ways, changes and the answers to them; `makes` for functions that make or change an object.
pub(super) fn changes(good: CK_RV, empty: CK_RV, makes: bool) -> Vec<(&'static str, Change, CK_RV)> {
    let mut changes = vec![
        ("NULL with a count", Change::Words([NULL, 3]), CKR_ARGUMENTS_BAD),
        ("NULL with ~0", Change::Words([NULL, UNAVAILABLE]), CKR_ARGUMENTS_BAD),
        ("~0 attributes", Change::Words([NOWHERE, UNAVAILABLE]), CKR_ARGUMENTS_BAD),
        ("2^40 attributes", Change::Words([NOWHERE, 1 << 40]), CKR_ARGUMENTS_BAD),
        ("as many attributes as fill the address space", Change::Words([NOWHERE, usize::MAX / 24]), CKR_ARGUMENTS_BAD),
        ("NULL without a count", Change::Words([NULL, 0]), empty),
        ("no attributes", Change::Words([NOWHERE, 0]), empty),
        ("at an odd address", Change::Off, good),
    ];
    if makes {
        let with = |how, entries: &[Entry], expected| (how, Change::With(entries.to_vec()), expected);
        changes.extend([
            with("an attribute that there is not", &[Entry::Value(0x7fff_0001, b"value")], CKR_ATTRIBUTE_TYPE_INVALID),
            with("twice the same", &[Entry::Value(CKA_ID, b"one"), Entry::Value(CKA_ID, b"one")], CKR_TEMPLATE_INCONSISTENT),
            with("two values", &[Entry::Value(CKA_ID, b"one"), Entry::Value(CKA_ID, b"two")], CKR_TEMPLATE_INCONSISTENT),
            with("NULL as a value", &[Entry::Bad(CKA_ID, NULL, 8)], CKR_ATTRIBUTE_VALUE_INVALID),
            with("a value of ~0 bytes", &[Entry::Bad(CKA_ID, NOWHERE, UNAVAILABLE)], CKR_ATTRIBUTE_VALUE_INVALID),
            with("a value of 2^63 bytes", &[Entry::Bad(CKA_ID, NOWHERE, 1 << 63)], CKR_ATTRIBUTE_VALUE_INVALID),
        ]);
    }
    changes
}

/// The changed template as C has it.
pub(super) fn changed(change: &Change, good: &[usize], memory: &mut Memory) -> Vec<usize> {
    let &[first, count] = good else { panic!("a template is two arguments") };
    // SAFETY: the good template is an array of the call's memory, which begins at an even address.
    let mut entries = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<[usize; 3]>(first), count) }.to_vec();
    match change {
        Change::Words(words) => words.to_vec(),
        Change::Off => vec![memory.attributes(&entries, 1), count],
        Change::With(more) => {
            entries.extend(more.iter().map(|entry| match *entry {
                Entry::Value(kind, value) => [kind as usize, memory.keep(value), value.len()],
                Entry::Bad(kind, value, len) => [kind as usize, value, len],
            }));
            vec![memory.attributes(&entries, 0), entries.len()]
        }
    }
}
