//! npm's `graphene-pk11` on `pkcs11js`, installed by `scripts/setup test`.

use crate::desk::{Desk, finish};

#[test]
fn graphene_uses_generates_derives_and_wraps_keys() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    desk.aes("aes");
    desk.hmac("hmac");
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut node = desk.command("node");
    node.env("NODE_PATH", format!("{tree}/target/node/node_modules"));
    let said = finish(node.arg(format!("{tree}/pkcs11-tests/tests/consumers/programs/consumer.js")));
    assert!(said.ends_with("all well\n"), "{said}");
}
