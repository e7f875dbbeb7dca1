//! The ways in which an argument can be bad.

use cryptoki_sys::*;

use super::call::{Memory, mechanism, parameter};
use super::ground::{Bytes, Ground};
use super::rows::{Argument, Row};
use super::templates::{self, Change};

/// One way, and the answer to it.
pub(super) struct Spoiling {
    pub(super) how: &'static str,
    pub(super) expected: CK_RV,
    instead: Instead,
}

enum Instead {
    /// These words of C.
    Words(Vec<usize>),
    /// The first word of the good argument, and this one.
    Second(usize),
    /// The good pointer, with a length in memory.
    Length(CK_ULONG),
    /// NULL, with a place for the length.
    Query,
    Mechanism {
        kind: CK_MECHANISM_TYPE,
        off: usize,
    },
    /// A mechanism with a pointer to its parameter and a length.
    MechanismWith {
        kind: CK_MECHANISM_TYPE,
        parameter: usize,
        len: usize,
    },
    /// A good parameter of a message at an odd address.
    ParameterOff,
    /// Without one of its pointers.
    ParameterWithout {
        tag: bool,
    },
    Template(Change),
}

const NULL: usize = 0;
/// A pointer that must not be followed.
const NOWHERE: usize = 1;
const UNAVAILABLE: usize = CK_UNAVAILABLE_INFORMATION as usize;
/// The smallest length that no memory has.
const TOO_LONG: usize = 1 << 63;

impl Spoiling {
    const fn words(how: &'static str, words: Vec<usize>, expected: CK_RV) -> Self {
        Self { how, expected, instead: Instead::Words(words) }
    }

    const fn new(how: &'static str, instead: Instead, expected: CK_RV) -> Self {
        Self { how, expected, instead }
    }

    /// What C has for the spoiled argument.
    pub(super) fn instead_of(&self, good: &[usize], memory: &mut Memory) -> Vec<usize> {
        match &self.instead {
            Instead::Words(words) => words.clone(),
            Instead::Second(word) => vec![good[0], *word],
            Instead::Length(len) => vec![good[0], memory.put(*len, 0)],
            Instead::Query => vec![NULL, memory.put(CK_UNAVAILABLE_INFORMATION, 0)],
            Instead::Mechanism { kind, off } => vec![mechanism(*kind, memory, *off)],
            Instead::MechanismWith { kind, parameter, len } => {
                let pointer = std::ptr::with_exposed_provenance_mut(*parameter);
                vec![memory.put(CK_MECHANISM { mechanism: *kind, pParameter: pointer, ulParameterLen: *len as CK_ULONG }, 0)]
            }
            Instead::ParameterOff => vec![parameter(memory, 1), good[1]],
            Instead::ParameterWithout { tag } => {
                // SAFETY: the good parameter is a structure of the call's memory.
                let mut params = unsafe { std::ptr::with_exposed_provenance::<CK_GCM_MESSAGE_PARAMS>(good[0]).read_unaligned() };
                let gone = if *tag { &mut params.pTag } else { &mut params.pIv };
                *gone = std::ptr::null_mut();
                vec![memory.put(params, 0), good[1]]
            }
            Instead::Template(change) => templates::changed(change, good, memory),
        }
    }
}

/// Every way to spoil this argument of a function. Some are no harm, and the answer is the good one.
pub(super) fn spoilings(ground: &Ground, row: &Row, index: usize) -> Vec<Spoiling> {
    let mut ways = of(ground, row, &row.arguments[index]);
    if row.always {
        // It looks at nothing.
        let always = row.good.unwrap_or(CKR_FUNCTION_NOT_SUPPORTED);
        ways.iter_mut().for_each(|way| way.expected = always);
    }
    ways
}

