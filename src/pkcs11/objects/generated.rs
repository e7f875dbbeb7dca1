//! Certificates that this library makes for private keys without one (`generate_certs`): Java's KeyStore shows no other keys.
//!
//! Such a certificate says nothing but "this is the public key". It is signed by its own key when somebody reads it, which is a use of
//! that key: it is seen after a login only, and there is none for a key that asks for a PIN each time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cryptoki_sys::*;
use dsma_api::{KeyFacts, Operation, Permissions, Sobject, Time, authorize};
use dsma_core::allows_signature;
use dsma_crypto::digest::Hash;
use dsma_crypto::{Curve, Encoding, SignatureScheme};
use signature::Keypair;
use x509_cert::attr::{AttributeTypeAndValue, AttributeValue};
use x509_cert::builder::{Builder, CertificateBuilder, Profile, Result as Built};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier};
use x509_cert::der::{Any, Decode, Document, Encode, Tag};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time as CertificateTime, Validity};
use x509_cert::{der, spki};

use super::KeyKind;
use super::certificate::Facts;
use super::template::Attributes;

/// The certificate, once it has been signed: kept over listings, so that a key signs one.
pub(in crate::pkcs11) type Made = Arc<OnceLock<Vec<u8>>>;

/// A certificate of a private key that has no other.
pub(super) struct Generated {
    pub(super) way: Signature,
    pub(super) made: Made,
}

/// How a key signs its certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// With RSA, ECDSA or EdDSA.
    Scheme(SignatureScheme),
    /// With ML-DSA of an empty context (RFC 9881).
    MlDsa,
}

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Longest common name in characters (RFC 5280, appendix A.1).
const LONGEST_NAME: usize = 64;
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// RSASSA-PSS-params (RFC 4055): SHA-256 twice, a salt of 32 bytes.
const PSS_PARAMS: &[u8] = &[
    0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30,
    0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20,
];
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

impl Signature {
    /// How this private key would sign a certificate; `None` for one that cannot, or may not here. `extra` are its attributes.
    pub(super) fn of(sobject: &Sobject, kind: KeyKind, extra: Option<&Attributes>) -> Option<Self> {
        sobject.pub_key.as_ref()?;
        let pss = SignatureScheme::RsaPss { hash: Hash::Sha256, mgf1: Hash::Sha256, salt_len: 32 };
        let ecdsa = |hash| Self::Scheme(SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der });
        let ways = match kind {
            KeyKind::Rsa => vec![
                (CKM_SHA256_RSA_PKCS, Self::Scheme(SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 })),
                (CKM_SHA256_RSA_PKCS_PSS, Self::Scheme(pss)),
            ],
            KeyKind::Ec(Curve::P256 | Curve::K256) => vec![(CKM_ECDSA_SHA256, ecdsa(Hash::Sha256))],
            KeyKind::Ec(Curve::P384) => vec![(CKM_ECDSA_SHA384, ecdsa(Hash::Sha384))],
            KeyKind::Ec(Curve::P521) => vec![(CKM_ECDSA_SHA512, ecdsa(Hash::Sha512))],
            KeyKind::Ed25519 => vec![(CKM_EDDSA, Self::Scheme(SignatureScheme::EdDsa))],
            KeyKind::MlDsa(_) => vec![(CKM_ML_DSA, Self::MlDsa)],
            _ => return None,
        };
        let extra_says = |flag| extra.is_some_and(|extra| extra.flag(flag) == Some(true));
        if extra_says(CKA_ALWAYS_AUTHENTICATE)
            || authorize(Operation::Sign, Some(Permissions::all()), &KeyFacts::from(sobject), Time::now()).is_err()
        {
            return None;
        }
        let allowed = |mechanism| extra.is_none_or(|extra| extra.allows_mechanism(mechanism));
        let policy = |way: &Self| match way {
            Self::Scheme(scheme) => allows_signature(sobject, scheme),
            Self::MlDsa => true,
        };
        ways.into_iter().find(|(mechanism, way)| allowed(*mechanism) && policy(way)).map(|(_, way)| way)
    }

    fn algorithm(self, key: &SubjectPublicKeyInfoOwned) -> der::Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match self {
            Self::Scheme(SignatureScheme::RsaPkcs1 { .. }) => (RSA_SHA256, Some(Any::null())),
            Self::Scheme(SignatureScheme::RsaPss { .. }) => (RSA_PSS, Some(Any::from_der(PSS_PARAMS)?)),
            Self::Scheme(SignatureScheme::Ecdsa { hash: Some(Hash::Sha384), .. }) => (ECDSA_SHA384, None),
            Self::Scheme(SignatureScheme::Ecdsa { hash: Some(Hash::Sha512), .. }) => (ECDSA_SHA512, None),
            Self::Scheme(SignatureScheme::Ecdsa { .. }) => (ECDSA_SHA256, None),
            // One name for key and signature (RFC 8410, RFC 9881).
            _ => (key.algorithm.oid, None),
        };
        Ok(AlgorithmIdentifierOwned { oid, parameters })
    }
}

