//! What callers get wrong: a code that says which mistake it was, a sentence that says the mend, and nothing secret in it.

use std::path::Path;
use std::ptr;

use serde_json::json;

use crate::api::{
    AES_CBC, AES_CBC_NOPAD, AES_CTR, AES_ECB, AES_GCM, API, AUTHENTICATION, BUFFER_TOO_SMALL, CONFIG, CREDENTIAL, CipherParams, Client,
    ECDSA_DER, Failed, INPUT_LENGTH, INVALID_ARGUMENT, IV_LENGTH, NOT_ALLOWED, NOT_FOUND, NULL_ARGUMENT, RSA_OAEP, RSA_PKCS1_SIGNATURE,
    SHA256, SignatureParams, Stats, TAG_LENGTH, UNREACHABLE, UNSUPPORTED, call, random,
};
use crate::stack::{AES_OPS, SIGN_OPS, shared};

/// The code, after a look at the sentence: it names the thing, it says what to do (behind a semicolon; of lengths, what they should
/// be), and it tells no credential.
#[track_caller]
fn refused(outcome: Result<impl Sized, Failed>, names: &str) -> u32 {
    let Err(failed) = outcome else { panic!("a call that names {names} succeeded") };
    assert!(failed.text.contains(names), "no {names:?} in: {}", failed.text);
    let mended = failed.text.contains("; ") || [IV_LENGTH, TAG_LENGTH, INPUT_LENGTH].contains(&failed.code);
    assert!(mended && !failed.text.contains('\n'), "one line with a mend expected: {}", failed.text);
    assert!(!failed.text.contains(&shared().stack.api_key()), "{}", failed.text);
    failed.code
}

