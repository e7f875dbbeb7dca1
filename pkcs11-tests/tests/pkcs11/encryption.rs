//! Encryption and decryption: traps 2, 5, 6 and 26, keys here and keys that stay in DSM, in one call and in parts.

use std::ptr::null_mut;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::shared;
use crate::module::{Mechanism, Module, bytes, call, gcm, nowhere, ok};
use crate::openssl::Openssl;
use crate::session_objects::secret;

const IV: [u8; 16] = *b"0123456789abcdef";

fn modes() -> Vec<Mechanism> {
    vec![
        gcm(),
        Mechanism::Gcm { iv: vec![1], aad: Vec::new(), tag_bits: 96 },
        Mechanism::Gcm { iv: vec![3; 61], aad: vec![4; 1000], tag_bits: 128 },
        Mechanism::With(CKM_AES_CBC, IV.to_vec()),
        Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()),
        Mechanism::Plain(CKM_AES_ECB),
        Mechanism::Ctr(IV),
        Mechanism::CtrOf(32, IV),
        Mechanism::With(CKM_AES_CFB128, IV.to_vec()),
        Mechanism::With(CKM_AES_OFB, IV.to_vec()),
        Mechanism::Plain(CKM_AES_KEY_WRAP),
        Mechanism::With(CKM_AES_KEY_WRAP_KWP, vec![0xa6, 0x59, 0x59, 0xa6]),
    ]
}

/// Whole blocks alone, where a mode takes nothing else.
fn lengths(mechanism: &Mechanism) -> Vec<usize> {
    match mechanism {
        Mechanism::With(CKM_AES_CBC, _) | Mechanism::Plain(CKM_AES_ECB | CKM_AES_KEY_WRAP) => vec![16, 48, 4096],
        Mechanism::With(CKM_AES_KEY_WRAP_KWP, _) => vec![1, 7, 8, 40, 1001],
        _ => vec![0, 1, 15, 16, 17, 48, 4099],
    }
}

/// Encrypts or decrypts in parts of this size; the output comes with each call.
fn in_parts(
    module: &Module,
    session: CK_SESSION_HANDLE,
    decrypting: bool,
    mechanism: &Mechanism,
    key: CK_OBJECT_HANDLE,
    data: &[u8],
    size: usize,
) -> Result<Vec<u8>, CK_RV> {
    ok(mechanism.with(|m| match decrypting {
        true => call!(module, C_DecryptInit(session, m, key)),
        false => call!(module, C_EncryptInit(session, m, key)),
    }))?;
    let mut whole = Vec::new();
    for part in data.chunks(size) {
        let update = |out, len| match decrypting {
            true => call!(module, C_DecryptUpdate(session, bytes(part), part.len() as CK_ULONG, out, len)),
            false => call!(module, C_EncryptUpdate(session, bytes(part), part.len() as CK_ULONG, out, len)),
        };
        // The query must be exact: it is the room that is given.
        let mut needed = 0;
        ok(update(null_mut(), &raw mut needed))?;
        let mut out = vec![0_u8; needed as usize];
        ok(update(if needed == 0 { std::ptr::dangling_mut() } else { out.as_mut_ptr() }, &raw mut needed))?;
        assert_eq!(needed as usize, out.len());
        whole.extend(out);
    }
    let rest = crate::module::output(|out, len| match decrypting {
        true => call!(module, C_DecryptFinal(session, out, len)),
        false => call!(module, C_EncryptFinal(session, out, len)),
    })?;
    whole.extend(rest);
    Ok(whole)
}