/// What a certificate of this key tells of itself, which is known before it is signed.
pub(super) fn facts(sobject: &Sobject, label: &str) -> Option<Facts> {
    let subject = name(sobject, label).and_then(|name| name.to_der()).ok()?;
    Some(Facts {
        issuer: subject.clone(),
        subject,
        serial: serial(sobject)?.to_der().ok()?,
        public_key: sobject.pub_key.as_ref()?.as_ref().to_vec(),
    })
}

/// A certificate of this key, which `sign` signs.
///
/// # Errors
/// What `sign` says. `None` for a key or a label that has no place in a certificate.
pub(super) fn certificate<E>(
    sobject: &Sobject,
    label: &str,
    way: Signature,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let Some((mut builder, signer)) = unsigned(sobject, label, way) else { return Ok(None) };
    let Ok(body) = builder.finalize(&signer) else { return Ok(None) };
    let signature = sign(&body)?;
    let whole = BitString::from_bytes(&signature).ok().and_then(|signature| builder.assemble(signature, &signer).ok());
    Ok(whole.and_then(|certificate| certificate.to_der().ok()))
}

fn unsigned(sobject: &Sobject, label: &str, way: Signature) -> Option<(CertificateBuilder<SelfSigned>, Signer)> {
    let key = SubjectPublicKeyInfoOwned::from_der(sobject.pub_key.as_ref()?.as_ref()).ok()?;
    let made = Duration::from_secs(u64::try_from(sobject.created_at.0).ok()?);
    let made = GeneralizedTime::from_unix_duration(made).ok()?;
    // As old as the key, and as RFC 5280 (4.1.2.5) writes "for ever".
    let validity = Validity::new(CertificateTime::GeneralTime(made), CertificateTime::INFINITY);
    let signer = Signer { key: key.clone(), algorithm: way.algorithm(&key).ok()? };
    let subject = SelfSigned(name(sobject, label).ok()?);
    Some((CertificateBuilder::new(subject, serial(sobject)?, validity, key).ok()?, signer))
}

/// The label as common name; the kid where there is none.
fn name(sobject: &Sobject, label: &str) -> der::Result<Name> {
    let mut text: String = label.chars().take(LONGEST_NAME).collect();
    if text.is_empty() {
        text = sobject.kid.unwrap_or_default().to_string();
    }
    let value = AttributeValue::new(Tag::Utf8String, text.as_bytes())?;
    let mut part = RelativeDistinguishedName::default();
    part.insert(AttributeTypeAndValue { oid: COMMON_NAME, value })?;
    let mut parts = RdnSequence::default();
    parts.push(part);
    Name::from_der(&parts.to_der()?)
}

/// The kid as a number: the same in every process.
fn serial(sobject: &Sobject) -> Option<SerialNumber> {
    SerialNumber::new(sobject.kid?.as_bytes()).ok()
}

/// Subject and issuer are one.
struct SelfSigned(Name);

impl Profile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer: SubjectPublicKeyInfoRef<'_>,
        body: &TbsCertificate,
    ) -> Built<Vec<Extension>> {
        Ok(vec![SubjectKeyIdentifier::try_from(key)?.to_extension(body.subject(), &[])?])
    }
}

/// What the builder asks of a signer; the signature itself is made elsewhere.
struct Signer {
    key: SubjectPublicKeyInfoOwned,
    algorithm: AlgorithmIdentifierOwned,
}

#[derive(Clone)]
struct PublicKey(SubjectPublicKeyInfoOwned);

impl Keypair for Signer {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        PublicKey(self.key.clone())
    }
}

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::encode_msg(&self.0)?)
    }
}

impl DynSignatureAlgorithmIdentifier for Signer {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(self.algorithm.clone())
    }
}