#[test]
fn null_is_refused_everywhere_and_named() {
    let client = &shared().client;
    let (key, _) = shared().aes();
    let name = c"any".as_ptr();
    let cipher = CipherParams::new(AES_ECB, &[]);
    let signature = SignatureParams { scheme: ECDSA_DER, hash: SHA256, ..SignatureParams::default() };
    let (data, mut room, mut len, mut place) = ([0_u8; 16], [0_u8; 64], 64_usize, ptr::null_mut());
    let (data, room) = (data.as_ptr(), room.as_mut_ptr());
    let api = &*API;
    // SAFETY: every pointer that is not NULL is valid for its length; NULL is what is tried.
    let cases: Vec<(&str, Result<(), Failed>)> = unsafe {
        vec![
            ("client", call(|e| (api.client_open)(ptr::null(), ptr::null_mut(), e))),
            ("client", call(|e| (api.client_login)(ptr::null(), e))),
            ("client", call(|e| (api.cache_clear)(ptr::null(), ptr::null(), 0, ptr::null_mut(), e))),
            ("kids", call(|e| (api.cache_clear)(client.0, [ptr::null()].as_ptr(), 1, ptr::null_mut(), e))),
            ("client", call(|e| (api.client_stats)(ptr::null(), &mut Stats::default(), e))),
            ("stats", call(|e| (api.client_stats)(client.0, ptr::null_mut(), e))),
            ("client", call(|e| (api.key_by_name)(ptr::null(), name, &mut place, e))),
            ("name", call(|e| (api.key_by_name)(client.0, ptr::null(), &mut place, e))),
            ("key", call(|e| (api.key_by_name)(client.0, name, ptr::null_mut(), e))),
            ("client", call(|e| (api.key_by_kid)(ptr::null(), name, &mut place, e))),
            ("kid", call(|e| (api.key_by_kid)(client.0, ptr::null(), &mut place, e))),
            ("key", call(|e| (api.key_by_kid)(client.0, name, ptr::null_mut(), e))),
            ("key", call(|e| (api.key_load)(ptr::null(), e))),
            ("key", call(|e| (api.key_kid)(ptr::null(), room.cast(), &mut len, e))),
            ("kid_len", call(|e| (api.key_kid)(key.0, room.cast(), ptr::null_mut(), e))),
            ("kid", call(|e| (api.key_kid)(key.0, ptr::null_mut(), &mut len, e))),
            ("key", call(|e| (api.encrypt)(ptr::null(), &cipher, data, 16, room, &mut len, e))),
            ("params", call(|e| (api.encrypt)(key.0, ptr::null(), data, 16, room, &mut len, e))),
            ("input", call(|e| (api.encrypt)(key.0, &cipher, ptr::null(), 16, room, &mut len, e))),
            ("output", call(|e| (api.encrypt)(key.0, &cipher, data, 16, ptr::null_mut(), &mut len, e))),
            ("output_len", call(|e| (api.encrypt)(key.0, &cipher, data, 16, room, ptr::null_mut(), e))),
            (
                "params.iv",
                call(|e| (api.encrypt)(key.0, &CipherParams { iv_len: 16, iv: ptr::null(), ..cipher }, data, 16, room, &mut len, e)),
            ),
            ("params.aad", call(|e| (api.encrypt)(key.0, &CipherParams { aad_len: 1, ..cipher }, data, 16, room, &mut len, e))),
            ("params.tag", call(|e| (api.encrypt)(key.0, &CipherParams { tag_len: 1, ..cipher }, data, 16, room, &mut len, e))),
            ("params.label", call(|e| (api.encrypt)(key.0, &CipherParams { label_len: 1, ..cipher }, data, 16, room, &mut len, e))),
            ("key", call(|e| (api.decrypt)(ptr::null(), &cipher, data, 16, room, &mut len, e))),
            ("params", call(|e| (api.decrypt)(key.0, ptr::null(), data, 16, room, &mut len, e))),
            ("output_len", call(|e| (api.decrypt)(key.0, &cipher, data, 16, room, ptr::null_mut(), e))),
            ("key", call(|e| (api.sign)(ptr::null(), &signature, data, 16, room, &mut len, e))),
            ("params", call(|e| (api.sign)(key.0, ptr::null(), data, 16, room, &mut len, e))),
            ("data", call(|e| (api.sign)(key.0, &signature, ptr::null(), 16, room, &mut len, e))),
            ("signature", call(|e| (api.sign)(key.0, &signature, data, 16, ptr::null_mut(), &mut len, e))),
            ("signature_len", call(|e| (api.sign)(key.0, &signature, data, 16, room, ptr::null_mut(), e))),
            ("key", call(|e| (api.verify)(ptr::null(), &signature, data, 16, room, 64, e))),
            ("params", call(|e| (api.verify)(key.0, ptr::null(), data, 16, room, 64, e))),
            ("data", call(|e| (api.verify)(key.0, &signature, ptr::null(), 16, room, 64, e))),
            ("signature", call(|e| (api.verify)(key.0, &signature, data, 16, ptr::null(), 64, e))),
            ("buffer", call(|e| (api.random)(ptr::null_mut(), 1, e))),
        ]
    };
    for (number, (names, outcome)) in cases.into_iter().enumerate() {
        assert_eq!(refused(outcome, &format!("{names} is NULL")), NULL_ARGUMENT, "case {number}");
    }
    // SAFETY: NULL is ignored by what frees, and answered by what tells.
    unsafe {
        (api.client_free)(ptr::null_mut());
        (api.key_free)(ptr::null_mut());
        (api.error_free)(ptr::null_mut());
        assert_eq!(*(api.error_message)(ptr::null()), 0);
        // Nobody wants the error: the code alone.
        assert_eq!((api.key_load)(ptr::null(), ptr::null_mut()), NULL_ARGUMENT);
    }
}

