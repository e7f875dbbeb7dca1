//! CKM_ECDH1_DERIVE, CKM_HKDF_DERIVE, CKM_SP800_108_COUNTER_KDF and CKM_SP800_108_FEEDBACK_KDF.

use cryptoki_sys::*;
use dsma_core::Peer;
use dsma_crypto::digest::Hash;
use dsma_crypto::kdf::{self, Field};
use dsma_crypto::{Key, MacScheme};
use zeroize::Zeroizing;

use super::super::error::During;
use super::super::ffi::{HkdfSalt, KdfField, Mechanism};
use super::super::objects::{KeyKind, KeySource, Object, peer};
use super::super::sessions::Session;
use super::{Error, Result, digest};

/// A derivation with its parameters.
pub(in crate::pkcs11) enum Derivation {
    /// The secret as it is, or through the KDF of ANSI X9.63.
    Agreement {
        peer: Peer,
        kdf: Option<Hash>,
        shared: Box<[u8]>,
    },
    Hkdf {
        hash: Hash,
        extract: bool,
        expand: bool,
        salt: Zeroizing<Vec<u8>>,
        info: Box<[u8]>,
    },
    /// Counter mode, or feedback where `initial` is there.
    Sp800108 {
        prf: MacScheme,
        fields: Vec<OwnedField>,
        initial: Option<Box<[u8]>>,
    },
}

/// A field of SP 800-108 that outlives the caller's structures.
pub(in crate::pkcs11) enum OwnedField {
    Counter {
        width: usize,
        little_endian: bool,
    },
    Feedback,
    /// The length of the key, or of all rounds together.
    Length {
        width: usize,
        little_endian: bool,
        of_rounds: bool,
    },
    Fixed(Box<[u8]>),
}

pub(super) fn read(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, session: &Session, base: &Object) -> Result<Derivation> {
    match kind {
        CKM_ECDH1_DERIVE => agreement(mechanism, base),
        CKM_HKDF_DERIVE => hkdf(mechanism, session),
        CKM_SP800_108_COUNTER_KDF | CKM_SP800_108_FEEDBACK_KDF => sp800_108(kind, mechanism, base),
        _ => Err(Error::MechanismInvalid),
    }
}

/// The other side's point may come bare or in an OCTET STRING (trap 27).
fn agreement(mechanism: Mechanism<'_>, base: &Object) -> Result<Derivation> {
    let given = mechanism.ecdh()?;
    let shared = given.shared_data.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let kdf = match given.kdf {
        CKD_NULL if shared.is_empty() => None,
        kdf => Some(digest::of_x9_63(kdf).ok_or(Error::MechanismParamInvalid)?),
    };
    let point = given.public_data.bytes().map_err(|_| Error::MechanismParamInvalid)?;
    let peer = base.kind().and_then(|kind| peer(kind, point)).ok_or(Error::MechanismParamInvalid)?;
    Ok(Derivation::Agreement { peer, kdf, shared: shared.into() })
}

fn hkdf(mechanism: Mechanism<'_>, session: &Session) -> Result<Derivation> {
    let given = mechanism.hkdf()?;
    let hash = digest::of_digest(given.hash).ok_or(Error::MechanismParamInvalid)?;
    if !given.extract && !given.expand {
        return Err(Error::MechanismParamInvalid);
    }
    let salt = match given.salt {
        HkdfSalt::None => Zeroizing::default(),
        HkdfSalt::Data(salt) => Zeroizing::new(salt.bytes().map_err(|_| Error::MechanismParamInvalid)?.to_vec()),
        HkdfSalt::Key(handle) => match session.key(handle)?.source()? {
            KeySource::Local(key) => Zeroizing::new(key.secret_bytes().ok_or(Error::KeyTypeInconsistent)?.to_vec()),
            KeySource::Dsm(_) => return Err(Error::KeyHandleInvalid),
        },
    };
    let info = given.info.bytes().map_err(|_| Error::MechanismParamInvalid)?.into();
    Ok(Derivation::Hkdf { hash, extract: given.extract, expand: given.expand, salt, info })
}

