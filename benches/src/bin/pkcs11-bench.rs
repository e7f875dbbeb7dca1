//! What PKCS#11 calls cost beside cryptography, with many sobjects in DSM: finding an object, opening a session, making and destroying a key.
//!
//! CPU time of the calling thread, best of eleven rounds: our own time, without DSM's. The first search, which lists, is a row too.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use cryptoki_sys::*;
use dsma_testkit::{Dsm, Stack};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// Microseconds that a search by CKA_ID may take once the objects are indexed.
const FIND_MICROS: f64 = 50.0;
/// Microseconds that C_OpenSession and C_CloseSession may take together.
const SESSION_MICROS: f64 = 2.0;
/// Microseconds that a key may take to be made, found and destroyed, whatever the number of sobjects.
const CHANGE_MICROS: f64 = 2000.0;
const ROUNDS: u32 = 11;

/// Measures finding objects and opening sessions, with many sobjects in DSM.
#[derive(Parser)]
struct Args {
    /// Sobjects in DSM
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    sobjects: u32,
    /// Clients that import them at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Fail (status 1) where a target is missed
    #[arg(long)]
    check: bool,
}

/// Calls a function of the module; an answer that is not CKR_OK ends the program, because nothing after it means anything.
macro_rules! call {
    ($table:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let function = $table.$function.expect("every entry of the table is set");
        // SAFETY: the arguments are valid for the call, as the standard asks.
        let code = unsafe { function($($argument),*) };
        assert_eq!(code, CKR_OK, stringify!($function));
    }};
}

fn main() -> ExitCode {
    let args = Args::parse();
    if cfg!(debug_assertions) {
        eprintln!("pkcs11-bench: this is a debug build, whose figures say little; use `cargo run --release`");
    }
    let stack = Stack::start();
    eprintln!("importing {} sobjects", args.sobjects);
    let kids = fill(&stack.dsm().login(), &args);
    // SAFETY: the library's initialisers are Rust's and aws-lc's own.
    let library = unsafe { libloading::Library::new(dsma_testkit::library()) }.expect("the library loads");
    let table = functions(&library, &stack.pkcs11_conf());
    let mut session = 0;
    call!(table, C_OpenSession(0, CKF_SERIAL_SESSION, ptr::null_mut(), None, &raw mut session));
    call!(table, C_Login(session, CKU_USER, ptr::null_mut(), 0));

    let began = Instant::now();
    assert_eq!(find(table, session, &kids[0]), 1);
    println!("{:>12.1} ms    the first search, which lists {} sobjects", began.elapsed().as_secs_f64() * 1e3, args.sobjects);
    let mut place = 0;
    let by_id = best(200, || {
        place = (place + 7919) % kids.len();
        assert_eq!(find(table, session, &kids[place]), 1);
    });
    println!("{by_id:>12.2} us    C_FindObjectsInit, C_FindObjects and C_FindObjectsFinal by CKA_ID (target {FIND_MICROS})");
    let open_close = best(2000, || {
        let mut other = 0;
        call!(table, C_OpenSession(0, CKF_SERIAL_SESSION, ptr::null_mut(), None, &raw mut other));
        call!(table, C_CloseSession(other));
    });
    println!("{open_close:>12.2} us    C_OpenSession and C_CloseSession (target {SESSION_MICROS})");
    let mut read_write = 0;
    call!(table, C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, ptr::null_mut(), None, &raw mut read_write));
    let mut number = 0_u64;
    let change = best(20, || {
        number += 1;
        make_find_destroy(table, read_write, number);
    });
    println!(
        "{change:>12.2} us    C_GenerateKey, a search by CKA_ID and C_DestroyObject, with our side of three exchanges with DSM (target {CHANGE_MICROS})"
    );
    let missed = by_id > FIND_MICROS || open_close > SESSION_MICROS || change > CHANGE_MICROS;
    if args.check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Initialises the module with this configuration.
