//! What holds for every combination of numbers and lengths, sensible or not: no internal error, no byte beyond the told length, and a
//! needed length that is enough.

use serde_json::json;

use crate::api::{API, BUFFER_TOO_SMALL, CipherParams, Key, OK, SHA256, SignatureParams, call};
use crate::stack::{AES_OPS, shared};

const INTERNAL: u32 = 900;
const CANARY: u8 = 0xa5;

type Call<'a> = &'a dyn Fn(*mut u8, *mut usize) -> u32;

/// Makes the call with so much room in the middle of canaries, then once more with what it says it needs.
#[track_caller]
fn holds(what: &str, room: usize, make: Call<'_>) {
    let attempt = |room: usize| {
        let mut memory = vec![CANARY; room + 64];
        let mut len = room;
        let code = make(memory[32..].as_mut_ptr(), &mut len);
        assert_ne!(code, INTERNAL, "{what}, room {room}");
        let written = if code == OK { len } else { room };
        assert!(written <= room, "{what}: {written} bytes in a room of {room}");
        let beyond = memory[..32].iter().chain(&memory[32 + room..]);
        assert!(beyond.copied().all(|byte| byte == CANARY), "{what}: wrote beyond a room of {room}");
        (code, len)
    };
    if let (BUFFER_TOO_SMALL, needed) = attempt(room) {
        assert!(needed > room, "{what}: {needed} bytes needed, {room} given");
        assert_ne!(attempt(needed).0, BUFFER_TOO_SMALL, "{what}: {needed} bytes are not enough");
    }
}

#[test]
fn of_ciphers() {
    let bench = shared();
    let (aes, _) = bench.aes();
    let (rsa, _) = bench.generate(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": AES_OPS}));
    let (iv, input) = ([3; 32], [5; 300]);
    for mode in 0..20 {
        // A private RSA operation takes a thousand times an AES one.
        let inputs: &[usize] = if mode < 16 { &[0, 1, 15, 16, 33, 256] } else { &[0, 190, 256] };
        for &input_len in inputs {
            for (iv_len, tag_len) in [(0, 0), (1, 4), (12, 0), (12, 3), (12, 12), (12, 16), (12, 17), (16, 0), (16, 16), (17, 0)] {
                for room in [0, 1, 16, 48, 300] {
                    let one = |key: &Key, name: &str| {
                        let mut tag = [0; 32];
                        let params = CipherParams { hash: SHA256, ..CipherParams::new(mode, &iv[..iv_len]).tag(&mut tag[..tag_len]) };
                        let what = format!("{name} mode {mode}, IV {iv_len}, tag {tag_len}, input {input_len}");
                        for function in [API.encrypt, API.decrypt] {
                            // SAFETY: an open key and live memory of the told lengths.
                            let make = |output, len| unsafe {
                                code(call(|error| function(key.0, &params, input.as_ptr(), input_len, output, len, error)))
                            };
                            holds(&what, room, &make);
                        }
                    };
                    one(&aes, "AES");
                    if mode >= 16 && tag_len == 0 && iv_len == 0 {
                        one(&rsa, "RSA");
                    }
                }
            }
        }
    }
}

#[test]
fn of_signatures() {
    let bench = shared();
    let ops = ["SIGN", "VERIFY", "EXPORT"];
    let keys = [
        bench.generate(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ops})).0,
        bench.generate(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ops})).0,
        bench.generate(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY"]})).0,
    ];
    let data = [5; 64];
    for key in &keys {
        for (scheme, hash, data_is_digest, salt_len) in
            (0..6).flat_map(|scheme| [(scheme, 3, 0, 0), (scheme, 5, 1, 0), (scheme, 1, 1, 7), (scheme, 4, 0, 250), (scheme, 9, 0, 0)])
        {
            let params = SignatureParams { scheme, hash, data_is_digest, salt_len, ..SignatureParams::default() };
            for (data_len, room) in [(0, 0), (20, 63), (64, 64), (32, 71), (64, 256)] {
                // SAFETY: an open key and live memory of the told lengths.
                let make =
                    |output, len| unsafe { code(call(|error| (API.sign)(key.0, &params, data.as_ptr(), data_len, output, len, error))) };
                holds(&format!("scheme {scheme}, hash {hash}, data {data_len}"), room, &make);
                let verified = code(key.verify(&params, &data[..data_len], &data[..data_len]));
                assert!(verified != OK && verified != INTERNAL, "scheme {scheme}: {verified}");
            }
        }
    }
}

fn code(outcome: Result<(), crate::api::Failed>) -> u32 {
    outcome.map_or_else(|failed| failed.code, |()| OK)
}
