//! Bad arguments, one at a time: every function of the three tables, each of its arguments spoiled in every way while the others are good,
//! and the code that the standard names for it.

mod call;
mod ground;
mod rows;
mod spoiling;
mod templates;

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;

use self::call::{Call, function};
use self::ground::Ground;
use self::rows::{ROWS, Row};
use self::spoiling::spoilings;
use crate::keys::{conformance, shared};
use crate::module::{Module, bytes, call, nowhere};

#[test]
fn the_table_here_has_every_function() {
    let mut known: Vec<usize> = ROWS.iter().map(|row| row.offset).collect();
    known.sort_unstable();
    let first = std::mem::offset_of!(CK_FUNCTION_LIST_3_2, C_Initialize);
    let all: Vec<usize> = (first..size_of::<CK_FUNCTION_LIST_3_2>()).step_by(size_of::<usize>()).collect();
    assert_eq!(known, all);
}

/// The same functions stand in the two older tables.
#[test]
fn the_older_tables_hold_the_same_functions() {
    let module = Module::load();
    for (minor, len) in [((2, 40), size_of::<CK_FUNCTION_LIST>()), ((3, 0), size_of::<CK_FUNCTION_LIST_3_0>())] {
        let mut version = CK_VERSION { major: minor.0, minor: minor.1 };
        let mut interface = null_mut();
        assert_eq!(call!(module, C_GetInterface(null_mut(), &raw mut version, &raw mut interface, 0)), CKR_OK);
        // SAFETY: the call succeeded: an interface with a table of the version that was asked for.
        let table = unsafe { (*interface).pFunctionList }.cast::<u8>();
        for row in ROWS.iter().filter(|row| row.offset < len) {
            // SAFETY: the offset lies within the table and is that of a function in it.
            let entry = unsafe { table.add(row.offset).cast::<*const c_void>().read_unaligned() };
            assert_eq!(entry, function(&module, row) as *const c_void, "{} of {minor:?}", row.name);
        }
    }
}

