//! Java 17's SunPKCS11.

use crate::desk::{Desk, finish};

#[test]
fn java_uses_secret_keys_of_the_key_store() {
    let desk = Desk::new();
    desk.aes("aes");
    let said = java(&desk, "SecretKeys.java");
    assert!(said.ends_with("all well\n"), "{said}");
}

/// Runs a program, in Java's single-file mode, whose first argument is SunPKCS11's configuration.
fn java(desk: &Desk, program: &str) -> String {
    let conf = desk.write("sunpkcs11.cfg", format!("name = dsma\nlibrary = {}\n", dsma_testkit::library().display()));
    let program = format!("{}/tests/consumers/programs/{program}", env!("CARGO_MANIFEST_DIR"));
    finish(desk.command("java").args(["-Xshare:auto", "-XX:TieredStopAtLevel=1"]).arg(program).arg(conf))
}
