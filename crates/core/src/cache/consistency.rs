//! Whether exported material is that of the key that its description tells of.

use dsma_api::{EllipticCurve, ObjectType, Sobject};
use dsma_crypto::{
    Buffers, CipherParams, Curve, EcPublicKey, Ed25519PublicKey, Key, MlDsaPublicKey, MlKemPublicKey, RsaPublicKey, X25519PublicKey,
};

use super::CachedKey;

impl CachedKey {
    /// The member of the description that another key has.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        let sobject = self.sobject();
        if let Some(tokens) = self.tokens() {
            return differs(sobject.key_size, bits(tokens.key.len())).then_some("key_size");
        }
        let key = self.local()?;
        if !has_size(key, sobject) {
            Some("key_size")
        } else if !has_curve(key, sobject) {
            Some("elliptic_curve")
        } else if !has_public(key, sobject) {
            Some("pub_key")
        } else {
            None
        }
    }
}

impl CachedKey {
    /// Whether the material has the check value that the description tells, where it tells one: three bytes of the encrypted zero block,
    /// in hex. Those of other lengths are made otherwise.
    pub(crate) fn has_check_value(&self) -> bool {
        let (Some(told), Some(key)) = (&self.sobject().kcv, self.local()) else { return true };
        let (mode, block_len) = match key {
            Key::Aes(_) => (CipherParams::AesEcb, 16),
            Key::Des3(_) => (CipherParams::Des3Ecb, 8),
            _ => return true,
        };
        let mut block = [0; 16];
        let made = key.encrypt(&mode, Buffers::in_place(&mut block[..block_len]), &mut []);
        let made = made.map(|_| block[..3].iter().map(|byte| format!("{byte:02X}")).collect::<String>());
        told.len() != 6 || made.is_ok_and(|made| made.eq_ignore_ascii_case(told))
    }
}

fn has_size(key: &Key, sobject: &Sobject) -> bool {
    let Some(told) = sobject.key_size else { return true };
    match key {
        // DSM leaves out the parity bits.
        Key::Des3(key) => told == bits(key.len()) || told == bits(key.len()) / 8 * 7,
        // Any bytes, which are no key by themselves.
        _ if sobject.obj_type == ObjectType::Secret => true,
        Key::Aes(key) => told == bits(key.len()),
        Key::Hmac(key) => told == bits(key.len()),
        Key::Rsa(key) => told == key.public().bits(),
        Key::RsaPublic(key) => told == key.bits(),
        _ => true,
    }
}

fn has_curve(key: &Key, sobject: &Sobject) -> bool {
    let curve = match key {
        Key::Ec(key) => key.curve(),
        Key::EcPublic(key) => key.curve(),
        _ => return true,
    };
    let curve = match curve {
        Curve::P256 => EllipticCurve::NistP256,
        Curve::P384 => EllipticCurve::NistP384,
        Curve::P521 => EllipticCurve::NistP521,
        Curve::K256 => EllipticCurve::SecP256K1,
    };
    !differs(sobject.elliptic_curve, curve)
}

/// A public key that cannot be read tells nothing.
fn has_public(key: &Key, sobject: &Sobject) -> bool {
    let Some(told) = sobject.pub_key.as_ref().map(AsRef::as_ref) else { return true };
    match key {
        Key::Rsa(key) => RsaPublicKey::from_der(told).is_ok_and(|told| told.to_spki_der() == key.public().to_spki_der()),
        Key::Ec(key) => EcPublicKey::from_spki_der(told).is_ok_and(|told| told.to_spki_der() == key.public().to_spki_der()),
        Key::Ed25519(key) => Ed25519PublicKey::from_spki_der(told).is_ok_and(|told| told == key.public()),
        Key::X25519(key) => X25519PublicKey::from_spki_der(told).is_ok_and(|told| told == key.public()),
        Key::MlDsa(key) => MlDsaPublicKey::from_spki_der(told).map_or(true, |told| told.to_spki_der() == key.public().to_spki_der()),
        Key::MlKem(key) => MlKemPublicKey::from_spki_der(told).map_or(true, |told| told.to_spki_der() == key.public().to_spki_der()),
        _ => true,
    }
}

fn bits(bytes: usize) -> u32 {
    u32::try_from(8 * bytes).unwrap_or(u32::MAX)
}

fn differs<T: PartialEq>(told: Option<T>, is: T) -> bool {
    told.is_some_and(|told| told != is)
}