#[test]
fn every_mode_round_trips_in_one_call_and_in_parts_here_and_in_dsm() {
    let bench = shared();
    let local = bench.aes();
    let remote = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let (module, session, [key, remote_key]) = bench.use_keys([&local, &remote]);
    for mechanism in &modes() {
        for len in lengths(mechanism) {
            let plain: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let encrypted = module.encrypt(session, mechanism, key, &plain).expect("it encrypts");
            assert_eq!(module.decrypt(session, mechanism, key, &encrypted), Ok(plain.clone()));
            for size in [1, 7, 16, 33, 5000] {
                if len > 1000 && size == 1 {
                    continue;
                }
                assert_eq!(in_parts(&module, session, false, mechanism, key, &plain, size).as_ref(), Ok(&encrypted), "{len} by {size}");
                assert_eq!(in_parts(&module, session, true, mechanism, key, &encrypted, size).as_ref(), Ok(&plain), "{len} by {size}");
            }
            let elsewhere = module.encrypt(session, mechanism, remote_key, &plain).expect("DSM encrypts");
            assert_eq!(module.decrypt(session, mechanism, remote_key, &elsewhere), Ok(plain.clone()));
            assert_eq!(in_parts(&module, session, false, mechanism, remote_key, &plain, 33).as_ref(), Ok(&elsewhere));
            assert_eq!(in_parts(&module, session, true, mechanism, remote_key, &elsewhere, 33).as_ref(), Ok(&plain));
        }
    }
    assert_eq!(bench.stack.dsm().exports_of(&local.kid), 1);
    assert_eq!((bench.stack.dsm().uses_of(&local.kid, "encrypt"), bench.stack.dsm().exports_of(&remote.kid)), (0, 0));
    assert!(bench.stack.dsm().uses_of(&remote.kid, "encrypt") > 0);
}

#[test]
fn openssl_reads_what_the_module_wrote() {
    let bench = shared();
    let value: Vec<u8> = (0..32).collect();
    let label = format!("p11 {}", uuid::Uuid::new_v4());
    let import = json!({"name": label, "obj_type": "AES", "value": base64_simd::STANDARD.encode_to_string(&value),
        "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT"]});
    bench.stack.dsm().request("PUT", "/crypto/v1/keys", Some(import)).success();
    let module = bench.another();
    let session = module.logged_in();
    let key = module.object(session, CKO_SECRET_KEY, &label);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let plain: Vec<u8> = (0..100).collect();
    for (mechanism, cipher) in [
        (Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), "-aes-256-cbc"),
        (Mechanism::Ctr(IV), "-aes-256-ctr"),
        (Mechanism::With(CKM_AES_CFB128, IV.to_vec()), "-aes-256-cfb"),
        (Mechanism::With(CKM_AES_CFB8, IV.to_vec()), "-aes-256-cfb8"),
        (Mechanism::With(CKM_AES_CFB1, IV.to_vec()), "-aes-256-cfb1"),
        (Mechanism::With(CKM_AES_OFB, IV.to_vec()), "-aes-256-ofb"),
    ] {
        let openssl = Openssl::new();
        let encrypted = module.encrypt(session, &mechanism, key, &plain).expect("it encrypts");
        openssl.write("encrypted", &encrypted);
        openssl.run(&format!("enc -d {cipher} -K {} -iv {} -in encrypted -out plain", hex(&value), hex(&IV)));
        assert_eq!(openssl.read("plain"), plain);
        assert_eq!(module.decrypt(session, &mechanism, key, &encrypted).as_ref(), Ok(&plain));
    }
    let (module, session, remote) = bench.use_key(&bench.import("AES", &value, &["ENCRYPT", "DECRYPT"], false));
    for kind in [CKM_AES_CFB8, CKM_AES_CFB1] {
        let code = module.encrypt(session, &Mechanism::With(kind, IV.to_vec()), remote, &plain);
        assert_eq!(code, Err(CKR_FUNCTION_FAILED), "DSM has segments of whole blocks alone");
    }
}

