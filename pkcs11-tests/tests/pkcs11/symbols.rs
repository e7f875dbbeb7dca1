//! The exported symbols are the committed list, and nothing of what is linked in shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::module::Module;

#[test]
fn exported_symbols_are_the_committed_list() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("exported-symbols.txt");
    let committed = std::fs::read_to_string(list).expect("the committed list");
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(dsma_testkit::library()).output();
    let nm = nm.expect("nm runs: apt-get install binutils");
    assert!(nm.status.success());
    let printed = String::from_utf8(nm.stdout).expect("names are ASCII");
    let exported: BTreeSet<&str> = printed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let expected: BTreeSet<&str> = committed.lines().collect();
    let (more, less): (Vec<_>, Vec<_>) = (exported.difference(&expected).collect(), expected.difference(&exported).collect());
    assert!(more.is_empty() && less.is_empty(), "not in the list: {more:?}; not exported: {less:?}");
    assert!(exported.iter().all(|name| name.starts_with("C_") || name.starts_with("dsma_")));
    assert_eq!(committed.lines().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "sorted, each name once");
}

/// The process's other threads may be in the library until the kernel ends them: it must have no destructors, nor may what is linked in
/// (`.cargo/config.toml`). One is the C compiler's own, for handlers that nobody registers.
#[test]
fn nothing_of_the_library_runs_when_the_process_ends() {
    let readelf = Command::new("readelf").args(["--wide", "--dynamic"]).arg(dsma_testkit::library()).output();
    let readelf = readelf.expect("readelf runs: apt-get install binutils");
    assert!(readelf.status.success());
    let printed = String::from_utf8(readelf.stdout).expect("names are ASCII");
    let destructors = printed.lines().find_map(|line| line.split_once("(FINI_ARRAYSZ)"));
    assert_eq!(destructors.map(|(_, size)| size.trim()), Some("8 (bytes)"), "{printed}");
}

/// Applications that link the functions directly get the same ones as those that ask for a table.
#[test]
fn every_function_of_the_tables_is_a_symbol() {
    let module = Module::load();
    macro_rules! check {
        ($($name:ident)*) => { $(
            // SAFETY: the symbol is only looked at.
            let symbol = unsafe { module.library().get::<*const ()>(stringify!($name).as_bytes()) }.expect(stringify!($name));
            assert_eq!(*symbol, module.table().$name.expect("set") as *const (), stringify!($name));
        )* };
    }
    check!(C_Initialize C_Finalize C_GetFunctionList C_GetInterface C_GetInterfaceList C_OpenSession C_Login C_FindObjectsInit);
    check!(C_Sign C_Encrypt C_Decrypt C_Verify C_GenerateRandom C_LoginUser C_SessionCancel C_MessageVerifyFinal);
    check!(C_EncapsulateKey C_VerifySignatureInit C_AsyncJoin C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated);
}
