//! Keys on curves: SEC1 for the Weierstrass curves, PKCS #8 of RFC 8410 for Ed25519 and X25519.

use dsma_api::{ApiError, EllipticCurve, ObjectType};
use dsma_crypto::{Curve, EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey, Error, Key, X25519PrivateKey, X25519PublicKey};
use zeroize::Zeroizing;

use super::{Material, internal, invalid, no_operation};

/// DSM's names of the Weierstrass curves that this version serves, with the bits of their fields.
const CURVES: &[(EllipticCurve, Curve, u32)] = &[
    (EllipticCurve::NistP256, Curve::P256, 256),
    (EllipticCurve::NistP384, Curve::P384, 384),
    (EllipticCurve::NistP521, Curve::P521, 521),
    (EllipticCurve::SecP256K1, Curve::K256, 256),
];

pub(super) fn generate(curve: Option<EllipticCurve>) -> Result<Material, ApiError> {
    match curve.ok_or_else(|| ApiError::bad_request("Missing field `elliptic_curve`"))? {
        EllipticCurve::Ed25519 => Ok(ed25519(&Ed25519PrivateKey::generate().map_err(internal)?)),
        EllipticCurve::X25519 => Ok(x25519(&X25519PrivateKey::generate().map_err(internal)?)),
        name => {
            let (_, curve, _) = CURVES.iter().find(|(known, ..)| *known == name).ok_or_else(no_curve)?;
            weierstrass(&EcPrivateKey::generate(*curve).map_err(internal)?)
        }
    }
}

/// SEC1 or PKCS #8, or a public key alone. The value says which curve it is.
pub(super) fn import(value: &[u8]) -> Result<Material, ApiError> {
    if let Ok(key) = EcPrivateKey::from_der(value) {
        return weierstrass(&key);
    }
    if let Ok(key) = Ed25519PrivateKey::from_der(value) {
        return Ok(ed25519(&key));
    }
    if let Ok(key) = X25519PrivateKey::from_der(value) {
        return Ok(x25519(&key));
    }
    if let Ok(key) = Ed25519PublicKey::from_spki_der(value) {
        return Ok(material(EllipticCurve::Ed25519, 256, None, key.to_spki_der()));
    }
    if let Ok(key) = X25519PublicKey::from_spki_der(value) {
        return Ok(material(EllipticCurve::X25519, 256, None, key.to_spki_der()));
    }
    weierstrass_public(&EcPublicKey::from_spki_der(value).map_err(|error| invalid("EC key", error))?, None)
}

/// A key for signatures; agreement reads the material itself.
pub(super) fn parse(curve: Option<EllipticCurve>, value: Option<&[u8]>, spki: &[u8]) -> Result<Key, ApiError> {
    let key: Result<Key, Error> = match (curve, value) {
        (Some(EllipticCurve::X25519), _) => return Err(no_operation()),
        (Some(EllipticCurve::Ed25519), Some(value)) => Ed25519PrivateKey::from_der(value).map(Key::Ed25519),
        (Some(EllipticCurve::Ed25519), None) => Ed25519PublicKey::from_spki_der(spki).map(Key::Ed25519Public),
        (_, Some(value)) => EcPrivateKey::from_der(value).map(Key::Ec),
        (_, None) => EcPublicKey::from_spki_der(spki).map(Key::EcPublic),
    };
    key.map_err(internal)
}

fn ed25519(key: &Ed25519PrivateKey) -> Material {
    material(EllipticCurve::Ed25519, 256, Some(key.to_pkcs8_der()), key.public().to_spki_der())
}

fn x25519(key: &X25519PrivateKey) -> Material {
    material(EllipticCurve::X25519, 256, Some(key.to_pkcs8_der()), key.public().to_spki_der())
}

fn weierstrass(key: &EcPrivateKey) -> Result<Material, ApiError> {
    weierstrass_public(&key.public(), Some(key.to_sec1_der()))
}

fn weierstrass_public(key: &EcPublicKey, value: Option<Zeroizing<Vec<u8>>>) -> Result<Material, ApiError> {
    let (name, _, bits) = CURVES.iter().find(|(_, curve, _)| *curve == key.curve()).ok_or_else(no_curve)?;
    Ok(material(*name, *bits, value, key.to_spki_der()))
}

fn material(curve: EllipticCurve, bits: u32, value: Option<Zeroizing<Vec<u8>>>, spki: Vec<u8>) -> Material {
    Material { key_size: Some(bits), curve: Some(curve), value, pub_key: Some(spki), ..Material::new(ObjectType::Ec) }
}

fn no_curve() -> ApiError {
    ApiError::bad_request(
        "This elliptic_curve is not supported by this version: NistP256, NistP384, NistP521, SecP256K1, Ed25519 and X25519 are",
    )
}