#[test]
fn rsa_encryption_works_with_the_public_key_alone() {
    let bench = shared();
    for ops in [&["ENCRYPT", "DECRYPT", "EXPORT"][..], &["ENCRYPT", "DECRYPT"]] {
        let key = bench.rsa_with(ops);
        let (module, session, private) = bench.use_key(&key);
        let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
        for mechanism in [Mechanism::Plain(CKM_RSA_PKCS), Mechanism::Oaep] {
            let encrypted = module.encrypt(session, &mechanism, public, b"secret").expect("it encrypts");
            assert_eq!(encrypted.len(), 256);
            assert_eq!(bench.stack.dsm().uses_of(&key.kid, "encrypt"), 0, "encryption needs the public key alone");
            // The upper bound, an exact buffer, and one that is too small.
            mechanism.with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, private)), CKR_OK));
            let (mut plain, mut len) = ([0_u8; 6], 5);
            let mut decrypt = |len: *mut CK_ULONG| call!(module, C_Decrypt(session, bytes(&encrypted), 256, plain.as_mut_ptr(), len));
            assert_eq!(decrypt(&raw mut len), CKR_BUFFER_TOO_SMALL);
            assert_eq!(len, 6);
            assert_eq!(decrypt(&raw mut len), CKR_OK);
            assert_eq!(&plain, b"secret");
            assert_eq!(module.decrypt(session, &mechanism, private, &encrypted), Ok(b"secret".to_vec()));
            assert_eq!(module.decrypt(session, &mechanism, private, &encrypted[1..]), Err(CKR_ENCRYPTED_DATA_LEN_RANGE));
            assert_eq!(module.encrypt(session, &mechanism, public, &[1; 250]), Err(CKR_DATA_LEN_RANGE));
        }
    }
}

#[test]
fn trap_2_a_buffer_as_long_as_the_plaintext_is_enough() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let mechanism = Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec());
    let encrypted = module.encrypt(session, &mechanism, key, &[5; 20]).expect("it encrypts");
    let mut plain = [0_u8; 20];
    let out = plain.as_mut_ptr();
    let init = || mechanism.with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, key)), CKR_OK));

    init();
    let mut len = 19;
    assert_eq!(call!(module, C_Decrypt(session, bytes(&encrypted), 32, out, &raw mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 20);
    assert_eq!(call!(module, C_Decrypt(session, bytes(&encrypted), 32, out, &raw mut len)), CKR_OK);
    assert_eq!((len, plain), (20, [5; 20]));

    init();
    len = 16;
    assert_eq!(call!(module, C_DecryptUpdate(session, bytes(&encrypted), 32, out, &raw mut len)), CKR_OK);
    assert_eq!(len, 16);
    len = 3;
    assert_eq!(call!(module, C_DecryptFinal(session, out, &raw mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(len, 4);
    assert_eq!(call!(module, C_DecryptFinal(session, out, &raw mut len)), CKR_OK);
    assert_eq!(len, 4);
    assert_eq!(call!(module, C_DecryptFinal(session, out, &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
}

#[test]
fn trap_5_no_plaintext_before_the_tag() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let encrypted = module.encrypt(session, &gcm(), key, &[5; 1000]).expect("it encrypts");
    let mut wrong = encrypted.clone();
    wrong[500] ^= 1;
    let mut plain = [0_u8; 1100];
    let out = plain.as_mut_ptr();
    for (encrypted, code, first) in [(&encrypted, CKR_OK, 5), (&wrong, CKR_ENCRYPTED_DATA_INVALID, 0)] {
        gcm().with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, key)), CKR_OK));
        let mut len = 1100;
        assert_eq!(call!(module, C_DecryptUpdate(session, bytes(encrypted), 1016, out, &raw mut len)), CKR_OK);
        assert_eq!(len, 0);
        assert_eq!(call!(module, C_DecryptFinal(session, null_mut(), &raw mut len)), CKR_OK);
        assert_eq!(len, 1000);
        assert_eq!(call!(module, C_DecryptFinal(session, out, &raw mut len)), code);
        // SAFETY: within the array.
        assert_eq!(unsafe { *out }, first);
        // SAFETY: as above.
        unsafe { *out = 0 };
    }
    assert_eq!(module.decrypt(session, &gcm(), key, &wrong), Err(CKR_ENCRYPTED_DATA_INVALID));
}

#[test]
fn trap_6_in_place_and_overlapping() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let plain: Vec<u8> = (0..200).collect();
    for mechanism in [gcm(), Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), Mechanism::Ctr(IV)] {
        let encrypted = module.encrypt(session, &mechanism, key, &plain).expect("it encrypts");
        for (from, to) in [(0, 0), (0, 5), (9, 0)] {
            let mut memory = vec![0_u8; 300];
            memory[from..from + 200].copy_from_slice(&plain);
            let (input, output, mut len) = (memory.as_mut_ptr().wrapping_add(from), memory.as_mut_ptr().wrapping_add(to), 290);
            mechanism.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, key)), CKR_OK));
            assert_eq!(call!(module, C_Encrypt(session, input, 200, output, &raw mut len)), CKR_OK);
            assert_eq!(memory[to..to + len as usize], encrypted[..], "{from} to {to}");

            let mut memory = vec![0_u8; 300];
            memory[from..from + encrypted.len()].copy_from_slice(&encrypted);
            let (input, output, mut len) = (memory.as_mut_ptr().wrapping_add(from), memory.as_mut_ptr().wrapping_add(to), 290);
            mechanism.with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, key)), CKR_OK));
            assert_eq!(call!(module, C_Decrypt(session, input, encrypted.len() as CK_ULONG, output, &raw mut len)), CKR_OK);
            assert_eq!(memory[to..to + len as usize], plain[..], "{from} to {to}");
        }
        // In parts, each part in place.
        let mut memory = plain.clone();
        mechanism.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, key)), CKR_OK));
        let (mut whole, mut len) = (Vec::<u8>::new(), 200);
        let place = memory.as_mut_ptr();
        assert_eq!(call!(module, C_EncryptUpdate(session, place, 200, place, &raw mut len)), CKR_OK);
        whole.extend(&memory[..len as usize]);
        let mut rest = [0; 32];
        len = 32;
        assert_eq!(call!(module, C_EncryptFinal(session, rest.as_mut_ptr(), &raw mut len)), CKR_OK);
        whole.extend(&rest[..len as usize]);
        assert_eq!(whole, encrypted);
    }
}

