//! More data than one request takes, with keys that stay in DSM: what streams, what is refused, and that it disturbs nobody.

use std::ptr::null_mut;

use base64_simd::STANDARD;
use cryptoki_sys::*;
use serde_json::json;

use crate::keys::{Bench, Key, shared};
use crate::module::{Mechanism, Module, bytes, call, gcm, ok};

const IV: [u8; 16] = *b"0123456789abcdef";
/// More than one request takes, and whole blocks of both ciphers.
const LONG: usize = 1_200_000;

/// One value as two keys: one that is here, and one that stays in DSM.
fn twins(bench: &Bench, obj_type: &str, value: &[u8]) -> [Key; 2] {
    [true, false].map(|exportable| {
        let label = format!("twin {}", uuid::Uuid::new_v4());
        let ops = if exportable { json!(["ENCRYPT", "DECRYPT", "EXPORT"]) } else { json!(["ENCRYPT", "DECRYPT"]) };
        let import = json!({"name": label, "obj_type": obj_type, "value": STANDARD.encode_to_string(value), "key_ops": ops});
        let made = bench.stack.dsm().request("PUT", "/crypto/v1/keys", Some(import)).success().json();
        Key { kid: made["kid"].as_str().expect("a kid").to_owned(), label }
    })
}

fn long() -> Vec<u8> {
    (0..LONG as u32).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// A running operation in parts.
struct Running<'m>(&'m Module, CK_SESSION_HANDLE, bool);

impl<'m> Running<'m> {
    fn begin(module: &'m Module, session: CK_SESSION_HANDLE, decrypting: bool, mechanism: &Mechanism, key: CK_OBJECT_HANDLE) -> Self {
        let rv = mechanism.with(|m| match decrypting {
            true => call!(module, C_DecryptInit(session, m, key)),
            false => call!(module, C_EncryptInit(session, m, key)),
        });
        assert_eq!(rv, CKR_OK);
        Self(module, session, decrypting)
    }

    fn update_into(&self, part: &[u8], out: *mut u8, len: &mut CK_ULONG) -> CK_RV {
        let Self(module, session, decrypting) = *self;
        match decrypting {
            true => call!(module, C_DecryptUpdate(session, bytes(part), part.len() as CK_ULONG, out, len)),
            false => call!(module, C_EncryptUpdate(session, bytes(part), part.len() as CK_ULONG, out, len)),
        }
    }

    fn end_into(&self, out: *mut u8, len: &mut CK_ULONG) -> CK_RV {
        let Self(module, session, decrypting) = *self;
        match decrypting {
            true => call!(module, C_DecryptFinal(session, out, len)),
            false => call!(module, C_EncryptFinal(session, out, len)),
        }
    }

    /// Gives a part, with so much room; what came out.
    fn update(&self, part: &[u8], room: usize) -> Result<Vec<u8>, CK_RV> {
        let (mut out, mut len) = (vec![0; room.max(1)], room as CK_ULONG);
        ok(self.update_into(part, out.as_mut_ptr(), &mut len))?;
        out.truncate(len as usize);
        Ok(out)
    }

    fn end(&self, room: usize) -> Result<Vec<u8>, CK_RV> {
        let (mut out, mut len) = (vec![0; room.max(1)], room as CK_ULONG);
        ok(self.end_into(out.as_mut_ptr(), &mut len))?;
        out.truncate(len as usize);
        Ok(out)
    }
}

