//! What DSM keeps without using it: secrets, opaque data, certificates. They are imported, never made.

use dsma_api::{ApiError, ObjectType};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use zeroize::Zeroizing;

use super::Material;
use super::symmetric::raw;

/// The limit that Fortanix publishes for secret and opaque objects.
const MAX_LEN: usize = 512 << 10;

/// SECRET and OPAQUE: any bytes.
pub(super) fn data(obj_type: ObjectType, value: &[u8]) -> Result<Material, ApiError> {
    if value.is_empty() || value.len() > MAX_LEN {
        return Err(ApiError::bad_request("Invalid value: 1 byte to 512 KiB"));
    }
    Ok(raw(obj_type, Zeroizing::new(value.to_vec())))
}

/// X.509 in DER. The certificate is read, not verified: DSM keeps expired and self-signed ones as well.
pub(super) fn certificate(value: &[u8]) -> Result<Material, ApiError> {
    let invalid = |error| ApiError::bad_request(format!("Invalid certificate, X.509 in DER is expected: {error}"));
    let certificate = Certificate::from_der(value).map_err(invalid)?;
    let public = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(invalid)?;
    Ok(Material { pub_key: Some(public), ..raw(ObjectType::Certificate, Zeroizing::new(value.to_vec())) })
}