#[test]
fn wrong_lengths_and_parameters() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let encrypt = |mechanism: &Mechanism, len: usize| module.encrypt(session, mechanism, key, &vec![1; len]).err();
    let decrypt = |mechanism: &Mechanism, len: usize| module.decrypt(session, mechanism, key, &vec![1; len]).err();
    let (cbc, pad, ecb) =
        (Mechanism::With(CKM_AES_CBC, IV.to_vec()), Mechanism::With(CKM_AES_CBC_PAD, IV.to_vec()), Mechanism::Plain(CKM_AES_ECB));
    assert_eq!((encrypt(&cbc, 17), encrypt(&ecb, 15)), (Some(CKR_DATA_LEN_RANGE), Some(CKR_DATA_LEN_RANGE)));
    for (mechanism, len) in [(&cbc, 17), (&ecb, 15), (&pad, 0), (&pad, 17), (&gcm(), 15)] {
        assert_eq!(decrypt(mechanism, len), Some(CKR_ENCRYPTED_DATA_LEN_RANGE), "{len}");
    }
    // What a random key makes of a constant block ends in good padding once in 256 times.
    let no_padding = module.encrypt(session, &cbc, key, &[0; 32]).expect("it encrypts");
    assert_eq!(module.decrypt(session, &pad, key, &no_padding), Err(CKR_ENCRYPTED_DATA_INVALID));
    let tag = |tag_bits| Mechanism::Gcm { iv: vec![1; 12], aad: Vec::new(), tag_bits };
    for mechanism in [
        Mechanism::Plain(CKM_AES_CBC),
        Mechanism::With(CKM_AES_CBC, vec![0; 15]),
        Mechanism::With(CKM_AES_ECB, IV.to_vec()),
        Mechanism::With(CKM_AES_CTR, vec![0; 23]),
        Mechanism::With(CKM_AES_GCM, vec![0; 16]),
        Mechanism::Gcm { iv: Vec::new(), aad: Vec::new(), tag_bits: 128 },
        Mechanism::Gcm { iv: vec![0; (1 << 16) + 1], aad: Vec::new(), tag_bits: 128 },
        tag(0),
        tag(127),
        tag(136),
        tag(CK_UNAVAILABLE_INFORMATION),
    ] {
        assert_eq!(encrypt(&mechanism, 16), Some(CKR_MECHANISM_PARAM_INVALID));
    }
    // The end of a stream of half a block.
    for decrypting in [false, true] {
        let expected = if decrypting { CKR_ENCRYPTED_DATA_LEN_RANGE } else { CKR_DATA_LEN_RANGE };
        assert_eq!(in_parts(&module, session, decrypting, &cbc, key, &[1; 24], 24), Err(expected));
    }
}

