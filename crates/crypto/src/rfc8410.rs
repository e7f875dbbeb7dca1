//! How keys on Curve25519 are written (RFC 8410). Their encodings are a fixed head and 32 bytes.

use zeroize::Zeroizing;

/// The two kinds of keys; the value is the last byte of the algorithm's identifier, 1.3.101.x.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    X25519 = 110,
    Ed25519 = 112,
}

/// PKCS#8 of version 1 without a public key, 48 bytes: the form in which DSM exports and imports them.
pub(crate) fn pkcs8(kind: Kind, private: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut der = Zeroizing::new(Vec::with_capacity(48));
    der.extend_from_slice(&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, kind as u8, 0x04, 0x22, 0x04, 0x20]);
    der.extend_from_slice(private);
    der
}

/// SubjectPublicKeyInfo, 44 bytes.
pub(crate) fn spki(kind: Kind, public: &[u8; 32]) -> Vec<u8> {
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, kind as u8, 0x03, 0x21, 0x00];
    [&head[..], public].concat()
}
