//! Encryption in one and in several calls, MACs, digests, wrapped, derived and agreed keys.

use openssl::symm::Cipher;
use sdkms::api_model::{
    AgreeKeyMechanism, AgreeKeyRequest, Algorithm, Blob, CipherMode, CryptMode, DecryptFinalRequest, DecryptInitRequest, DecryptRequest,
    DecryptUpdateRequest, DeriveKeyMechanism, DeriveKeyRequest, DigestAlgorithm, DigestRequest, EllipticCurve, EncryptFinalRequest,
    EncryptInitRequest, EncryptRequest, EncryptResponse, EncryptUpdateRequest, KeyOperations, MacRequest, ObjectType, RsaEncryptionPadding,
    SobjectDescriptor, SobjectRequest, UnwrapKeyRequest, VerifyMacRequest, WrapKeyRequest,
};
use uuid::Uuid;

use crate::keys::{kid, make, on_curve, request};
use crate::outcome::{Failure, Outcome, expect, present, refusal};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("encrypt, decrypt: AES in ECB, CBC, CBCNOPAD, CTR, GCM; OpenSSL agrees", aes_modes),
    ("encrypt, decrypt: AES in CCM, CFB, OFB", more_aes_modes),
    ("encrypt, decrypt: AES-FF1 (tokens)", tokens),
    ("encrypt, decrypt: DES3 in CBC", des3),
    ("encrypt, decrypt: RSA in OAEP and by the key's default", rsa),
    ("encrypt, decrypt: without a session (API key on each request)", sessionless),
    ("encrypt_init, _update, _final and the same for decrypt: AES in CBC, CTR", parts),
    ("create_digest: SHA-1, SHA-2", digests),
    ("create_digest: SHA-3", sha3),
    ("mac, mac_verify: HMAC, as OpenSSL computes it", hmac),
    ("mac, mac_verify: AES-CMAC", cmac),
    ("wrap, unwrap: AES-KWP, AES-CBC, RSA-OAEP", wrap),
    ("derive: by encrypting data", derive),
    ("agree: ECDH on P-256, both sides get one secret", agree),
];

/// RFC 3610-like test material: any 32 bytes serve.
const PLAIN: &[u8; 32] = b"thirty-two bytes of a plain text";

fn encrypt_request(key: Uuid, alg: Algorithm, mode: Option<CryptMode>, plain: &[u8]) -> EncryptRequest {
    let tag_len = matches!(mode, Some(CryptMode::Symmetric(CipherMode::Gcm | CipherMode::Ccm))).then_some(128);
    EncryptRequest { key: kid(key), alg, plain: plain.to_vec().into(), mode, iv: None, ad: None, tag_len }
}

fn decrypt_request(key: Uuid, alg: Algorithm, mode: Option<CryptMode>, sealed: EncryptResponse) -> DecryptRequest {
    DecryptRequest { key: kid(key), alg: Some(alg), cipher: sealed.cipher, mode, iv: sealed.iv, ad: None, tag: sealed.tag }
}

/// Encrypts, checks that decryption gives the same bytes back, and returns what encryption gave.
fn round_trip(dsm: &Dsm, key: Uuid, alg: Algorithm, mode: Option<CryptMode>, plain: &[u8]) -> Result<EncryptResponse, Failure> {
    let sealed = dsm.app.encrypt(&encrypt_request(key, alg, mode.clone(), plain))?;
    expect(sealed.kid == Some(key), "kid is missing")?;
    let opened = dsm.app.decrypt(&decrypt_request(key, alg, mode.clone(), sealed.clone()))?;
    expect(&opened.plain[..] == plain, format!("{mode:?} gives another plaintext"))?;
    Ok(sealed)
}

fn aes_modes(dsm: &Dsm) -> Outcome {
    let value = [9; 32];
    let key = SobjectRequest { value: Some(value.to_vec().into()), ..request("aes modes", ObjectType::Aes, None) };
    let key = present(dsm.app.import_sobject(&key)?.kid, "kid")?;
    for (mode, cipher, pads) in [
        (CipherMode::Ecb, Cipher::aes_256_ecb(), false),
        (CipherMode::Cbc, Cipher::aes_256_cbc(), true),
        (CipherMode::CbcNoPad, Cipher::aes_256_cbc(), false),
        (CipherMode::Ctr, Cipher::aes_256_ctr(), false),
    ] {
        let sealed = round_trip(dsm, key, Algorithm::Aes, Some(CryptMode::Symmetric(mode)), PLAIN)?;
        let mut crypter = openssl::symm::Crypter::new(cipher, openssl::symm::Mode::Encrypt, &value, sealed.iv.as_deref())?;
        crypter.pad(pads);
        let mut ours = vec![0; PLAIN.len() + 32];
        let len = crypter.update(PLAIN, &mut ours)?;
        let len = len + crypter.finalize(&mut ours[len..])?;
        expect(sealed.cipher[..] == ours[..len], format!("OpenSSL's {mode:?} differs"))?;
    }
    let sealed = round_trip(dsm, key, Algorithm::Aes, Some(CryptMode::Symmetric(CipherMode::Gcm)), PLAIN)?;
    let (iv, tag) = (present(sealed.iv, "iv")?, present(sealed.tag, "tag")?);
    let opened = openssl::symm::decrypt_aead(Cipher::aes_256_gcm(), &value, Some(&iv), b"", &sealed.cipher, &tag)?;
    expect(opened == PLAIN, "OpenSSL opens another text")
}