fn sp800_108(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>, base: &Object) -> Result<Derivation> {
    let feedback = kind == CKM_SP800_108_FEEDBACK_KDF;
    let given = if feedback { mechanism.feedback_kdf()? } else { mechanism.counter_kdf()? };
    let prf = match (given.prf, base.kind()) {
        (CKM_AES_CMAC, Some(KeyKind::Aes)) | (CKM_DES3_CMAC, Some(KeyKind::Des3)) => MacScheme::Cmac,
        (CKM_AES_CMAC | CKM_DES3_CMAC, _) => return Err(Error::KeyTypeInconsistent),
        (prf, Some(KeyKind::Secret(_))) => {
            MacScheme::Hmac { hash: digest::of_hmac(prf).or_else(|| digest::of_digest(prf)).ok_or(Error::MechanismParamInvalid)? }
        }
        _ => return Err(Error::KeyTypeInconsistent),
    };
    let width = |bits: CK_ULONG| usize::try_from(bits).ok().filter(|bits| matches!(bits, 8 | 16 | 24 | 32 | 40 | 48 | 56 | 64));
    let mut fields = Vec::with_capacity(given.fields.len());
    let mut iterated = false;
    for field in &given.fields {
        let counter = |format: &CK_SP800_108_COUNTER_FORMAT| -> Result<OwnedField> {
            let width = width(format.ulWidthInBits).ok_or(Error::MechanismParamInvalid)? / 8;
            Ok(OwnedField::Counter { width, little_endian: format.bLittleEndian != CK_FALSE })
        };
        fields.push(match field {
            KdfField::Iteration(Some(format)) if !feedback => {
                iterated = true;
                counter(format)?
            }
            KdfField::Iteration(None) if feedback => {
                iterated = true;
                OwnedField::Feedback
            }
            KdfField::Counter(format) if feedback => counter(format)?,
            KdfField::Length(format) => OwnedField::Length {
                width: width(format.ulWidthInBits).ok_or(Error::MechanismParamInvalid)? / 8,
                little_endian: format.bLittleEndian != CK_FALSE,
                of_rounds: match format.dkmLengthMethod {
                    CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS => false,
                    CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS => true,
                    _ => return Err(Error::MechanismParamInvalid),
                },
            },
            KdfField::Fixed(bytes) => OwnedField::Fixed(bytes.bytes().map_err(|_| Error::MechanismParamInvalid)?.into()),
            _ => return Err(Error::MechanismParamInvalid),
        });
    }
    if !iterated {
        return Err(Error::MechanismParamInvalid);
    }
    let initial = if feedback { Some(given.initial.bytes().map_err(|_| Error::MechanismParamInvalid)?.into()) } else { None };
    Ok(Derivation::Sp800108 { prf, fields, initial })
}

impl Derivation {
    /// The derived bytes; `len` is how many the template asks for.
    pub(in crate::pkcs11) fn run(&self, base: &Object, len: Option<usize>) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |error| Error::from_crypto(error, During::Deriving);
        match self {
            Self::Agreement { peer, kdf, shared } => {
                let secret = base.agree(peer)?;
                match kdf {
                    // A shorter key is the end of the secret: what is cut off is its beginning.
                    None => {
                        let excess = secret.len().checked_sub(len.unwrap_or(secret.len())).ok_or(Error::KeySizeRange)?;
                        Ok(Zeroizing::new(secret[excess..].to_vec()))
                    }
                    Some(hash) => {
                        let mut out = Zeroizing::new(vec![0; len.unwrap_or(secret.len())]);
                        kdf::x9_63(*hash, &secret, shared, &mut out).map_err(failed)?;
                        Ok(out)
                    }
                }
            }
            Self::Hkdf { hash, extract: true, expand: true, salt, info } => {
                base.hkdf(*hash, salt, info, len.ok_or(Error::TemplateIncomplete)?)
            }
            Self::Hkdf { hash, extract, expand, salt, info } => {
                let secret = base.secret()?;
                let key = if *extract { kdf::hkdf_extract(*hash, &secret, salt).map_err(failed)? } else { secret };
                if !expand {
                    return match len {
                        Some(len) if len != key.len() => Err(Error::KeySizeRange),
                        _ => Ok(key),
                    };
                }
                let mut out = Zeroizing::new(vec![0; len.ok_or(Error::TemplateIncomplete)?]);
                kdf::hkdf_expand(*hash, &key, info, &mut out).map_err(|_| Error::KeySizeRange)?;
                Ok(out)
            }
            Self::Sp800108 { prf, fields, initial } => {
                let len = len.ok_or(Error::TemplateIncomplete)?;
                let round = match prf {
                    MacScheme::Hmac { hash } => hash.len(),
                    MacScheme::Cmac if base.kind() == Some(KeyKind::Des3) => 8,
                    MacScheme::Cmac => 16,
                };
                let of_rounds = fields.iter().any(|field| matches!(field, OwnedField::Length { of_rounds: true, .. }));
                let bytes = if of_rounds { len.next_multiple_of(round) } else { len };
                let fields: Vec<Field<'_>> = fields.iter().map(OwnedField::as_field).collect();
                let mut out = Zeroizing::new(vec![0; len]);
                let derive = |key: &Key| {
                    let initial = initial.as_deref().unwrap_or_default();
                    kdf::sp800_108(key, prf, &fields, initial, 8 * bytes as u64, &mut out).map_err(failed)
                };
                base.with_base_key(derive)?;
                Ok(out)
            }
        }
    }
}

impl OwnedField {
    fn as_field(&self) -> Field<'_> {
        match self {
            Self::Counter { width, little_endian } => Field::Counter { width: *width, little_endian: *little_endian },
            Self::Feedback => Field::Feedback,
            Self::Length { width, little_endian, .. } => Field::Length { width: *width, little_endian: *little_endian },
            Self::Fixed(bytes) => Field::Fixed(bytes),
        }
    }
}
