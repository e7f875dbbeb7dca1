//! Reading a request from somebody who is not yet trusted.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::attr::Attribute;
use x509_cert::der::asn1::{Any, BitString, OctetString, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::request::CertReqInfo;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::{ATTESTATION_NITRO, COMMON_NAME, EXTENSION_REQUEST};
use crate::Error;

/// A document has at most 16.5 KB, a key half a kilobyte; the rest is for names.
const MAX_DER: usize = 32 * 1024;
/// Base64, its lines, and what may stand around the block.
const MAX_PEM: usize = 64 * 1024;
/// More names than one application has.
const MAX_DNS_NAMES: usize = 100;

/// A request whose own signature holds: whoever made it has the private key. Nothing else about it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Csr {
    /// The public key to certify: DER SubjectPublicKeyInfo, as it stands in the request.
    pub spki_der: Vec<u8>,
    /// The subject's common name, if it has one. Other parts of the subject are not kept.
    pub common_name: Option<String>,
    /// The DNS names of the subjectAltName extension. Other requested extensions are not kept: the authority decides those.
    pub dns_names: Vec<String>,
    /// The attestation document, unread.
    pub attestation: Option<Vec<u8>>,
}

impl Csr {
    /// Reads the first PEM block `CERTIFICATE REQUEST` of a text.
    ///
    /// # Errors
    /// As [`Csr::parse_der`].
    pub fn parse_pem(pem: &str) -> Result<Self, Error> {
        if pem.len() > MAX_PEM {
            return Err(Error::TooLarge { what: "certificate signing request", length: pem.len(), limit: MAX_PEM });
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unusable(format!("it holds no PEM block CERTIFICATE REQUEST ({error})")))?;
        Self::parse_der(&der)
    }

    /// Reads a request and checks the signature it makes with its own key: RSA PKCS#1 v1.5 (2048 to 8192 bits) or ECDSA (P-256, P-384,
    /// P-521), with SHA-256, SHA-384 or SHA-512.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Csr`], [`Error::CsrSignature`].
    pub fn parse_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_DER {
            return Err(Error::TooLarge { what: "certificate signing request", length: der.len(), limit: MAX_DER });
        }
        let parts = Parts::split(der).map_err(|error| unusable(format!("it is no PKCS#10 request ({error})")))?;
        let info = CertReqInfo::from_der(parts.info).map_err(|error| unusable(format!("its content is malformed ({error})")))?;
        let spki_der = info.public_key.to_der().map_err(|error| unusable(format!("its key is malformed ({error})")))?;
        parts.check_signature(&info.public_key, &spki_der)?;
        let attestation = single(&info.attributes, ATTESTATION_NITRO)?;
        let attestation = attestation.map(|value| value.decode_as::<OctetString>().map(OctetString::into_bytes)).transpose();
        Ok(Self {
            common_name: common_name(&info.subject)?,
            dns_names: dns_names(&info)?,
            attestation: attestation.map_err(|_| unusable("its attestation attribute is no OCTET STRING"))?.map(Vec::from),
            spki_der,
        })
    }
}

/// The outer sequence. The signed part is taken as the bytes that it is: published clients do not sort their attributes, so that to encode
/// it again could change it.
struct Parts<'a> {
    info: &'a [u8],
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

impl<'a> Parts<'a> {
    fn split(der: &'a [u8]) -> x509_cert::der::Result<Self> {
        let mut outer = SliceReader::new(der)?;
        let parts = outer.sequence(|inner| {
            Ok::<_, x509_cert::der::Error>(Self { info: inner.tlv_bytes()?, algorithm: inner.decode()?, signature: inner.decode()? })
        })?;
        outer.finish()?;
        Ok(parts)
    }

    fn check_signature(&self, key: &SubjectPublicKeyInfoOwned, spki_der: &[u8]) -> Result<(), Error> {
        let algorithm = algorithm(self.algorithm.oid, key)?;
        let signature = self.signature.as_bytes().ok_or(Error::CsrSignature)?;
        // aws-lc reads the key as SubjectPublicKeyInfo, and refuses one that is not on its curve.
        UnparsedPublicKey::new(algorithm, spki_der).verify(self.info, signature).map_err(|_| Error::CsrSignature)
    }
}

