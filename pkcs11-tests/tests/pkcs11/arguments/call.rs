//! One call: its arguments as C has them, in memory that lives as long as the call does.

use std::ffi::c_void;

use cryptoki_sys::*;

use super::ground::{Ground, TAG};
use super::rows::{Argument, Attributes, Row};
use super::spoiling::Spoiling;
use crate::module::{Module, call, message_parameter};

/// Any function of the tables, called with more arguments than it takes: harmless in the C calling convention of our targets.
type Untyped = unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize, usize, usize, usize) -> CK_RV;

/// The function of a row.
pub(super) fn function(module: &Module, row: &Row) -> Untyped {
    let table = std::ptr::from_ref(module.table()).cast::<u8>();
    // SAFETY: the offset is that of a function pointer in the table.
    let function = unsafe { table.add(row.offset).cast::<Option<Untyped>>().read_unaligned() };
    function.expect("no entry is NULL")
}

pub(super) struct Call<'g> {
    ground: &'g Ground,
    row: &'static Row,
    session: CK_SESSION_HANDLE,
    /// For each argument what C has for it.
    good: Vec<Vec<usize>>,
    given: Vec<Vec<usize>>,
    memory: Memory,
}

/// Owns what the arguments point to. Nothing in it moves.
#[derive(Default)]
pub(super) struct Memory(Vec<Box<[u64]>>);

impl Memory {
    /// A copy of these bytes at an even address, with as many zeros behind them.
    pub(super) fn keep(&mut self, content: &[u8]) -> usize {
        let mut words = vec![0_u64; content.len().div_ceil(8) * 2 + 1].into_boxed_slice();
        let place = words.as_mut_ptr().cast::<u8>();
        // SAFETY: the words have room for twice the content.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), place, content.len()) };
        self.0.push(words);
        place as usize
    }

    /// A copy of a plain structure, one byte off where that is asked for.
    pub(super) fn put<T: Copy>(&mut self, value: T, off: usize) -> usize {
        let place = self.keep(&vec![0; size_of::<T>() + 8]) + off;
        // SAFETY: the memory was just made, with room for the value behind `off`.
        unsafe { std::ptr::with_exposed_provenance_mut::<T>(place).write_unaligned(value) };
        place
    }

    /// The array of a good template and its count. The values may be written over.
    fn template(&mut self, list: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Vec<usize> {
        let entries = list.iter().map(|(kind, value)| [*kind as usize, self.keep(value), value.len()]).collect::<Vec<_>>();
        vec![self.attributes(&entries, 0), list.len()]
    }

    /// An array of attributes: types, values and lengths, which the standard lays out as three words on our targets.
    pub(super) fn attributes(&mut self, entries: &[[usize; 3]], off: usize) -> usize {
        let words = entries.as_flattened().iter().flat_map(|word| word.to_ne_bytes());
        let place = self.keep(&std::iter::repeat_n(0, off).chain(words).collect::<Vec<_>>());
        place + off
    }
}

impl<'g> Call<'g> {
    /// A call with good arguments, before which its operations were started in a session of its own.
    pub(super) fn new(ground: &'g Ground, row: &'static Row) -> Self {
        let call = Self::without_operation(ground, row);
        ground.start(call.session, row.running);
        call
    }

    pub(super) fn without_operation(ground: &'g Ground, row: &'static Row) -> Self {
        let session = ground.module.open(CKF_SERIAL_SESSION);
        let mut memory = Memory::default();
        let good: Vec<_> = row.arguments.iter().map(|argument| argument.good(ground, session, &mut memory)).collect();
        Self { ground, row, session, given: good.clone(), good, memory }
    }

    pub(super) const fn session(&self) -> CK_SESSION_HANDLE {
        self.session
    }

    /// Calls in another session.
    pub(super) fn set_session(&mut self, session: CK_SESSION_HANDLE) {
        self.given[0] = vec![session as usize];
    }

    /// Puts something else in the place of an argument.
    pub(super) fn spoil(&mut self, index: usize, spoiling: &Spoiling) {
        self.given[index] = spoiling.instead_of(&self.good[index], &mut self.memory);
    }

    /// All arguments are good again.
    pub(super) fn mend(&mut self) {
        self.given.clone_from(&self.good);
    }

    pub(super) fn make(&self) -> CK_RV {
        self.make_in(&self.ground.module)
    }

