//! PyPI's `python-pkcs11`, in the virtual environment that `scripts/setup test` makes.

use crate::desk::{Desk, finish};

#[test]
fn python_pkcs11_uses_generates_derives_and_wraps_keys() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    desk.aes("aes");
    desk.hmac("hmac");
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let said = finish(
        desk.command(format!("{tree}/target/venv-pkcs11/bin/python"))
            .arg(format!("{tree}/pkcs11-tests/tests/consumers/programs/consumer.py")),
    );
    assert!(said.ends_with("all well\n"), "{said}");
}
