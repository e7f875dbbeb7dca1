//! Key generation (section 5.18): in this process for a session, in DSM for the token.

use cryptoki_sys::*;
use dsma_crypto::{
    EcPrivateKey, Ed25519PrivateKey, Error as Crypto, MlDsaPrivateKey, MlKemPrivateKey, RsaPrivateKey, X25519PrivateKey, random,
};
use zeroize::Zeroizing;

use super::error::During;
use super::ffi::{Mechanism, Place, Template};
use super::objects::{Draft, KeyKind, LocalKey, NewPair, Origin, curve, generate_in_dsm, ml_dsa_set, ml_kem_set, undo};
use super::{Error, Result, derivation, mechanisms, session_table};

/// The longest generic secret; DSM's HMAC keys have at most as many.
const LONGEST_SECRET: usize = 1024;

/// What a pair is made of.
struct PairSpec {
    kind: KeyKind,
    /// RSA: bits of the modulus and the public exponent.
    rsa: Option<(u32, u32)>,
}

/// C_GenerateKey.
pub(super) fn generate_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    template: &Template<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    key.check()?;
    if mechanism.kind()? == CKM_PKCS5_PBKD2 {
        return key.set(derivation::key_from_password(&session, mechanism, template)?);
    }
    let kind = mechanisms::generation(&session, mechanism, CKF_GENERATE)?;
    let (key_type, fixed) = secret_type(kind).ok_or(Error::MechanismInvalid)?;
    let draft = Draft::new(&session, template, Some(CKO_SECRET_KEY), Some(key_type), Origin::Generated(kind))?;
    let len = match (draft.value_len(), fixed) {
        (Some(given), Len::Fixed(len)) if given != len => return Err(Error::TemplateInconsistent),
        (_, Len::Fixed(len)) => len,
        (given, Len::Usual(len)) => given.unwrap_or(len),
        (given, Len::Given) => given.ok_or(Error::TemplateIncomplete)?,
    };
    let fits = match key_type {
        CKK_AES => matches!(len, 16 | 24 | 32),
        _ => (1..=LONGEST_SECRET).contains(&len),
    };
    if !fits {
        return Err(Error::AttributeValueInvalid);
    }
    if draft.is_token() {
        return key.set(draft.generate_in_dsm(&session, len)?);
    }
    let mut bytes = Zeroizing::new(vec![0; len]);
    random::fill(&mut bytes).map_err(|error| Error::from_crypto(error, During::Creating))?;
    set_parity(key_type, &mut bytes);
    key.set(draft.finish_secret(&session, &bytes)?)
}

/// C_GenerateKeyPair.
pub(super) fn generate_key_pair(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    public_template: &Template<'_>,
    private_template: &Template<'_>,
    mut public_key: Place<'_, CK_OBJECT_HANDLE>,
    mut private_key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    public_key.check()?;
    private_key.check()?;
    let mechanism = mechanisms::generation(&session, mechanism, CKF_GENERATE_KEY_PAIR)?;
    let key_type = pair_type(mechanism).ok_or(Error::MechanismInvalid)?;
    let origin = Origin::Generated(mechanism);
    let public = Draft::new(&session, public_template, Some(CKO_PUBLIC_KEY), Some(key_type), origin)?;
    let private = Draft::new(&session, private_template, Some(CKO_PRIVATE_KEY), Some(key_type), origin)?;
    let spec = PairSpec::read(key_type, &public, &private)?;
    let (public_handle, private_handle) = if private.is_token() {
        generate_in_dsm(&session, NewPair { public, private, kind: spec.kind, rsa: spec.rsa })?
    } else {
        let key = spec.generate().map_err(|error| Error::from_crypto(error, During::Creating))??;
        let public_handle = public.finish_with(&session, Some(key.to_public()?))?;
        // A pair is made whole or not at all.
        let private_handle = private.finish_with(&session, Some(key)).inspect_err(|_| undo(&session, public_handle))?;
        (public_handle, private_handle)
    };
    public_key.set(public_handle)?;
    private_key.set(private_handle)
}

/// The mechanism that generates keys of this type; each has one at most.
pub(super) fn generator(key_type: CK_KEY_TYPE) -> Option<CK_MECHANISM_TYPE> {
    let made = |mechanism| secret_type(mechanism).map(|(made, _)| made).or_else(|| pair_type(mechanism));
    mechanisms::TABLE.iter().map(|entry| entry.kind).find(|mechanism| made(*mechanism) == Some(key_type))
}

/// How long a generated secret is.
enum Len {
    /// Always so many bytes.
    Fixed(usize),
    /// So many where the template says nothing.
    Usual(usize),
    /// What the template says.
    Given,
}