#[test]
fn a_short_buffer_is_told_what_is_needed_and_nothing_is_consumed() {
    let bench = shared();
    let (aes, _) = bench.aes();
    let iv = random(16);
    let params = CipherParams::new(AES_CBC, &iv);
    for room in [0, 1, 31] {
        let (outcome, needed) = aes.encrypt_into(&params, &[1; 16], room);
        assert_eq!((refused(outcome, "at least 32 bytes"), needed), (BUFFER_TOO_SMALL, 32));
    }
    assert_eq!(aes.encrypt_into(&params, &[1; 16], 32).0.expect("encrypts").len(), 32);

    let (rsa, _) = bench.generate(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": SIGN_OPS}));
    let params = SignatureParams { scheme: RSA_PKCS1_SIGNATURE, hash: SHA256, ..SignatureParams::default() };
    let (mut room, mut len) = ([0; 255], 255);
    // SAFETY: an open key, data, and room of that length.
    let outcome = call(|e| unsafe { (API.sign)(rsa.0, &params, room.as_ptr(), 0, room.as_mut_ptr(), &mut len, e) });
    assert_eq!((refused(outcome, "at least 256 bytes"), len), (BUFFER_TOO_SMALL, 256));
    assert_eq!(rsa.sign(&params, b"").expect("signs").len(), 256);

    let mut len = 36;
    // SAFETY: an open key, and room of that length.
    let outcome = call(|e| unsafe { (API.key_kid)(aes.0, room.as_mut_ptr().cast(), &mut len, e) });
    assert_eq!((refused(outcome, "at least 37 bytes"), len), (BUFFER_TOO_SMALL, 37));
}

#[test]
fn lengths_that_do_not_fit_the_mode() {
    let (key, _) = shared().aes();
    let iv = random(32);
    let mut tag = [0; 32];
    for (mode, iv_len) in [(AES_CBC, 0), (AES_CBC, 15), (AES_CBC_NOPAD, 17), (AES_CTR, 12), (AES_GCM, 0)] {
        let mut params = CipherParams::new(mode, &iv[..iv_len]);
        if mode == AES_GCM {
            params = params.tag(&mut tag[..16]);
        }
        assert_eq!(refused(key.encrypt(&params, &[0; 16]), "IV"), IV_LENGTH, "mode {mode}, {iv_len} bytes");
        assert_eq!(refused(key.decrypt(&params, &[0; 16]), "IV"), IV_LENGTH, "mode {mode}, {iv_len} bytes");
    }
    for (mode, tag_len) in [(AES_GCM, 0), (AES_GCM, 3), (AES_GCM, 17), (AES_CTR, 16)] {
        let params = CipherParams::new(mode, &iv[..if mode == AES_GCM { 12 } else { 16 }]).tag(&mut tag[..tag_len]);
        assert_eq!(refused(key.encrypt(&params, &[0; 16]), "tag"), TAG_LENGTH, "mode {mode}, {tag_len} bytes");
        assert_eq!(refused(key.decrypt(&params, &[0; 16]), "tag"), TAG_LENGTH, "mode {mode}, {tag_len} bytes");
    }
    for (mode, iv_len) in [(AES_CBC_NOPAD, 16), (AES_ECB, 0)] {
        let params = CipherParams::new(mode, &iv[..iv_len]);
        assert_eq!(refused(key.encrypt(&params, &[0; 15]), "whole blocks"), INPUT_LENGTH);
        assert_eq!(refused(key.decrypt(&params, &[0; 17]), "whole blocks"), INPUT_LENGTH);
    }
}

#[test]
fn changed_data_do_not_decrypt() {
    let (key, _) = shared().aes();
    let iv = random(16);
    let mut tag = [0; 16];
    let params = CipherParams::new(AES_GCM, &iv[..12]).aad(b"aad").tag(&mut tag);
    let cipher = key.encrypt(&params, b"a text").expect("encrypts");
    let mut changed = cipher.clone();
    changed[0] ^= 1;
    assert_eq!(refused(key.decrypt(&params, &changed), "the tag or the padding"), AUTHENTICATION);
    assert_eq!(refused(key.decrypt(&params.aad(b"AAD"), &cipher), "the tag or the padding"), AUTHENTICATION);
    tag[15] ^= 1;
    let params = CipherParams::new(AES_GCM, &iv[..12]).aad(b"aad").tag(&mut tag);
    let mut output = *b"leave nothing of the text here";
    let mut len = output.len();
    // SAFETY: an open key and buffers of those lengths.
    let outcome = call(|e| unsafe { (API.decrypt)(key.0, &params, cipher.as_ptr(), cipher.len(), output.as_mut_ptr(), &mut len, e) });
    assert_eq!(refused(outcome, "the tag or the padding"), AUTHENTICATION);
    assert!(!output.starts_with(b"a text"));

    let params = CipherParams::new(AES_CBC, &iv);
    let mut cipher = key.encrypt(&params, &[7; 16]).expect("encrypts");
    cipher[15] ^= 1;
    assert_eq!(refused(key.decrypt(&params, &cipher), "the tag or the padding"), AUTHENTICATION);
}

#[test]
fn values_that_nobody_knows() {
    let bench = shared();
    let (key, _) = bench.aes();
    assert_eq!(refused(bench.client.kid("not-a-uuid"), "kid is no UUID"), INVALID_ARGUMENT);
    assert_eq!(refused(bench.client.key(""), "name is empty"), INVALID_ARGUMENT);
    assert_eq!(refused(bench.client.clear(Some(&["x"])), "kid is no UUID"), INVALID_ARGUMENT);
    let mut place = ptr::null_mut();
    // SAFETY: an open client, a string that is not UTF-8, places.
    let outcome = call(|e| unsafe { (API.key_by_name)(bench.client.0, c"\xff".as_ptr(), &mut place, e) });
    assert_eq!(refused(outcome, "name is not UTF-8"), INVALID_ARGUMENT);

    let params = CipherParams::new(99, &[]);
    assert_eq!(refused(key.encrypt(&params, b""), "params.mode"), INVALID_ARGUMENT);
    let params = CipherParams { reserved: [0, 0, 0, 1], ..CipherParams::new(AES_ECB, &[]) };
    assert_eq!(refused(key.encrypt(&params, b""), "params.reserved"), INVALID_ARGUMENT);
    let iv = [0; 16];
    for (mode, iv, aad) in [(AES_ECB, &iv[..], &b""[..]), (AES_CBC, &iv[..], b"aad"), (AES_CTR, &iv[..], b"aad"), (RSA_OAEP, &iv[..], b"")]
    {
        let params = CipherParams { hash: SHA256, ..CipherParams::new(mode, iv).aad(aad) };
        assert_eq!(refused(key.encrypt(&params, b""), "has no meaning in this mode"), INVALID_ARGUMENT, "mode {mode}");
    }
    let params = CipherParams { hash: 99, ..CipherParams::new(RSA_OAEP, &[]) };
    assert_eq!(refused(key.encrypt(&params, b""), "params.hash"), INVALID_ARGUMENT);
    let params = CipherParams { hash: SHA256, mgf1_hash: 99, ..params };
    assert_eq!(refused(key.encrypt(&params, b""), "params.mgf1_hash"), INVALID_ARGUMENT);
    let good = SignatureParams { scheme: ECDSA_DER, hash: SHA256, ..SignatureParams::default() };
    assert_eq!(refused(key.sign(&SignatureParams { scheme: 0, ..good }, b""), "params.scheme"), INVALID_ARGUMENT);
    assert_eq!(refused(key.sign(&SignatureParams { hash: 0, ..good }, b""), "params.hash"), INVALID_ARGUMENT);
    assert_eq!(refused(key.sign(&SignatureParams { reserved: [1; 7], ..good }, b""), "params.reserved"), INVALID_ARGUMENT);
    assert_eq!(refused(key.sign(&good, b""), "key \"capi"), NOT_ALLOWED);
    let (rsa, _) = bench.generate(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": SIGN_OPS}));
    assert_eq!(refused(rsa.sign(&good, b""), "key \"capi"), UNSUPPORTED);

    let input = [0; 16];
    let mut output = [0; 16];
    let mut len = usize::MAX;
    // SAFETY: an impossible length is refused before the pointer is used.
    let outcome =
        call(|e| unsafe { (API.encrypt)(key.0, &CipherParams::new(AES_ECB, &[]), input.as_ptr(), 16, output.as_mut_ptr(), &mut len, e) });
    assert_eq!(refused(outcome, "output has an impossible length"), INVALID_ARGUMENT);
}

#[test]
fn a_tag_or_signature_on_top_of_other_buffers_is_refused() {
    let (key, _) = shared().aes();
    let mut buffer = random(64);
    let start = buffer.as_mut_ptr();
    let mut len = 16;
    // SAFETY: all ranges lie in `buffer`; their overlap is what is tried.
    unsafe {
        let over_output = CipherParams { tag: start.add(16), tag_len: 16, ..CipherParams::new(AES_GCM, &[1; 12]) };
        let outcome = call(|e| (API.encrypt)(key.0, &over_output, start, 16, start.add(8), &mut len, e));
        assert_eq!(refused(outcome, "overlaps"), INVALID_ARGUMENT);
        let over_iv = CipherParams { iv: start.add(40), iv_len: 12, ..over_output };
        let over_iv = CipherParams { tag: start.add(50), ..over_iv };
        let outcome = call(|e| (API.encrypt)(key.0, &over_iv, start, 16, start, &mut len, e));
        assert_eq!(refused(outcome, "overlaps"), INVALID_ARGUMENT);
        let params = SignatureParams { scheme: ECDSA_DER, hash: SHA256, ..SignatureParams::default() };
        let outcome = call(|e| (API.sign)(key.0, &params, start, 20, start.add(19), &mut len, e));
        assert_eq!(refused(outcome, "overlaps"), INVALID_ARGUMENT);
    }
}

#[test]
fn keys_that_are_not_there_or_not_ours() {
    let bench = shared();
    let iv = random(16);
    let params = CipherParams::new(AES_CTR, &iv);
    let unknown = bench.client.key("no key has this name").expect("opens without the network");
    assert_eq!(refused(unknown.encrypt(&params, b"x"), "key \"no key has this name\""), NOT_FOUND);
    assert_eq!(refused(unknown.kid(), "key \"no key has this name\""), NOT_FOUND);
    let unknown = bench.client.kid("00000000-0000-4000-8000-000000000000").expect("opens without the network");
    assert_eq!(refused(unknown.load(), "key 00000000-"), NOT_FOUND);

    let (key, kid) = bench.aes();
    let reply = bench.stack.dsm().request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false})));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(refused(key.encrypt(&params, b"x"), "disabled"), NOT_ALLOWED);

    let (key, _) = bench.generate(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["DECRYPT", "EXPORT"]}));
    assert_eq!(refused(key.encrypt(&params, b"x"), "key \"capi"), NOT_ALLOWED);
    key.decrypt(&params, b"x").expect("that it may");
    let (name, _) = bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    bench.client.key(&name).expect("opens").load().expect("is there");
}

