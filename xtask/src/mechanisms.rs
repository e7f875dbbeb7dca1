//! `docs/mechanisms.md`, from the table that the library itself works by.

use std::fmt::Write;
use std::path::Path;

use cryptoki_sys::*;

use crate::generated::Generated;

#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/pkcs11/mechanisms/table.rs"]
mod table;

use table::{Entry, KeyFamily, Place, TABLE};

const INTRODUCTION: &str = "\
# Mechanisms

<!-- Generated from src/pkcs11/mechanisms/table.rs by `cargo run -p xtask -- mechanisms`; do not edit. -->

What `C_GetMechanismList` answers. A key's own attributes and DSM's policies decide further: see `C_GetAttributeValue`.

**Runs** says where. *local*: in this process, without a key. *local, or DSM*: in this process where DSM lets the key be exported and for
public and session keys; a key that stays in DSM is used there, over the network. *local only*: DSM does not have it, so that a key that
stays there answers `CKR_MECHANISM_INVALID`. A function that differs from the others of its row is named. **DSM's limits** are what such a
key is able to do there, where that is less; the rest answers so too. Functions that come after the one that named the mechanism,
such as `C_Sign`, answer `CKR_FUNCTION_FAILED` instead.

A token key that is derived, decapsulated, encapsulated or unwrapped by a key of DSM comes into being in DSM, and was never here. For a session
key DSM makes a transient one, which is exported at once: where its policies forbid that, the answer is `CKR_KEY_FUNCTION_NOT_PERMITTED`.
A session key that is wrapped by a key which stays in DSM goes there as a transient key. `C_WrapKeyAuthenticated` and its counterpart take
`CKM_AES_GCM` and `CKM_AES_CCM` with `CK_GCM_MESSAGE_PARAMS` and `CK_CCM_MESSAGE_PARAMS`, where IV and tag stand, and no other structure. `C_WrapKey`
and `C_UnwrapKey` take `CK_GCM_WRAP_PARAMS` and `CK_CCM_WRAP_PARAMS`, or the parameters of an encryption, and the tag ends the wrapped key. The
token makes an IV of at most 64 bytes there.

Data in parts, such as by `C_EncryptUpdate`, is worked on as it comes with a key that is here; the plaintext of GCM, CCM and ChaCha20-Poly1305
waits for its tag, and CCM and ChaCha20-Poly1305 take their data whole. With a key that stays in DSM, CBC and CTR stream both ways and GCM
when it encrypts, by DSM's requests in parts: one for each call, or one for 64 KiB where the calls offer 4 KiB more room than they need. A
request whose answer is lost ends the operation with `CKR_DEVICE_ERROR`: it is not sent twice. All else that such a key works on goes to DSM in
one request, which takes 783,360 bytes of data: in parts as in one call, more is `CKR_DATA_LEN_RANGE`, or `CKR_ENCRYPTED_DATA_LEN_RANGE` where
the data are ciphertext. A digest is made here, so that signatures which hash do not know this limit; authentication codes, EdDSA and ML-DSA do.

AWS-LC, which does the local work, has neither SLH-DSA nor ciphertext stealing (`CKM_AES_CTS`), so that this library has neither.

Key sizes, as `C_GetMechanismInfo` tells them, are those of session keys. A secret of the token has 14 to 1024 bytes, which is what DSM keeps:
another length is `CKR_KEY_SIZE_RANGE`. RSA pairs are generated with a multiple of 128 bits, because AWS-LC makes no others; any other number is
`CKR_KEY_SIZE_RANGE` too. Keys that are imported may have other lengths between the two ends. Of the HMAC keys each mechanism takes those
of its own hash, and generic secrets.

**M** before a function marks its message form (`C_MessageEncryptInit` and its kin), whole or in parts.

Derivation takes over protection as each mechanism's section of the standard says. ECDH, HKDF, the digests of keys and the encryption of data
leave `CKA_SENSITIVE` and `CKA_EXTRACTABLE` to the template; SP 800-108 takes them from the base key where the template says nothing; what
has a key's bytes in it (`CKM_CONCATENATE_*`, `CKM_XOR_BASE_AND_DATA`, `CKM_EXTRACT_KEY_FROM_KEY`) is as protected as the key. Of a key that is
sensitive or not extractable those never take a part: a result with one unknown byte would tell it to whoever tries 256 keys, so this is
`CKR_KEY_FUNCTION_NOT_PERMITTED`. Each key that goes into a derivation needs `CKA_DERIVE`. Where a derived key's template names a use, the
uses that it leaves out are false.

