//! Credentials of apps: `AppCredential` of the OpenAPI, as far as this DSM keeps them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Blob, Time};

/// Answer of `GET /sys/v1/apps/{id}/credential`. No `Debug`: it may hold a secret.
#[derive(Serialize, Deserialize)]
pub struct CredentialResponse {
    /// The app.
    pub app_id: Uuid,
    /// Its credential.
    pub credential: Credential,
    /// The one before, while it still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_credential: Option<PreviousCredential>,
}

/// A credential that was replaced.
#[derive(Serialize, Deserialize)]
pub struct PreviousCredential {
    /// The credential.
    pub credential: Credential,
    /// From then on it does not hold.
    pub valid_until: Time,
}

/// A credential.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// The secret half of an API key, which is base64 of `app_id:secret`.
    Secret(String),
    /// The certificate that the app presents, in DER.
    Certificate(Blob),
    /// Who certifies the app, and for which subjects.
    TrustedCa(TrustedCa),
}

/// Certificates of a CA, and the subjects that count: at least one of them is in the app's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedCa {
    /// The CA's certificate in DER; the older spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<Blob>,
    /// The CA's certificates in DER, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<Vec<Blob>>,
    /// A distinguished name as pairs of OID and value; the oldest spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Vec<(String, String)>>,
    /// One subject; the older spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_general: Option<SubjectGeneral>,
    /// The subjects, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Vec<SubjectGeneral>>,
    /// Whether revocation is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_revocation: Option<bool>,
}

/// What a certificate may be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectGeneral {
    /// A distinguished name as pairs of OID and value.
    DirectoryName(Vec<(String, String)>),
    /// A host.
    DnsName(String),
    /// An address.
    IpAddress(IpAddr),
}
