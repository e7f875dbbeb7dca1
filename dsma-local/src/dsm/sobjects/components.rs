//! A key in parts that give it when they are XORed, and a key of such parts. Approval requests call this; see `approvals/components.rs`.

use dsma_api::{
    ApiError, Approver, CustodianComponent, ExportComponentsRequest, ExportComponentsResponse, ImportComponentsRequest, KcvMethod,
    ObjectType, Operation, SecretBlob, SobjectComponent,
};
use dsma_crypto::random;
use zeroize::Zeroizing;

use super::access::find;
use super::create::{Source, keep};
use super::{export, line, material};
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::error::Error;
use crate::store::ActionType;

/// Longest part: the longest HMAC key.
const MAX_LEN: usize = 1024;

/// Splits the key that the call names, one part for each custodian.
pub(crate) fn split_components(call: &Call, custodians: &[Approver]) -> Result<ExportComponentsResponse, ApiError> {
    let caller = call.caller()?;
    let request: ExportComponentsRequest = call.json()?;
    let row = find(call, &caller, &request.key, Operation::Export)?;
    possible(row.sobject.obj_type)?;
    export::check_clear(call, &row)?;
    let value = call.store().material(&row)?.ok_or_else(|| ApiError::bad_request("Sobject has no value"))?;
    let obj_type = row.sobject.obj_type;
    let kcv = |bytes: &[u8], method| material::check_value(obj_type, bytes, method).ok();
    let mut components = Vec::with_capacity(custodians.len());
    let mut rest = value.clone();
    for (number, custodian) in custodians.iter().enumerate() {
        let mut part = Zeroizing::new(vec![0; value.len()]);
        if number + 1 == custodians.len() {
            part.copy_from_slice(&rest);
        } else {
            random::fill(&mut part).map_err(Error::from)?;
            xor(&mut rest, &part);
        }
        let component_kcv = kcv(&part, KcvMethod::Encrypt);
        components.push(SobjectComponent { component: SecretBlob(part), component_kcv, custodian: *custodian });
    }
    call.store().audit_now(line(call, &caller, ActionType::CryptoOperation, "Split into components", &row))?;
    let (key_kcv, key_kcv_cmac) = (kcv(&value, KcvMethod::Encrypt), kcv(&value, KcvMethod::Cmac));
    Ok(ExportComponentsResponse { components, key_kcv, key_kcv_cmac, description: None })
}

/// Whether a part may be one of the key that the request describes.
pub(crate) fn check_component(request: &ImportComponentsRequest, part: &CustodianComponent) -> Result<(), ApiError> {
    let obj_type = request.key.obj_type.ok_or_else(|| ApiError::bad_request("Missing field `obj_type` in `key`"))?;
    possible(obj_type)?;
    let bytes = part.component.as_ref();
    if bytes.is_empty() || bytes.len() > MAX_LEN {
        return Err(ApiError::bad_request(format!("Invalid component: 1 to {MAX_LEN} bytes are expected")));
    }
    if let Some(kcv) = &part.component_kcv
        && !material::check_value(obj_type, bytes, request.kcv_method.unwrap_or_default())?.eq_ignore_ascii_case(kcv)
    {
        return Err(ApiError::bad_request("component_kcv does not match the component"));
    }
    Ok(())
}

/// Imports the key that these parts make.
pub(crate) fn join_components(call: &Call, parts: &[SobjectComponent]) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let ImportComponentsRequest { key: mut request, .. } = call.json()?;
    let mut parts = parts.iter().map(|part| part.component.as_ref());
    let mut value = Zeroizing::new(parts.next().unwrap_or_default().to_vec());
    for part in parts {
        if part.len() != value.len() {
            return Err(ApiError::bad_request("Invalid components: they differ in length"));
        }
        xor(&mut value, part);
    }
    request.value = Some(SecretBlob(value));
    Reply::created(&keep(call, &caller, request, Source::Imported)?)
}

fn possible(obj_type: ObjectType) -> Result<(), ApiError> {
    match obj_type {
        ObjectType::Aes | ObjectType::Des3 | ObjectType::Hmac => Ok(()),
        _ => Err(ApiError::bad_request("Only AES, DES3 and HMAC keys are exported and imported by components")),
    }
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    bytes.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}