fn more_aes_modes(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &request("more aes modes", ObjectType::Aes, Some(128)))?;
    for mode in [CipherMode::Ccm, CipherMode::Cfb, CipherMode::Ofb] {
        round_trip(dsm, key, Algorithm::Aes, Some(CryptMode::Symmetric(mode)), PLAIN)?;
    }
    Ok(())
}

fn tokens(dsm: &Dsm) -> Outcome {
    let fpe = sdkms::api_model::FpeOptions {
        radix: 10,
        min_length: 8,
        max_length: 32,
        preserve: vec![-1, -2, -3, -4],
        mask: None,
        luhn_check: Some(false),
        name: Some("card".into()),
    };
    let key = make(dsm, &SobjectRequest { fpe: Some(fpe), ..request("tokens", ObjectType::Aes, Some(256)) })?;
    let token = round_trip(dsm, key, Algorithm::Aes, Some(CryptMode::Symmetric(CipherMode::Ff1)), b"4000001234567899")?;
    let shape = token.cipher.len() == 16 && token.cipher.ends_with(b"7899") && token.cipher.iter().all(u8::is_ascii_digit);
    expect(shape && &token.cipher[..] != b"4000001234567899", "the token has another shape")
}

fn des3(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &request("des3 mode", ObjectType::Des3, Some(168)))?;
    round_trip(dsm, key, Algorithm::Des3, Some(CryptMode::Symmetric(CipherMode::Cbc)), PLAIN).map(drop)
}

fn rsa(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &request("rsa encryption", ObjectType::Rsa, Some(2048)))?;
    let oaep = CryptMode::Rsa(RsaEncryptionPadding::Oaep { mgf: sdkms::api_model::Mgf::Mgf1 { hash: DigestAlgorithm::Sha256 } });
    round_trip(dsm, key, Algorithm::Rsa, Some(oaep), PLAIN)?;
    round_trip(dsm, key, Algorithm::Rsa, None, PLAIN).map(drop)
}

fn sessionless(dsm: &Dsm) -> Outcome {
    let key = make(dsm, &request("sessionless", ObjectType::Aes, Some(256)))?;
    let client = dsm.sessionless()?;
    let mode = Some(CryptMode::Symmetric(CipherMode::Gcm));
    let sealed = client.encrypt(&encrypt_request(key, Algorithm::Aes, mode.clone(), PLAIN))?;
    let opened = dsm.app.decrypt(&decrypt_request(key, Algorithm::Aes, mode.clone(), sealed.clone()))?;
    expect(&opened.plain[..] == PLAIN, "another plaintext")?;
    let mut wrong = decrypt_request(key, Algorithm::Aes, mode, sealed);
    wrong.tag = Some(vec![0; 16].into());
    let refused = refusal(client.decrypt(&wrong))?;
    expect(matches!(refused, sdkms::Error::BadRequest(_)), format!("a wrong tag: {refused:?}"))
}

fn parts(dsm: &Dsm) -> Outcome {
    let id = make(dsm, &request("parts", ObjectType::Aes, Some(256)))?;
    for mode in [CipherMode::Cbc, CipherMode::Ctr] {
        let key = kid(id);
        let begun = dsm.app.encrypt_init(&EncryptInitRequest { key: key.clone(), alg: Algorithm::Aes, mode: Some(mode), iv: None })?;
        let (mut state, mut cipher) = (begun.state, Vec::new());
        for part in PLAIN.chunks(11) {
            let reply = dsm.app.encrypt_update(&EncryptUpdateRequest { key: key.clone(), plain: part.to_vec().into(), state })?;
            state = reply.state;
            cipher.extend_from_slice(&reply.cipher);
        }
        cipher.extend_from_slice(&dsm.app.encrypt_final(&EncryptFinalRequest { key: key.clone(), state })?.cipher);

        let begun = DecryptInitRequest { key: key.clone(), alg: Some(Algorithm::Aes), mode: Some(mode), iv: begun.iv };
        let (mut state, mut plain) = (dsm.app.decrypt_init(&begun)?.state, Vec::new());
        for part in cipher.chunks(7) {
            let reply = dsm.app.decrypt_update(&DecryptUpdateRequest { key: key.clone(), cipher: part.to_vec().into(), state })?;
            state = reply.state;
            plain.extend_from_slice(&reply.plain);
        }
        plain.extend_from_slice(&dsm.app.decrypt_final(&DecryptFinalRequest { key, state })?.plain);
        expect(plain == PLAIN, format!("{mode:?} in parts gives another plaintext"))?;
    }
    Ok(())
}