/// The parameters are copied at Init: callers let go of them.
#[test]
fn parameters_may_change_after_init() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let expected = module.encrypt(session, &gcm(), key, b"data").expect("it encrypts");
    let mut mechanism = gcm();
    mechanism.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, key)), CKR_OK));
    if let Mechanism::Gcm { iv, aad, .. } = &mut mechanism {
        iv.fill(0xff);
        aad.fill(0xff);
    }
    let encrypted = crate::module::output(|out, len| call!(module, C_Encrypt(session, bytes(b"data"), 4, out, len)));
    assert_eq!(encrypted, Ok(expected));
}

#[test]
fn triple_des_is_that_of_openssl_here_and_in_dsm() {
    let bench = shared();
    let value = *b"a triple DES key 24 long";
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let iv = b"8 bytes.".to_vec();
    for exportable in [true, false] {
        let key = bench.import("DES3", &value, &["ENCRYPT", "DECRYPT"], exportable);
        let (module, session, object) = bench.use_key(&key);
        for (mechanism, cipher, len) in [
            (Mechanism::Plain(CKM_DES3_ECB), "-des-ede3 -nopad", 48),
            (Mechanism::With(CKM_DES3_CBC, iv.clone()), "-des-ede3-cbc -nopad", 48),
            (Mechanism::With(CKM_DES3_CBC_PAD, iv.clone()), "-des-ede3-cbc", 45),
        ] {
            let plain: Vec<u8> = (0..len).collect();
            let encrypted = module.encrypt(session, &mechanism, object, &plain).expect("it encrypts");
            let openssl = Openssl::new();
            openssl.write("encrypted", &encrypted);
            let iv = if cipher.contains("cbc") { format!("-iv {}", hex(&iv)) } else { String::new() };
            openssl.run(&format!("enc -d {cipher} -K {} {iv} -in encrypted -out plain", hex(&value)));
            assert_eq!(openssl.read("plain"), plain, "{cipher}");
            assert_eq!(module.decrypt(session, &mechanism, object, &encrypted).as_ref(), Ok(&plain), "{cipher}");
            for size in [1, 7, 8, 20] {
                assert_eq!(in_parts(&module, session, false, &mechanism, object, &plain, size).as_ref(), Ok(&encrypted), "{cipher}");
                assert_eq!(in_parts(&module, session, true, &mechanism, object, &encrypted, size).as_ref(), Ok(&plain), "{cipher}");
            }
        }
        assert_eq!(module.encrypt(session, &Mechanism::Plain(CKM_DES3_ECB), object, &[0; 9]), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(module.encrypt(session, &Mechanism::With(CKM_DES3_CBC, vec![0; 16]), object, &[0; 8]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

#[test]
fn ccm_takes_exactly_as_much_as_was_announced() {
    let bench = shared();
    let (local, remote) = (bench.aes(), bench.key(json!({"obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "DECRYPT"]})));
    let (module, session, keys) = bench.use_keys([&local, &remote]);
    let ccm = |data_len| Mechanism::Ccm { nonce: vec![5; 12], aad: b"associated".to_vec(), data_len };
    for key in keys {
        let plain: Vec<u8> = (0..100).collect();
        let encrypted = module.encrypt(session, &ccm(100), key, &plain).expect("it encrypts");
        assert_eq!(encrypted.len(), 116);
        // The length of the data, or of the ciphertext as some callers have it.
        for announced in [100, 116] {
            assert_eq!(module.decrypt(session, &ccm(announced), key, &encrypted).as_ref(), Ok(&plain));
        }
        assert_eq!(in_parts(&module, session, false, &ccm(100), key, &plain, 33).as_ref(), Ok(&encrypted));
        assert_eq!(in_parts(&module, session, true, &ccm(100), key, &encrypted, 33).as_ref(), Ok(&plain));
        assert_eq!(module.encrypt(session, &ccm(99), key, &plain), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(module.decrypt(session, &ccm(99), key, &encrypted), Err(CKR_ENCRYPTED_DATA_LEN_RANGE));
        let mut wrong = encrypted;
        wrong[3] ^= 1;
        assert_eq!(module.decrypt(session, &ccm(100), key, &wrong), Err(CKR_ENCRYPTED_DATA_INVALID));
    }
}

#[test]
fn a_counter_does_not_run_over() {
    let bench = shared();
    let (module, session, key) = bench.use_key(&bench.aes());
    let last_two = [&[0xff; 15][..], &[0xfe]].concat().try_into().expect("a block");
    for (bits, good, bad) in [(8, 32, 33), (9, 32, 33), (127, 32, 33), (128, 1000, 0)] {
        let ctr = Mechanism::CtrOf(bits, last_two);
        assert!(module.encrypt(session, &ctr, key, &vec![1; good]).is_ok(), "{bits}");
        if bad > 0 {
            assert_eq!(module.encrypt(session, &ctr, key, &vec![1; bad]), Err(CKR_DATA_LEN_RANGE), "{bits}");
            assert_eq!(in_parts(&module, session, false, &ctr, key, &vec![1; bad], 16), Err(CKR_DATA_LEN_RANGE), "{bits}");
            assert_eq!(module.decrypt(session, &ctr, key, &vec![1; bad]), Err(CKR_ENCRYPTED_DATA_LEN_RANGE), "{bits}");
        }
    }
    for bits in [0, 129, CK_UNAVAILABLE_INFORMATION] {
        assert_eq!(module.encrypt(session, &Mechanism::CtrOf(bits, IV), key, &[1]), Err(CKR_MECHANISM_PARAM_INVALID), "{bits}");
    }
}

/// A length that no memory has is found out before anything is read, or copied.
#[test]
fn lengths_beyond_the_key_and_beyond_memory() {
    let bench = shared();
    let key = bench.rsa();
    let (module, session, _) = bench.use_key(&key);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mut out = [0; 256];
    for (mechanism, most) in [(Mechanism::Plain(CKM_RSA_PKCS), 245), (Mechanism::Oaep, 190), (Mechanism::Plain(CKM_RSA_X_509), 256)] {
        for data_len in [most + 1, 1 << 60] {
            for place in [null_mut(), out.as_mut_ptr()] {
                mechanism.with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, public)), CKR_OK));
                let mut len = 256;
                assert_eq!(call!(module, C_Encrypt(session, nowhere(), data_len, place, &raw mut len)), CKR_DATA_LEN_RANGE, "{data_len}");
            }
        }
        let data = vec![0; most as usize];
        assert_eq!(module.encrypt(session, &mechanism, public, &data).map(|encrypted| encrypted.len()), Ok(256));
    }
    let key = secret(&module, session, CKK_AES, &[1; 16]).expect("a session key");
    Mechanism::With(CKM_AES_CBC_PAD, vec![0; 16]).with(|m| assert_eq!(call!(module, C_DecryptInit(session, m, key)), CKR_OK));
    let mut len = 16;
    assert_eq!(call!(module, C_Decrypt(session, nowhere(), 1 << 60, out.as_mut_ptr(), &raw mut len)), CKR_HOST_MEMORY);
}

/// A query begins nothing: one call may still do it all.
#[test]
fn trap_1_a_query_of_a_part_leaves_the_operation_as_it_was() {
    let bench = shared();
    let remote = bench.key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let (module, session, keys) = bench.use_keys([&bench.aes(), &remote]);
    for key in keys {
        let expected = module.encrypt(session, &gcm(), key, b"data").expect("it encrypts");
        let (mut out, mut len) = ([0; 64], 0);
        gcm().with(|m| assert_eq!(call!(module, C_EncryptInit(session, m, key)), CKR_OK));
        assert_eq!(call!(module, C_EncryptUpdate(session, bytes(b"data"), 4, null_mut(), &raw mut len)), CKR_OK);
        assert_eq!(call!(module, C_EncryptFinal(session, null_mut(), &raw mut len)), CKR_OK);
        len = 3;
        assert_eq!(call!(module, C_EncryptFinal(session, out.as_mut_ptr(), &raw mut len)), CKR_BUFFER_TOO_SMALL);
        len = 64;
        assert_eq!(call!(module, C_Encrypt(session, bytes(b"data"), 4, out.as_mut_ptr(), &raw mut len)), CKR_OK);
        assert_eq!(out[..len as usize], expected);
    }
}
