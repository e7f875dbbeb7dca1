//! Tests that need a process to themselves: the test program runs itself with only that test.

use std::process::{Command, Output};

/// Set in the process of an isolated test.
const MARK: &str = "DSMA_ISOLATED_TEST";

/// No isolated test takes longer, not even under Valgrind; a hang ends in SIGALRM.
const SECONDS: u32 = 1200;

/// Runs `body` in a process of its own, where it finds `env` in its environment. `test` is the whole name of the calling test. Returns
/// the process's output, or nothing inside of that process.
pub(crate) fn isolated(test: &str, env: impl FnOnce() -> Vec<(&'static str, String)>, body: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(MARK).is_some() {
        set_deadline();
        body();
        return None;
    }
    let program = std::env::current_exe().expect("the path of the test program");
    // Built here, so that the new process needs no compiler.
    let _library = dsma_testkit::library();
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .env("DSMA_TESTKIT_BUILD", "no")
        .envs(env())
        .output()
        .expect("the test program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "no test is called {test}");
    Some(output)
}

/// A variable that `env` has set.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).expect("the outer test sets it")
}

/// Ends this process if it hangs; to be set again after a fork.
pub(crate) fn set_deadline() {
    // SAFETY: no preconditions.
    unsafe { libc::alarm(SECONDS) };
}