#[test]
fn configurations_that_cannot_be_used() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("a file is written");
        Client::open(&path)
    };
    assert_eq!(refused(Client::open(Path::new("/no/such/file.conf")), "/no/such/file.conf"), CONFIG);
    assert_eq!(refused(open("syntax.conf", "api_endpoint = \n"), "syntax.conf"), CONFIG);
    assert_eq!(refused(open("value.conf", "cache_ttl = \"soon\"\n"), "cache_ttl"), CONFIG);

    let stack = &shared().stack;
    let conf = std::fs::read_to_string(stack.pkcs11_conf()).expect("a configuration");
    let wrong = base64_simd::STANDARD.encode_to_string(format!("{}:{}", uuid::Uuid::new_v4(), "not the secret of anybody"));
    let stranger = open("stranger.conf", &conf.replace(&stack.api_key(), &wrong)).expect("opens without the network");
    assert_eq!(refused(stranger.login(), "api_key"), CREDENTIAL);
    let down = conf.replace(&stack.endpoint(), "https://localhost:1").replace("retry_timeout_millis = 60000", "retry_timeout_millis = 0");
    let down = open("down.conf", &down).expect("opens without the network");
    assert_eq!(refused(down.login(), "https://localhost:1"), UNREACHABLE);
    shared().client.login().expect("logs in");
}