/// The algorithms by their identifiers (RFC 8017 appendix C, RFC 5758 section 3.2, RFC 5480 section 2.1.1.1).
fn algorithm(oid: ObjectIdentifier, key: &SubjectPublicKeyInfoOwned) -> Result<&'static dyn VerificationAlgorithm, Error> {
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
    let (key_oid, curve, oid) = (key.algorithm.oid.to_string(), curve.map(|curve| curve.to_string()), oid.to_string());
    Ok(match (key_oid.as_str(), curve.as_deref(), oid.as_str()) {
        ("1.2.840.113549.1.1.1", None, "1.2.840.113549.1.1.11") => &RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.1", None, "1.2.840.113549.1.1.12") => &RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.1", None, "1.2.840.113549.1.1.13") => &RSA_PKCS1_2048_8192_SHA512,
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), "1.2.840.10045.4.3.2") => &ECDSA_P256_SHA256_ASN1,
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), "1.2.840.10045.4.3.3") => &ECDSA_P256_SHA384_ASN1,
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), "1.2.840.10045.4.3.4") => &ECDSA_P256_SHA512_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34"), "1.2.840.10045.4.3.2") => &ECDSA_P384_SHA256_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34"), "1.2.840.10045.4.3.3") => &ECDSA_P384_SHA384_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.34"), "1.2.840.10045.4.3.4") => &ECDSA_P384_SHA512_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.35"), "1.2.840.10045.4.3.2") => &ECDSA_P521_SHA256_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.35"), "1.2.840.10045.4.3.3") => &ECDSA_P521_SHA384_ASN1,
        ("1.2.840.10045.2.1", Some("1.3.132.0.35"), "1.2.840.10045.4.3.4") => &ECDSA_P521_SHA512_ASN1,
        (key, curve, oid) => {
            let curve = curve.map(|curve| format!(" on curve {curve}")).unwrap_or_default();
            return Err(unusable(format!(
                "its key ({key}{curve}) or signature algorithm ({oid}) is not served; RSA or ECDSA on P-256, P-384 or P-521 with SHA-2 is"
            )));
        }
    })
}

/// The one value of an attribute that occurs at most once.
fn single(attributes: &x509_cert::attr::Attributes, oid: ObjectIdentifier) -> Result<Option<&Any>, Error> {
    let mut found = attributes.iter().filter(|attribute: &&Attribute| attribute.oid == oid);
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (None, _) => Ok(None),
        (Some(attribute), None) if attribute.values.len() == 1 => Ok(attribute.values.get(0)),
        _ => Err(unusable(format!("its attribute {oid} does not have exactly one value"))),
    }
}

fn common_name(subject: &Name) -> Result<Option<String>, Error> {
    let mut names = subject.iter().filter(|part| part.oid == COMMON_NAME);
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(unusable("its subject has more than one common name"));
    }
    let text = match name.value.tag() {
        Tag::Utf8String => name.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => name.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned()),
        tag => return Err(unusable(format!("its common name is a {tag}, and a UTF8String or PrintableString is expected"))),
    };
    text.map(Some).map_err(|_| unusable("its common name is malformed"))
}

/// The vendor's converter asks for an empty list of names: then there are none.
fn dns_names(info: &CertReqInfo) -> Result<Vec<String>, Error> {
    let Some(value) = single(&info.attributes, EXTENSION_REQUEST)? else { return Ok(Vec::new()) };
    let extensions: Vec<Extension> = value.decode_as().map_err(|_| unusable("its extensionRequest is malformed"))?;
    let mut wanted = extensions.iter().filter(|extension| extension.extn_id == SubjectAltName::OID);
    let Some(extension) = wanted.next() else { return Ok(Vec::new()) };
    if wanted.next().is_some() {
        return Err(unusable("it has more than one subjectAltName"));
    }
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).map_err(|_| unusable("its subjectAltName is malformed"))?;
    if names.0.len() > MAX_DNS_NAMES {
        return Err(unusable(format!("it asks for {} names, and at most {MAX_DNS_NAMES} are served", names.0.len())));
    }
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Ok(name.as_str().to_owned()),
        _ => Err(unusable("it asks for a subjectAltName that is no DNS name")),
    };
    names.0.iter().map(name).collect()
}

fn unusable(problem: impl Into<String>) -> Error {
    Error::Csr { problem: problem.into() }
}