#[test]
fn streams_what_dsm_has_in_parts_with_tight_buffers() {
    let bench = shared();
    let aes = twins(bench, "AES", &[7; 32]);
    let des3 = twins(bench, "DES3", &hex("0123456789abcdef23456789abcdef01456789abcdef0123"));
    let (module, session, [here, there, des3_here, des3_there]) = bench.use_keys([&aes[0], &aes[1], &des3[0], &des3[1]]);
    let plain = long();
    for (mechanism, here, there, block) in [
        (Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), here, there, 16),
        (Mechanism::With(CKM_AES_CBC, IV.to_vec()), here, there, 16),
        (Mechanism::Ctr(IV), here, there, 0),
        (gcm(), here, there, 16),
        (Mechanism::With(CKM_DES3_CBC_PAD, IV[..8].to_vec()), des3_here, des3_there, 8),
    ] {
        let expected = module.encrypt(session, &mechanism, here, &plain).expect("it encrypts here");
        for size in [300_001, LONG] {
            let running = Running::begin(&module, session, false, &mechanism, there);
            let mut encrypted = Vec::new();
            for part in plain.chunks(size) {
                encrypted.extend(running.update(part, part.len() + block).expect("DSM takes it"));
            }
            // All but the last blocks has come by now: the end has room for one, and a tag.
            encrypted.extend(running.end(block).expect("the rest"));
            assert!(encrypted == expected, "{size}");
            if matches!(mechanism, Mechanism::Gcm { .. }) {
                continue;
            }
            let running = Running::begin(&module, session, true, &mechanism, there);
            let mut decrypted = Vec::new();
            for part in expected.chunks(size) {
                decrypted.extend(running.update(part, part.len() + block).expect("DSM takes it"));
            }
            decrypted.extend(running.end(block).expect("the rest"));
            assert!(decrypted == plain, "{size}");
        }
    }
}

#[test]
fn puts_small_parts_together_for_a_caller_with_room() {
    let bench = Bench::start();
    let [local, remote] = twins(&bench, "AES", &[8; 32]);
    let (module, session, [here, there]) = bench.use_keys([&local, &remote]);
    let (mechanism, plain) = (Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), &long()[..200_000]);
    let expected = module.encrypt(session, &mechanism, here, plain).expect("it encrypts here");
    let running = Running::begin(&module, session, false, &mechanism, there);
    let mut encrypted = Vec::new();
    for part in plain.chunks(16) {
        encrypted.extend(running.update(part, 128 << 10).expect("it is taken"));
    }
    encrypted.extend(running.end(128 << 10).expect("the rest"));
    assert!(encrypted == expected);
    let updates = bench.stack.log().matches("/crypto/v1/encrypt/update").count();
    assert!((3..=5).contains(&updates), "{updates} requests for 200 KB in 12500 parts");

    // What fits into one request stays one.
    let running = Running::begin(&module, session, false, &mechanism, there);
    let held = running.update(&plain[..1000], 8 << 10).expect("it is taken");
    assert_eq!(held.len(), 0);
    assert_eq!(running.end(8 << 10).as_deref(), Ok(&module.encrypt(session, &mechanism, here, &plain[..1000]).unwrap()[..]));
    assert_eq!(bench.stack.log().matches("/crypto/v1/encrypt/init").count(), 1);
}

#[test]
fn short_buffers_and_questions_lose_nothing() {
    let bench = shared();
    let [local, remote] = twins(bench, "AES", &[9; 32]);
    let (module, session, [here, there]) = bench.use_keys([&local, &remote]);
    let (mechanism, plain) = (Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), &long()[..20_000]);
    let expected = module.encrypt(session, &mechanism, here, plain).expect("it encrypts here");
    let running = Running::begin(&module, session, false, &mechanism, there);
    // Held back: there is much room.
    let mut encrypted = running.update(&plain[..4000], 20_000).expect("it is taken");
    assert_eq!(encrypted.len(), 0);
    let mut len = 0;
    assert_eq!((running.update_into(&plain[4000..9000], null_mut(), &mut len), len), (CKR_OK, 8992));
    let mut short = [0xa5; 4991];
    len = short.len() as CK_ULONG;
    assert_eq!((running.update_into(&plain[4000..9000], short.as_mut_ptr(), &mut len), len), (CKR_BUFFER_TOO_SMALL, 4992));
    assert!(short.iter().all(|byte| *byte == 0xa5));
    // Room for this part alone is enough; the rest comes later.
    encrypted.extend(running.update(&plain[4000..9000], 4992).expect("room for this part"));
    assert_eq!(encrypted.len(), 4992);
    // In place.
    let mut both = plain[9000..].to_vec();
    both.resize(15_040, 0);
    len = both.len() as CK_ULONG;
    let (part, out) = (both.as_ptr(), both.as_mut_ptr());
    assert_eq!(call!(module, C_EncryptUpdate(session, part.cast_mut(), 11_000, out, &raw mut len)), CKR_OK);
    encrypted.extend(&both[..len as usize]);
    assert_eq!(running.end(15), Err(CKR_BUFFER_TOO_SMALL));
    let (mut rest, mut len) = (vec![0; 64], 0);
    assert_eq!(running.end_into(null_mut(), &mut len), CKR_OK);
    assert_eq!(len as usize, expected.len() - encrypted.len());
    len = rest.len() as CK_ULONG;
    assert_eq!(running.end_into(rest.as_mut_ptr(), &mut len), CKR_OK);
    encrypted.extend(&rest[..len as usize]);
    assert!(encrypted == expected);
}

