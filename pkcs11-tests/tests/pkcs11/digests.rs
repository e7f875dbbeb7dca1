//! Digests, against the vectors of FIPS 180-4 ("abc").

use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::{Mechanism, bytes, call, output};
use crate::openssl::Openssl;

const VECTORS: [(CK_MECHANISM_TYPE, &str); 5] = [
    (CKM_SHA_1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (CKM_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    (CKM_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (CKM_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
    (
        CKM_SHA512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
];

#[test]
fn vectors_in_one_call_and_in_parts() {
    let module = &shared().module;
    let session = module.logged_in();
    for (kind, expected) in VECTORS {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let init = || Mechanism::Plain(kind).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        init();
        let whole = output(|out, len| call!(module, C_Digest(session, bytes(b"abc"), 3, out, len)));
        assert_eq!(whole.map(hex).as_deref(), Ok(expected));
        init();
        for part in [&b"a"[..], b"", b"bc"] {
            assert_eq!(call!(module, C_DigestUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
        }
        let parts = output(|out, len| call!(module, C_DigestFinal(session, out, len)));
        assert_eq!(parts.map(hex).as_deref(), Ok(expected));
    }
}

#[test]
fn sha_3_is_that_of_openssl() {
    let module = &shared().module;
    let session = module.logged_in();
    let openssl = Openssl::new();
    let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
    openssl.write("data", &data);
    for (kind, name) in [(CKM_SHA3_224, "sha3-224"), (CKM_SHA3_256, "sha3-256"), (CKM_SHA3_384, "sha3-384"), (CKM_SHA3_512, "sha3-512")] {
        openssl.run(&format!("dgst -{name} -binary -out digest data"));
        Mechanism::Plain(kind).with(|m| assert_eq!(call!(module, C_DigestInit(session, m)), CKR_OK));
        for part in data.chunks(77) {
            assert_eq!(call!(module, C_DigestUpdate(session, bytes(part), part.len() as CK_ULONG)), CKR_OK);
        }
        assert_eq!(output(|out, len| call!(module, C_DigestFinal(session, out, len))), Ok(openssl.read("digest")), "{name}");
    }
}

#[test]
fn order_of_calls_and_short_buffers() {
    let module = &shared().module;
    let session = module.logged_in();
    let (mut digest, mut len) = ([0; 32], 31);
    let out = digest.as_mut_ptr();
    let init = || Mechanism::Plain(CKM_SHA256).with(|m| call!(module, C_DigestInit(session, m)));
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(b"abc"), 3)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_DigestFinal(session, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(init(), CKR_OK);
    assert_eq!(init(), CKR_OPERATION_ACTIVE);
    assert_eq!(call!(module, C_Digest(session, bytes(b"abc"), 3, out, &raw mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(call!(module, C_Digest(session, bytes(b"abc"), 3, out, &raw mut len)), CKR_OK);
    assert_eq!(init(), CKR_OK);
    assert_eq!(call!(module, C_DigestUpdate(session, bytes(b"abc"), 3)), CKR_OK);
    assert_eq!(call!(module, C_Digest(session, bytes(b"abc"), 3, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_DigestFinal(session, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(Mechanism::Plain(0x00ff_ffff).with(|m| call!(module, C_DigestInit(session, m))), CKR_MECHANISM_INVALID);
    assert_eq!(Mechanism::Plain(CKM_RSA_PKCS).with(|m| call!(module, C_DigestInit(session, m))), CKR_MECHANISM_INVALID);
    assert_eq!(call!(module, C_DigestKey(session, 1)), CKR_OPERATION_NOT_INITIALIZED);
    // The same memory for both.
    let mut memory = *b"abc_____________________________";
    let place = memory.as_mut_ptr();
    len = 32;
    assert_eq!(init(), CKR_OK);
    assert_eq!(call!(module, C_Digest(session, place, 3, place, &raw mut len)), CKR_OK);
    assert_eq!(memory, digest);
    assert_eq!(call!(module, C_Digest(session, null_mut(), 0, place, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
}