fn digests(dsm: &Dsm) -> Outcome {
    for (alg, theirs) in [
        (DigestAlgorithm::Sha1, openssl::sha::sha1(PLAIN).to_vec()),
        (DigestAlgorithm::Sha256, openssl::sha::sha256(PLAIN).to_vec()),
        (DigestAlgorithm::Sha384, openssl::sha::sha384(PLAIN).to_vec()),
        (DigestAlgorithm::Sha512, openssl::sha::sha512(PLAIN).to_vec()),
    ] {
        digest(dsm, alg, &theirs)?;
    }
    Ok(())
}

fn sha3(dsm: &Dsm) -> Outcome {
    use openssl::hash::{MessageDigest, hash};
    digest(dsm, DigestAlgorithm::Sha3_256, &hash(MessageDigest::sha3_256(), PLAIN)?)?;
    digest(dsm, DigestAlgorithm::Sha3_512, &hash(MessageDigest::sha3_512(), PLAIN)?)
}

fn digest(dsm: &Dsm, alg: DigestAlgorithm, theirs: &[u8]) -> Outcome {
    let ours = dsm.app.create_digest(&DigestRequest { alg, data: PLAIN.to_vec().into() })?.digest;
    expect(ours[..] == *theirs, format!("OpenSSL's {alg:?} differs"))
}

fn hmac(dsm: &Dsm) -> Outcome {
    use openssl::hash::MessageDigest;
    let value = vec![5; 32];
    let key = SobjectRequest { value: Some(value.clone().into()), ..request("hmac", ObjectType::Hmac, None) };
    let key = present(dsm.app.import_sobject(&key)?.kid, "kid")?;
    for (alg, digest) in [(DigestAlgorithm::Sha256, MessageDigest::sha256()), (DigestAlgorithm::Sha512, MessageDigest::sha512())] {
        let mac = mac_and_verify(dsm, key, Some(alg))?;
        let theirs = openssl::pkey::PKey::hmac(&value)?;
        let theirs = openssl::sign::Signer::new(digest, &theirs)?.sign_oneshot_to_vec(PLAIN)?;
        expect(mac[..] == theirs[..], format!("OpenSSL's HMAC with {alg:?} differs"))?;
    }
    Ok(())
}

fn cmac(dsm: &Dsm) -> Outcome {
    let value = vec![5; 16];
    let key = SobjectRequest { value: Some(value.clone().into()), ..request("cmac", ObjectType::Aes, None) };
    let key = present(dsm.app.import_sobject(&key)?.kid, "kid")?;
    let mac = mac_and_verify(dsm, key, None)?;
    let theirs = openssl::pkey::PKey::cmac(&Cipher::aes_128_cbc(), &value)?;
    let theirs = openssl::sign::Signer::new_without_digest(&theirs)?.sign_oneshot_to_vec(PLAIN)?;
    expect(mac[..] == theirs[..], "OpenSSL's CMAC differs")
}

fn mac_and_verify(dsm: &Dsm, key: Uuid, alg: Option<DigestAlgorithm>) -> Result<Blob, Failure> {
    let made = dsm.app.mac(&MacRequest { key: kid(key), alg, data: PLAIN.to_vec().into() })?;
    for (data, holds) in [(PLAIN.to_vec(), true), (b"another".to_vec(), false)] {
        let current = VerifyMacRequest { key: kid(key), alg, data: data.clone().into(), digest: None, mac: Some(made.mac.clone()) };
        expect(dsm.app.mac_verify(&current)?.result == holds, "mac_verify with `mac`")?;
        let older = VerifyMacRequest { digest: current.mac.clone(), mac: None, ..current };
        expect(dsm.app.mac_verify(&older)?.result == holds, "mac_verify with `digest`, as older clients do")?;
    }
    Ok(made.mac)
}