#[test]
fn what_dsm_takes_only_whole_is_bounded() {
    let bench = shared();
    let [_, remote] = twins(bench, "AES", &[10; 32]);
    let (module, session, there) = bench.use_key(&remote);
    let part = vec![0; 700_000];
    for (mechanism, decrypting, refusal) in [
        (gcm(), true, CKR_ENCRYPTED_DATA_LEN_RANGE),
        (Mechanism::Plain(CKM_AES_ECB), false, CKR_DATA_LEN_RANGE),
        (Mechanism::With(CKM_AES_OFB, IV.to_vec()), true, CKR_ENCRYPTED_DATA_LEN_RANGE),
    ] {
        let running = Running::begin(&module, session, decrypting, &mechanism, there);
        assert_eq!(running.update(&part, part.len()).as_deref(), Ok(&[][..]));
        assert_eq!(running.update(&part, part.len()), Err(refusal));
        assert_eq!(running.update(&part, part.len()), Err(CKR_OPERATION_NOT_INITIALIZED));
    }
}

#[test]
fn codes_of_data_in_parts_are_bounded_where_dsm_makes_them() {
    let bench = shared();
    let ops = ["MACGENERATE", "MACVERIFY", "EXPORT"];
    let [there, here] = [2, 3].map(|count| bench.key(json!({"obj_type": "HMAC", "key_size": 256, "key_ops": ops[..count]})));
    let (module, session, [there, here]) = bench.use_keys([&there, &here]);
    let part = vec![0; 700_000];
    let update = || call!(module, C_SignUpdate(session, bytes(&part), part.len() as CK_ULONG));
    let hmac = Mechanism::Plain(CKM_SHA256_HMAC);
    assert_eq!(hmac.with(|m| call!(module, C_SignInit(session, m, there))), CKR_OK);
    assert_eq!([update(), update(), update()], [CKR_OK, CKR_DATA_LEN_RANGE, CKR_OPERATION_NOT_INITIALIZED]);
    assert_eq!(hmac.with(|m| call!(module, C_SignInit(session, m, here))), CKR_OK);
    assert_eq!([update(), update(), update()], [CKR_OK; 3]);
}

/// A request that DSM would cut looks like an outage to all who use it; so it is not sent.
#[test]
fn data_too_long_for_a_request_is_refused_at_once_and_disturbs_nobody() {
    let bench = Bench::start();
    let [_, remote] = twins(&bench, "AES", &[11; 32]);
    let mac_key = bench.key(json!({"obj_type": "HMAC", "key_size": 256, "key_ops": ["MACGENERATE", "MACVERIFY"]}));
    let (module, session, [there, mac_key]) = bench.use_keys([&remote, &mac_key]);
    let (cbc, data) = (Mechanism::With(CKM_AES_CBC, IV.to_vec()), vec![0; 60 << 20]);
    assert_eq!(module.encrypt(session, &cbc, there, &data).err(), Some(CKR_DATA_LEN_RANGE));
    assert_eq!(module.decrypt(session, &cbc, there, &data).err(), Some(CKR_ENCRYPTED_DATA_LEN_RANGE));
    let hmac = Mechanism::Plain(CKM_SHA256_HMAC);
    assert_eq!(module.sign(session, &hmac, mac_key, &data).err(), Some(CKR_DATA_LEN_RANGE));
    assert_eq!(module.verify(session, &hmac, mac_key, &data, &[0; 32]), CKR_DATA_LEN_RANGE);
    assert!(module.encrypt(session, &cbc, there, &data[..700_000]).is_ok(), "what a request takes is sent");
    assert!(!bench.stack.log().contains(" 413 "), "nothing was sent that DSM refuses");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