    pub(super) fn make_in(&self, module: &Module) -> CK_RV {
        let mut raw = [0; 10];
        for (place, value) in raw.iter_mut().zip(self.given.iter().flatten()) {
            *place = *value;
        }
        let [a, b, c, d, e, f, g, h, i, j] = raw;
        // SAFETY: each pointer is to memory of `self`, or NULL, or beside a length that no memory has; see `Untyped`.
        unsafe { function(module, self.row)(a, b, c, d, e, f, g, h, i, j) }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // C_CloseSession has closed its own.
        let code = call!(self.ground.module, C_CloseSession(self.session));
        assert!(std::thread::panicking() || matches!(code, CKR_OK | CKR_SESSION_HANDLE_INVALID), "{code:#x}");
    }
}

impl Argument {
    /// What C has for the argument, when it is good.
    fn good(&self, ground: &Ground, session: CK_SESSION_HANDLE, memory: &mut Memory) -> Vec<usize> {
        match *self {
            Self::Session => vec![session as usize],
            Self::Slot | Self::Reserved | Self::Optional => vec![0],
            Self::Number(number) => vec![number as usize],
            Self::Mechanism { kind, .. } => vec![mechanism(kind, memory, 0)],
            Self::Object(role, _) => vec![ground.object(role) as usize],
            Self::Input(which, _) => {
                let content = ground.bytes(which);
                vec![memory.keep(&content), content.len()]
            }
            Self::Output { .. } => vec![memory.keep(&[0; 4096]), memory.put(4096_u64, 0)],
            Self::Place => vec![memory.keep(&[0; 512])],
            Self::List => vec![memory.keep(&[0; 8192]), memory.put(340_u64, 0)],
            Self::Template { of, .. } => memory.template(of.list()),
            Self::Parameter => vec![parameter(memory, 0), size_of::<CK_GCM_MESSAGE_PARAMS>()],
            Self::NoParameter => vec![0, 0],
        }
    }
}

/// A good parameter of a message; the structure as many bytes off as asked for.
pub(super) fn parameter(memory: &mut Memory, off: usize) -> usize {
    let place = memory.keep(&[0; 32]);
    // SAFETY: 32 bytes that were just made.
    let place = unsafe { &mut *std::ptr::with_exposed_provenance_mut::<[u8; 32]>(place) };
    memory.put(message_parameter(place), off)
}

/// A good mechanism; the structure and its parameter as many bytes off as asked for.
pub(super) fn mechanism(kind: CK_MECHANISM_TYPE, memory: &mut Memory, off: usize) -> usize {
    let (parameter, len) = match kind {
        CKM_HKDF_DERIVE => {
            let params = CK_HKDF_PARAMS {
                bExtract: CK_TRUE,
                bExpand: CK_TRUE,
                prfHashMechanism: CKM_SHA256,
                ulSaltType: CKF_HKDF_SALT_NULL,
                ..CK_HKDF_PARAMS::default()
            };
            (memory.put(params, off), size_of::<CK_HKDF_PARAMS>())
        }
        CKM_AES_GCM => {
            // As for a message, whose IV and tag stand there: no row takes the mechanism in another function.
            let place = memory.keep(&[&[7; 16][..], &TAG].concat());
            // SAFETY: 32 bytes that were just made.
            let place = unsafe { &mut *std::ptr::with_exposed_provenance_mut::<[u8; 32]>(place) };
            (memory.put(message_parameter(place), off), size_of::<CK_GCM_MESSAGE_PARAMS>())
        }
        _ => (0, 0),
    };
    let parameter = std::ptr::with_exposed_provenance_mut::<c_void>(parameter);
    memory.put(CK_MECHANISM { mechanism: kind, pParameter: parameter, ulParameterLen: len as CK_ULONG }, off)
}

impl Attributes {
    const fn list(self) -> &'static [(CK_ATTRIBUTE_TYPE, &'static [u8])] {
        const SECRET: &[u8] = &CKO_SECRET_KEY.to_ne_bytes();
        const AES: &[u8] = &CKK_AES.to_ne_bytes();
        const GENERIC: &[u8] = &CKK_GENERIC_SECRET.to_ne_bytes();
        const LENGTH: &[u8] = &(16 as CK_ULONG).to_ne_bytes();
        const P_256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        match self {
            Self::None => &[],
            Self::Label => &[(CKA_LABEL, b"a label")],
            Self::Class => &[(CKA_CLASS, SECRET)],
            Self::Aes => &[(CKA_CLASS, SECRET), (CKA_KEY_TYPE, AES), (CKA_VALUE, &[3; 16])],
            Self::AesOfLength => &[(CKA_VALUE_LEN, LENGTH)],
            Self::Generic => &[(CKA_CLASS, SECRET), (CKA_KEY_TYPE, GENERIC)],
            Self::GenericOfLength => &[(CKA_CLASS, SECRET), (CKA_KEY_TYPE, GENERIC), (CKA_VALUE_LEN, LENGTH)],
            Self::Curve => &[(CKA_EC_PARAMS, P_256)],
        }
    }
}