fn functions<'l>(library: &'l libloading::Library, config: &std::path::Path) -> &'l CK_FUNCTION_LIST {
    let mut table = ptr::null_mut();
    // SAFETY: the symbol has the standard's type; the place is writable.
    let code = unsafe {
        let get =
            library.get::<unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV>(b"C_GetFunctionList").expect("the symbol is there");
        get(&raw mut table)
    };
    assert_eq!(code, CKR_OK);
    // SAFETY: the call succeeded; the table is a static of the library, which stays loaded.
    let table = unsafe { &*table };
    let path = CString::new(config.as_os_str().as_bytes()).expect("a path without NUL");
    let mut arguments = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, pReserved: path.as_ptr().cast_mut().cast(), ..Default::default() };
    call!(table, C_Initialize((&raw mut arguments).cast()));
    table
}

/// A token key with this number as CKA_ID: made, found and destroyed.
fn make_find_destroy(table: &CK_FUNCTION_LIST, session: CK_SESSION_HANDLE, number: u64) {
    let (mut yes, mut len, mut key): (_, CK_ULONG, _) = (CK_TRUE, 32, 0);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_ne_bytes());
    let attribute = |type_, value: *mut u8, len: usize| CK_ATTRIBUTE { type_, pValue: value.cast(), ulValueLen: len as CK_ULONG };
    let mut template = [
        attribute(CKA_TOKEN, &raw mut yes, 1),
        attribute(CKA_ID, id.as_mut_ptr(), id.len()),
        attribute(CKA_VALUE_LEN, (&raw mut len).cast(), size_of::<CK_ULONG>()),
    ];
    let mut mechanism = CK_MECHANISM { mechanism: CKM_AES_KEY_GEN, pParameter: ptr::null_mut(), ulParameterLen: 0 };
    call!(table, C_GenerateKey(session, &raw mut mechanism, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut key));
    assert_eq!(find(table, session, &id), 1);
    call!(table, C_DestroyObject(session, key));
}

/// How many objects have this CKA_ID.
fn find(table: &CK_FUNCTION_LIST, session: CK_SESSION_HANDLE, id: &[u8; 16]) -> CK_ULONG {
    let mut template = CK_ATTRIBUTE { type_: CKA_ID, pValue: id.as_ptr().cast_mut().cast(), ulValueLen: 16 };
    let (mut found, mut count) = ([0; 2], 0);
    call!(table, C_FindObjectsInit(session, &raw mut template, 1));
    call!(table, C_FindObjects(session, found.as_mut_ptr(), 2, &raw mut count));
    call!(table, C_FindObjectsFinal(session));
    count
}

/// CPU microseconds of one turn, in the best round.
fn best(turns: u32, mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let began = clock_gettime(ClockId::ThreadCPUTime);
        (0..turns).for_each(|_| work());
        let ended = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = (ended.tv_sec - began.tv_sec) as f64 * 1e9 + (ended.tv_nsec - began.tv_nsec) as f64;
        nanos / 1e3 / f64::from(turns)
    };
    (0..ROUNDS).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

/// Imports the sobjects, all clients at once, and returns their ids.
fn fill(dsm: &Dsm, args: &Args) -> Vec<[u8; 16]> {
    let next = AtomicU32::new(0);
    let import = || {
        let mut kids = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.sobjects {
                return kids;
            }
            let spec = json!({"name": format!("key-{number}"), "obj_type": "AES", "value": "AAECAwQFBgcICQoLDA0ODw=="});
            let answer = dsm.request("PUT", "/crypto/v1/keys", Some(spec));
            let kid: String = answer.success().json()["kid"].as_str().expect("a kid").replace('-', "");
            let mut id = [0; 16];
            for (index, byte) in id.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&kid[2 * index..2 * index + 2], 16).expect("hexadecimal digits");
            }
            kids.push(id);
        }
    };
    let began = Instant::now();
    let kids: Vec<[u8; 16]> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..args.clients).map(|_| scope.spawn(import)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client ends without a panic")).collect()
    });
    eprintln!("{} sobjects in {:?}", kids.len(), Duration::from_secs(began.elapsed().as_secs()));
    kids
}