#[test]
fn one_bad_argument_gives_the_code_that_the_standard_names() {
    let ground = Ground::new(shared().another());
    let (mut calls, mut wrong) = (0, Vec::new());
    let mut judge = |code: CK_RV, expected: CK_RV, what: String| {
        calls += 1;
        if code != expected {
            wrong.push(format!("{what}: {code:#x} instead of {expected:#x}"));
        }
    };
    for row in ROWS {
        if let Some(good) = row.good {
            judge(Call::new(&ground, row).make(), good, format!("{} with good arguments", row.name));
        }
        for index in 0..row.arguments.len() {
            for spoiling in spoilings(&ground, row, index) {
                let mut call = Call::new(&ground, row);
                call.spoil(index, &spoiling);
                judge(call.make(), spoiling.expected, format!("{}, argument {index}, {}", row.name, spoiling.how));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {calls}: {wrong:#?}", wrong.len());
    assert!(calls > 1000, "only {calls} calls");
}

/// Trap 9, whatever the arguments are: good, or spoiled in every way.
#[test]
fn trap_9_before_initialize_and_after_finalize_no_argument_matters() {
    let ground = Ground::new(shared().another());
    let check = |module: &Module, when: &str| {
        for row in ROWS.iter().filter(|row| !row.is_for_any_time()) {
            let strange = |call: &mut Call<'_>, how: &str| {
                assert_eq!(call.make_in(module), CKR_CRYPTOKI_NOT_INITIALIZED, "{}, {how}, {when}", row.name);
            };
            strange(&mut Call::without_operation(&ground, row), "good arguments");
            for index in 0..row.arguments.len() {
                for spoiling in spoilings(&ground, row, index) {
                    let mut call = Call::without_operation(&ground, row);
                    call.spoil(index, &spoiling);
                    strange(&mut call, spoiling.how);
                }
            }
        }
    };
    check(&Module::load(), "before C_Initialize");
    let ended = shared().another();
    assert_eq!(call!(ended, C_Finalize(null_mut())), CKR_OK);
    check(&ended, "after C_Finalize");
}

/// An operation belongs to its session: another one knows nothing of it, and it goes on.
#[test]
fn operations_of_another_session_are_not_there() {
    let ground = Ground::new(shared().another());
    for row in ROWS.iter().filter(|row| row.running != 0) {
        let mut call = Call::new(&ground, row);
        let own = call.session();
        call.set_session(ground.other);
        assert_eq!(call.make(), CKR_OPERATION_NOT_INITIALIZED, "{}", row.name);
        call.set_session(own);
        assert_eq!(Some(call.make()), row.good, "{}", row.name);
    }
}

/// Trap 3: after a call with bad arguments the operation is over. A search goes on, and so does an operation of many messages, where the
/// message alone is over; a question about the state of a digest is no part of it.
#[test]
fn trap_3_bad_arguments_end_the_operation() {
    let ends = |code| matches!(code, CKR_ARGUMENTS_BAD | CKR_MECHANISM_PARAM_INVALID);
    let ground = Ground::new(shared().another());
    for row in ROWS.iter().filter(|row| row.running & !Row::GOES_ON != 0 && row.name != "C_GetOperationState") {
        for index in 0..row.arguments.len() {
            for spoiling in spoilings(&ground, row, index).into_iter().filter(|spoiling| ends(spoiling.expected)) {
                let mut call = Call::new(&ground, row);
                call.spoil(index, &spoiling);
                assert_eq!(call.make(), spoiling.expected);
                call.mend();
                assert_eq!(call.make(), CKR_OPERATION_NOT_INITIALIZED, "{}, argument {index}, {}", row.name, spoiling.how);
            }
        }
    }
}

/// Functions that only the token of conformance mode has.
#[test]
fn bad_arguments_of_the_functions_for_tokens() {
    let stack = dsma_testkit::Stack::start();
    let module = Module::with_config(&conformance(&stack));
    let (pin, label) = (bytes(b"so pin"), bytes(&[b' '; 32]));
    for (pin, len) in [(null_mut(), 6), (nowhere(), CK_UNAVAILABLE_INFORMATION), (nowhere(), 1 << 63)] {
        assert_eq!(call!(module, C_InitToken(0, pin, len, label)), CKR_ARGUMENTS_BAD);
    }
    assert_eq!(call!(module, C_InitToken(0, pin, 6, null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_InitToken(0, null_mut(), 0, label)), CKR_PIN_LEN_RANGE);
    assert_eq!(call!(module, C_InitToken(0, pin, 6, bytes(&[0xff; 32]))), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_InitToken(7, pin, 6, label)), CKR_SLOT_ID_INVALID);
    assert_eq!(call!(module, C_InitToken(0, pin, 6, label)), CKR_OK);
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_eq!(call!(module, C_Login(session, CKU_SO, pin, 6)), CKR_OK);
    for (bad, len, expected) in [
        (null_mut(), 6, CKR_ARGUMENTS_BAD),
        (nowhere(), CK_UNAVAILABLE_INFORMATION, CKR_ARGUMENTS_BAD),
        (nowhere(), 1 << 63, CKR_ARGUMENTS_BAD),
        (null_mut(), 0, CKR_PIN_LEN_RANGE),
    ] {
        assert_eq!(call!(module, C_InitPIN(session, bad, len)), expected);
        assert_eq!(call!(module, C_SetPIN(session, pin, 6, bad, len)), expected);
        let expected = if len == 0 { CKR_PIN_INCORRECT } else { expected };
        assert_eq!(call!(module, C_SetPIN(session, bad, len, pin, 6)), expected);
    }
    assert_eq!(call!(module, C_InitPIN(0, pin, 6)), CKR_SESSION_HANDLE_INVALID);
    assert_eq!(call!(module, C_SetPIN(0, pin, 6, pin, 6)), CKR_SESSION_HANDLE_INVALID);
    assert_eq!(call!(module, C_SetPIN(session, pin, 6, bytes(b"next pin"), 8)), CKR_OK);
}