fn wrap(dsm: &Dsm) -> Outcome {
    let aes = make(dsm, &request("wrapping", ObjectType::Aes, Some(256)))?;
    let rsa = make(dsm, &request("wrapping rsa", ObjectType::Rsa, Some(2048)))?;
    let oaep = CryptMode::Rsa(RsaEncryptionPadding::Oaep { mgf: sdkms::api_model::Mgf::Mgf1 { hash: DigestAlgorithm::Sha256 } });
    let ops = KeyOperations::EXPORT | KeyOperations::ENCRYPT;
    let subject = SobjectRequest { value: Some(vec![8; 32].into()), key_ops: Some(ops), ..request("wrapped", ObjectType::Aes, None) };
    let subject = present(dsm.app.import_sobject(&subject)?.kid, "kid")?;
    for (name, key, alg, mode) in [
        ("KWP", aes, Algorithm::Aes, CryptMode::Symmetric(CipherMode::Kwp)),
        ("CBC", aes, Algorithm::Aes, CryptMode::Symmetric(CipherMode::Cbc)),
        ("OAEP", rsa, Algorithm::Rsa, oaep),
    ] {
        let request = WrapKeyRequest {
            key: kid(key),
            subject: kid(subject),
            kid: None,
            alg,
            mode: Some(mode.clone()),
            iv: None,
            ad: None,
            tag_len: None,
        };
        let wrapped = dsm.app.wrap(&request)?;
        let request = UnwrapKeyRequest {
            key: kid(key),
            alg,
            obj_type: ObjectType::Aes,
            rsa: None,
            wrapped_key: wrapped.wrapped_key,
            mode: Some(mode),
            iv: wrapped.iv,
            ad: None,
            tag: wrapped.tag,
            name: Some(format!("unwrapped {name}")),
            group_id: None,
            enabled: None,
            description: None,
            custom_metadata: None,
            key_ops: Some(KeyOperations::EXPORT),
            transient: None,
        };
        let unwrapped = dsm.app.unwrap(&request)?;
        let value = dsm.app.export_sobject(&SobjectDescriptor::Kid(present(unwrapped.kid, "kid")?))?.value;
        expect(value.as_deref() == Some(&[8; 32]), format!("{name} gives another key"))?;
    }
    Ok(())
}

fn derive(dsm: &Dsm) -> Outcome {
    let value = [3; 32];
    let key = SobjectRequest { value: Some(value.to_vec().into()), ..request("deriving", ObjectType::Aes, None) };
    let key = present(dsm.app.import_sobject(&key)?.kid, "kid")?;
    let data = EncryptRequest { key: None, ..encrypt_request(key, Algorithm::Aes, Some(CryptMode::Symmetric(CipherMode::Ecb)), PLAIN) };
    let request = DeriveKeyRequest {
        activation_date: None,
        deactivation_date: None,
        key: kid(key),
        name: Some("derived".into()),
        group_id: None,
        key_type: ObjectType::Aes,
        key_size: 256,
        mechanism: DeriveKeyMechanism::EncryptData(data),
        enabled: None,
        description: None,
        custom_metadata: None,
        key_ops: Some(KeyOperations::EXPORT),
        state: None,
        transient: None,
    };
    let derived = present(dsm.app.derive(&request)?.kid, "kid")?;
    let value_of = dsm.app.export_sobject(&SobjectDescriptor::Kid(derived))?.value;
    let mut crypter = openssl::symm::Crypter::new(Cipher::aes_256_ecb(), openssl::symm::Mode::Encrypt, &value, None)?;
    crypter.pad(false);
    let mut theirs = vec![0; 64];
    let len = crypter.update(PLAIN, &mut theirs)?;
    expect(value_of.as_deref() == Some(&theirs[..len]), "OpenSSL derives another key")
}

fn agree(dsm: &Dsm) -> Outcome {
    let pair = |name: &str| SobjectRequest { key_ops: Some(KeyOperations::AGREEKEY), ..on_curve(name, EllipticCurve::NistP256) };
    let (ours, theirs) = (make(dsm, &pair("agreeing"))?, make(dsm, &pair("agreed with"))?);
    let mut secrets = Vec::new();
    for (private, public) in [(ours, theirs), (theirs, ours)] {
        let request = AgreeKeyRequest {
            activation_date: None,
            deactivation_date: None,
            private_key: SobjectDescriptor::Kid(private),
            public_key: SobjectDescriptor::Kid(public),
            mechanism: AgreeKeyMechanism::DiffieHellman,
            name: Some(format!("secret {private}")),
            group_id: None,
            key_type: ObjectType::Secret,
            key_size: 256,
            enabled: true,
            description: None,
            custom_metadata: None,
            key_ops: Some(KeyOperations::EXPORT),
            state: None,
            transient: true,
        };
        let transient = present(dsm.app.agree(&request)?.transient_key, "transient_key")?;
        secrets.push(dsm.app.export_sobject(&SobjectDescriptor::TransientKey(transient))?.value);
    }
    expect(secrets[0].is_some() && secrets[0] == secrets[1], "the two sides have different secrets")
}