`C_DigestKey` takes the keys whose value an application may read; others are `CKR_KEY_INDIGESTIBLE`.

`CKM_EDDSA` with a context or over a digest (Ed25519ctx, Ed25519ph) is done here alone: for a key that stays in DSM such a parameter is
`CKR_MECHANISM_PARAM_INVALID`.

";

/// The columns: a heading, and the function's flag.
const FUNCTIONS: [(&str, CK_FLAGS); 17] = [
    ("digest", CKF_DIGEST),
    ("encrypt", CKF_ENCRYPT),
    ("decrypt", CKF_DECRYPT),
    ("sign", CKF_SIGN),
    ("verify", CKF_VERIFY),
    ("sign recover", CKF_SIGN_RECOVER),
    ("verify recover", CKF_VERIFY_RECOVER),
    ("M encrypt", CKF_MESSAGE_ENCRYPT),
    ("M decrypt", CKF_MESSAGE_DECRYPT),
    ("M sign", CKF_MESSAGE_SIGN),
    ("M verify", CKF_MESSAGE_VERIFY),
    ("wrap", CKF_WRAP),
    ("unwrap", CKF_UNWRAP),
    ("derive", CKF_DERIVE),
    ("generate", CKF_GENERATE | CKF_GENERATE_KEY_PAIR),
    ("encapsulate", CKF_ENCAPSULATE),
    ("decapsulate", CKF_DECAPSULATE),
];

/// The file.
pub(crate) fn file(root: &Path) -> Generated {
    Generated { path: root.join("docs/mechanisms.md"), text: text().into_bytes(), mend: "cargo run -p xtask -- mechanisms" }
}

fn text() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("| mechanism | key | functions | parameter | runs | DSM's limits |\n|---|---|---|---|---|---|\n");
    for entry in TABLE {
        let parameter = if entry.parameter.is_empty() { "none".to_owned() } else { parameter(entry.parameter) };
        // Writing to a string cannot fail.
        let (name, key, functions, limits) = (entry.name, key(entry), functions(entry.functions), entry.limits);
        let _written = writeln!(text, "| `{name}` | {key} | {functions} | {parameter} | {} | {limits} |", runs(entry));
    }
    text
}

fn functions(flags: CK_FLAGS) -> String {
    let names: Vec<&str> = FUNCTIONS.iter().filter(|(_, flag)| flags & flag != 0).map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Types are set as code, prose is not.
fn parameter(words: &str) -> String {
    if words.starts_with("CK_") { format!("`{words}`") } else { words.to_owned() }
}

const fn key(entry: &Entry) -> &'static str {
    match entry.key {
        KeyFamily::None => "none",
        KeyFamily::Aes => "AES",
        KeyFamily::ChaCha20 => "ChaCha20",
        KeyFamily::Des3 => "triple DES",
        KeyFamily::Generic => "generic secret, HKDF",
        KeyFamily::Hmac => "generic secret, HMAC",
        KeyFamily::Rsa => "RSA",
        KeyFamily::Ec => "EC",
        KeyFamily::Edwards => "Ed25519",
        KeyFamily::Montgomery => "X25519",
        KeyFamily::Agreement => "EC, X25519",
        KeyFamily::MlDsa => "ML-DSA",
        KeyFamily::MlKem => "ML-KEM",
        KeyFamily::Secret => "any secret key",
        KeyFamily::Private => "any private key",
    }
}

fn runs(entry: &Entry) -> String {
    let mut text = place(entry.place).to_owned();
    for (flags, other) in entry.elsewhere {
        let _written = write!(text, "; {}: {}", functions(*flags & entry.functions), place(*other));
    }
    text
}

const fn place(place: Place) -> &'static str {
    match place {
        Place::Here => "local",
        Place::HereOrDsm => "local, or DSM",
        Place::HereOnly => "local only",
    }
}
