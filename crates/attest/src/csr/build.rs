//! Writing a request as the published client does.

use x509_cert::attr::{Attribute, AttributeTypeAndValue, Attributes};
use x509_cert::der::asn1::{Any, BitString, Ia5String, OctetString, SetOfVec, Utf8StringRef};
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode, Encode, EncodePem};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::{ATTESTATION_NITRO, COMMON_NAME, ECDSA_WITH_SHA256, EXTENSION_REQUEST, KeyPair};
use crate::Error;

/// The names to ask a certificate for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrRequest {
    /// The subject's common name; without it the subject is empty.
    pub subject_common_name: Option<String>,
    /// DNS names for the subjectAltName extension; without any, there is no such extension.
    pub dns_names: Vec<String>,
}

/// A request for a certificate on `key`, signed with it, in PEM. `attestation_document` should bind the key (see [`crate::binding`]); this
/// function does not look into it.
///
/// # Errors
/// [`Error::Csr`] where a DNS name is not ASCII, or a name is too long; [`Error::Key`] where the key cannot sign.
pub fn build(key: &KeyPair, request: &CsrRequest, attestation_document: Option<&[u8]>) -> Result<String, Error> {
    let unusable = |error: x509_cert::der::Error| Error::Csr { problem: format!("it cannot be encoded ({error})") };
    let info = info(key, request, attestation_document).map_err(unusable)?;
    let signature = key.sign(&info.to_der().map_err(unusable)?)?;
    let request = CertReq {
        info,
        algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
        signature: BitString::from_bytes(&signature).map_err(unusable)?,
    };
    request.to_pem(LineEnding::LF).map_err(unusable)
}

fn info(key: &KeyPair, request: &CsrRequest, attestation_document: Option<&[u8]>) -> x509_cert::der::Result<CertReqInfo> {
    let mut attributes = Attributes::new();
    if let Some(document) = attestation_document {
        attributes.insert(attribute(ATTESTATION_NITRO, &OctetString::new(document)?)?)?;
    }
    if !request.dns_names.is_empty() {
        attributes.insert(attribute(EXTENSION_REQUEST, &vec![alternative_names(&request.dns_names)?])?)?;
    }
    let mut subject = RdnSequence::default();
    if let Some(name) = &request.subject_common_name {
        let value = Any::from(Utf8StringRef::new(name)?);
        subject.push(RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid: COMMON_NAME, value }])?);
    }
    // The crate gives no other way from parts to a name.
    let subject = Name::from_der(&subject.to_der()?)?;
    Ok(CertReqInfo { version: Version::V1, subject, public_key: SubjectPublicKeyInfoOwned::from_der(key.spki_der())?, attributes })
}

fn attribute(oid: x509_cert::der::oid::ObjectIdentifier, value: &impl Encode) -> x509_cert::der::Result<Attribute> {
    let mut values = SetOfVec::new();
    values.insert(Any::from_der(&value.to_der()?)?)?;
    Ok(Attribute { oid, values })
}

fn alternative_names(dns_names: &[String]) -> x509_cert::der::Result<Extension> {
    let names = dns_names.iter().map(|name| Ia5String::new(name).map(GeneralName::DnsName));
    let names = SubjectAltName(names.collect::<Result<_, _>>()?);
    let oid = <SubjectAltName as x509_cert::der::oid::AssociatedOid>::OID;
    Ok(Extension { extn_id: oid, critical: false, extn_value: OctetString::new(names.to_der()?)? })
}