const fn secret_type(mechanism: CK_MECHANISM_TYPE) -> Option<(CK_KEY_TYPE, Len)> {
    Some(match mechanism {
        CKM_AES_KEY_GEN => (CKK_AES, Len::Given),
        CKM_DES2_KEY_GEN => (CKK_DES2, Len::Fixed(16)),
        CKM_DES3_KEY_GEN => (CKK_DES3, Len::Fixed(24)),
        CKM_CHACHA20_KEY_GEN => (CKK_CHACHA20, Len::Fixed(32)),
        CKM_GENERIC_SECRET_KEY_GEN => (CKK_GENERIC_SECRET, Len::Given),
        CKM_HKDF_KEY_GEN => (CKK_HKDF, Len::Given),
        CKM_SHA_1_KEY_GEN => (CKK_SHA_1_HMAC, Len::Usual(20)),
        CKM_SHA224_KEY_GEN => (CKK_SHA224_HMAC, Len::Usual(28)),
        CKM_SHA256_KEY_GEN => (CKK_SHA256_HMAC, Len::Usual(32)),
        CKM_SHA384_KEY_GEN => (CKK_SHA384_HMAC, Len::Usual(48)),
        CKM_SHA512_KEY_GEN => (CKK_SHA512_HMAC, Len::Usual(64)),
        CKM_SHA3_224_KEY_GEN => (CKK_SHA3_224_HMAC, Len::Usual(28)),
        CKM_SHA3_256_KEY_GEN => (CKK_SHA3_256_HMAC, Len::Usual(32)),
        CKM_SHA3_384_KEY_GEN => (CKK_SHA3_384_HMAC, Len::Usual(48)),
        CKM_SHA3_512_KEY_GEN => (CKK_SHA3_512_HMAC, Len::Usual(64)),
        _ => return None,
    })
}

const fn pair_type(mechanism: CK_MECHANISM_TYPE) -> Option<CK_KEY_TYPE> {
    Some(match mechanism {
        CKM_RSA_PKCS_KEY_PAIR_GEN => CKK_RSA,
        CKM_EC_KEY_PAIR_GEN => CKK_EC,
        CKM_EC_EDWARDS_KEY_PAIR_GEN => CKK_EC_EDWARDS,
        CKM_EC_MONTGOMERY_KEY_PAIR_GEN => CKK_EC_MONTGOMERY,
        CKM_ML_DSA_KEY_PAIR_GEN => CKK_ML_DSA,
        CKM_ML_KEM_KEY_PAIR_GEN => CKK_ML_KEM,
        _ => return None,
    })
}

impl PairSpec {
    /// The parameters, which are in the public template; what the private one repeats must be the same.
    fn read(key_type: CK_KEY_TYPE, public: &Draft<'_>, private: &Draft<'_>) -> Result<Self> {
        for kind in [CKA_EC_PARAMS, CKA_PARAMETER_SET] {
            if private.get(kind).is_some_and(|given| public.get(kind).is_some_and(|other| other != given)) {
                return Err(Error::TemplateInconsistent);
            }
        }
        let kind = match key_type {
            CKK_RSA => return Self::rsa(public),
            CKK_ML_DSA => KeyKind::MlDsa(ml_dsa_set(public.attributes())?),
            CKK_ML_KEM => KeyKind::MlKem(ml_kem_set(public.attributes())?),
            _ => {
                let params = public.get(CKA_EC_PARAMS).ok_or(Error::TemplateIncomplete)?;
                curve(key_type, params).ok_or(Error::CurveNotSupported)?
            }
        };
        Ok(Self { kind, rsa: None })
    }

    fn rsa(public: &Draft<'_>) -> Result<Self> {
        let bits = public.attributes().number(CKA_MODULUS_BITS).ok_or(Error::TemplateIncomplete)?;
        // aws-lc rounds other lengths down to a multiple of 128.
        if !(1024..=8192).contains(&bits) || bits % 128 != 0 {
            return Err(Error::KeySizeRange);
        }
        let exponent = match public.get(CKA_PUBLIC_EXPONENT) {
            Some(bytes) => {
                let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
                let exponent = digits.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
                let exponent = u32::try_from(exponent).ok().filter(|_| digits.len() <= 4);
                exponent.filter(|exponent| *exponent >= 3 && exponent % 2 == 1).ok_or(Error::AttributeValueInvalid)?
            }
            None => 65537,
        };
        Ok(Self { kind: KeyKind::Rsa, rsa: Some((bits as u32, exponent)) })
    }

    /// Makes the private key here.
    fn generate(&self) -> std::result::Result<Result<LocalKey>, Crypto> {
        let pkcs8 = match self.kind {
            KeyKind::Rsa => {
                let (bits, exponent) = self.rsa.ok_or(Crypto::Unsupported)?;
                RsaPrivateKey::generate(bits, exponent)?.to_pkcs8_der()?
            }
            KeyKind::Ec(curve) => EcPrivateKey::generate(curve)?.to_pkcs8_der()?,
            KeyKind::Ed25519 => Ed25519PrivateKey::generate()?.to_pkcs8_der(),
            KeyKind::X25519 => X25519PrivateKey::generate()?.to_pkcs8_der(),
            KeyKind::MlDsa(set) => MlDsaPrivateKey::generate(set)?.to_pkcs8_der()?,
            KeyKind::MlKem(set) => MlKemPrivateKey::generate(set)?.to_pkcs8_der()?,
            KeyKind::Aes | KeyKind::ChaCha20 | KeyKind::Des3 | KeyKind::Secret(_) => return Err(Crypto::Unsupported),
        };
        Ok(LocalKey::private(self.kind.key_type(), &pkcs8))
    }
}

/// Sets the parity bits of a triple DES key; other keys stay as they are.
pub(super) fn set_parity(key_type: CK_KEY_TYPE, key: &mut [u8]) {
    if matches!(key_type, CKK_DES2 | CKK_DES3) {
        key.iter_mut().for_each(|byte| *byte = odd_parity(*byte));
    }
}

/// The lowest bit makes the number of ones odd (NIST SP 800-67, section 2).
const fn odd_parity(byte: u8) -> u8 {
    byte & 0xfe | (byte >> 1).count_ones().is_multiple_of(2) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_is_odd() {
        assert!((0..=255).all(|byte| odd_parity(byte).count_ones() % 2 == 1 && odd_parity(byte) >> 1 == byte >> 1));
    }
}