fn of(ground: &Ground, row: &Row, argument: &Argument) -> Vec<Spoiling> {
    let good = row.good.unwrap_or(CKR_OK);
    match *argument {
        Argument::Number(_) | Argument::Optional => Vec::new(),
        Argument::Session => {
            let handles = [("no handle", 0), ("a closed one", ground.closed as usize), ("~0", UNAVAILABLE), ("never given out", 1 << 40)];
            handles.map(|(how, handle)| Spoiling::words(how, vec![handle], CKR_SESSION_HANDLE_INVALID)).into()
        }
        Argument::Slot => {
            [("no such slot", 7), ("~0", UNAVAILABLE)].map(|(how, slot)| Spoiling::words(how, vec![slot], CKR_SLOT_ID_INVALID)).into()
        }
        Argument::Object(_, expected) => {
            let handles = [
                ("no handle", 0),
                ("of a closed session", ground.gone as usize),
                ("~0", UNAVAILABLE),
                ("never given out", 1 << 40),
                ("a session's", ground.closed as usize | 1 << 62),
            ];
            handles.map(|(how, handle)| Spoiling::words(how, vec![handle], expected)).into()
        }
        Argument::Reserved => vec![Spoiling::words("not NULL", vec![NOWHERE], CKR_ARGUMENTS_BAD)],
        Argument::Place => vec![Spoiling::words("NULL", vec![NULL], CKR_ARGUMENTS_BAD)],
        Argument::Input(which, empty) => {
            // What is not there at all does not look at its arguments.
            let bad = if refuses_first(good) { good } else { CKR_ARGUMENTS_BAD };
            // NULL says that more of the message comes.
            let absent = if row.name == "C_VerifyMessageNext" && matches!(which, Bytes::Code) { CKR_OK } else { empty };
            vec![
                Spoiling::words("NULL with a length", vec![NULL, 16], bad),
                Spoiling::words("NULL with ~0", vec![NULL, UNAVAILABLE], bad),
                Spoiling::words("~0 bytes", vec![NOWHERE, UNAVAILABLE], bad),
                Spoiling::words("2^63 bytes", vec![NOWHERE, TOO_LONG], bad),
                Spoiling::words("NULL without a length", vec![NULL, 0], absent),
                Spoiling::words("no bytes", vec![NOWHERE, 0], empty),
            ]
        }
        Argument::Output { short } => {
            // The last part of a message may come without any place for output.
            let absent = if row.name == "C_SignMessageNext" { CKR_OK } else { CKR_ARGUMENTS_BAD };
            vec![
                Spoiling::new("no place for the length", Instead::Second(NULL), CKR_ARGUMENTS_BAD),
                Spoiling::words("nothing but NULL", vec![NULL, NULL], absent),
                Spoiling::new("a query", Instead::Query, CKR_OK),
                Spoiling::new("a buffer of no bytes", Instead::Length(0), short),
                Spoiling::new("a buffer of ~0 bytes", Instead::Length(CK_UNAVAILABLE_INFORMATION), CKR_ARGUMENTS_BAD),
                Spoiling::new("a buffer of 2^63 bytes", Instead::Length(1 << 63), CKR_ARGUMENTS_BAD),
            ]
        }
        Argument::List => vec![
            Spoiling::new("no place for the count", Instead::Second(NULL), CKR_ARGUMENTS_BAD),
            Spoiling::words("nothing but NULL", vec![NULL, NULL], CKR_ARGUMENTS_BAD),
            Spoiling::new("a query", Instead::Query, CKR_OK),
            Spoiling::new("an array of nothing", Instead::Length(0), CKR_BUFFER_TOO_SMALL),
        ],
        Argument::Mechanism { kind, null, parameter } => vec![
            Spoiling::words("NULL", vec![NULL], null),
            Spoiling::new("that there is not", Instead::Mechanism { kind: 0x00ff_ffff, off: 0 }, CKR_MECHANISM_INVALID),
            Spoiling::new("of the vendor's range", Instead::Mechanism { kind: UNAVAILABLE as CK_ULONG, off: 0 }, CKR_MECHANISM_INVALID),
            Spoiling::new("at an odd address", Instead::Mechanism { kind, off: 1 }, good),
            Spoiling::new("a parameter of ~0 bytes", Instead::MechanismWith { kind, parameter: NOWHERE, len: UNAVAILABLE }, parameter),
            Spoiling::new("a parameter of 2^63 bytes", Instead::MechanismWith { kind, parameter: NOWHERE, len: TOO_LONG }, parameter),
            Spoiling::new("NULL as a parameter of 3 bytes", Instead::MechanismWith { kind, parameter: NULL, len: 3 }, parameter),
        ],
        Argument::Template { empty, makes, .. } => templates::changes(good, empty, makes)
            .into_iter()
            .map(|(how, change, expected)| Spoiling::new(how, Instead::Template(change), expected))
            .collect(),
        Argument::Parameter => vec![
            Spoiling::words("NULL", vec![NULL, size_of::<CK_GCM_MESSAGE_PARAMS>()], CKR_MECHANISM_PARAM_INVALID),
            Spoiling::words("NULL without a length", vec![NULL, 0], CKR_MECHANISM_PARAM_INVALID),
            Spoiling::words("~0 bytes", vec![NOWHERE, UNAVAILABLE], CKR_MECHANISM_PARAM_INVALID),
            Spoiling::new("a byte less", Instead::Second(size_of::<CK_GCM_MESSAGE_PARAMS>() - 1), CKR_MECHANISM_PARAM_INVALID),
            Spoiling::new("a byte more", Instead::Second(size_of::<CK_GCM_MESSAGE_PARAMS>() + 1), CKR_MECHANISM_PARAM_INVALID),
            Spoiling::new("at an odd address", Instead::ParameterOff, good),
            Spoiling::new("without an IV", Instead::ParameterWithout { tag: false }, CKR_MECHANISM_PARAM_INVALID),
            Spoiling::new(
                "without a tag",
                Instead::ParameterWithout { tag: true },
                if is_whole(row) { CKR_MECHANISM_PARAM_INVALID } else { good },
            ),
        ],
        Argument::NoParameter => vec![
            Spoiling::words("NULL with a length", vec![NULL, 16], CKR_ARGUMENTS_BAD),
            Spoiling::words("~0 bytes", vec![NOWHERE, UNAVAILABLE], CKR_ARGUMENTS_BAD),
        ],
    }
}

/// The beginning of a message, and each part but the last, do without its tag. (The rows of parts say that more comes.)
fn is_whole(row: &Row) -> bool {
    matches!(row.name, "C_EncryptMessage" | "C_DecryptMessage")
}

const fn refuses_first(good: CK_RV) -> bool {
    matches!(good, CKR_FUNCTION_NOT_SUPPORTED | CKR_RANDOM_SEED_NOT_SUPPORTED)
}
