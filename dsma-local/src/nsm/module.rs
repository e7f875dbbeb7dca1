//! The module itself: 32 platform configuration registers, and answers to the requests of `/dev/nsm` in CBOR.
//!
//! Messages are those of AWS's crate. Limits and error codes are those of AWS's documents, and, where these are silent, of QEMU's module.

use std::time::SystemTime;

use aws_lc_rs::rand::fill;
use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use ciborium::Value;
use serde_bytes::ByteBuf;
use time::OffsetDateTime;

use super::authority::Authority;
use super::chain::Chain;
use super::document::{Payload, encoded};
use super::measurements::{Measurements, extended};
use crate::error::Error;

const REGISTERS: u16 = 32;
/// These hold what the hypervisor measured, and are locked when the enclave starts; every document lists them.
const BOOT_REGISTERS: u16 = 16;
const REGISTER: usize = 48;
const MAX_EXTEND: usize = 512;
const MAX_USER_DATA: usize = 512;
const MAX_NONCE: usize = 512;
const MAX_PUBLIC_KEY: usize = 1024;
const RANDOM: usize = 256;
const REQUESTS: [&str; 7] = ["DescribePCR", "ExtendPCR", "LockPCR", "LockPCRs", "DescribeNSM", "Attestation", "GetRandom"];

/// One enclave's module.
pub(super) struct Module {
    chain: Chain,
    registers: Vec<Register>,
}

struct Register {
    value: Vec<u8>,
    locked: bool,
}

impl Module {
    /// As an enclave finds it when it starts. PCR4 is of the instance, whatever the measurements say.
    pub(super) fn new(authority: Authority, measurements: &Measurements) -> Result<Self, Error> {
        let chain = Chain::new(authority)?;
        let register = |index| Register {
            value: match index {
                4 => extended(&[0; REGISTER], chain.instance().as_bytes()),
                _ => measurements.0.get(&index).cloned().unwrap_or_else(|| vec![0; REGISTER]),
            },
            locked: index < BOOT_REGISTERS,
        };
        let registers = (0..REGISTERS).map(register).collect();
        Ok(Self { chain, registers })
    }

    /// One request and its answer, both CBOR.
    pub(super) fn answer(&mut self, request: &[u8], now: SystemTime) -> Vec<u8> {
        let answer = decoded(request).and_then(|request| self.perform(request, now)).unwrap_or_else(Response::Error);
        // An answer of plain types always has an encoding.
        encoded(&answer).unwrap_or_default()
    }

    fn perform(&mut self, request: Request, now: SystemTime) -> Result<Response, ErrorCode> {
        match request {
            Request::DescribeNSM => Ok(self.describe()),
            Request::DescribePCR { index } => {
                let register = self.register(index)?;
                Ok(Response::DescribePCR { lock: register.locked, data: register.value.clone() })
            }
            Request::ExtendPCR { index, data } => {
                let register = self.register(index)?;
                match data.len() {
                    0 => return Err(ErrorCode::InvalidArgument),
                    length if length > MAX_EXTEND => return Err(ErrorCode::InputTooLarge),
                    _ if register.locked => return Err(ErrorCode::ReadOnlyIndex),
                    _ => register.value = extended(&register.value, &data),
                }
                Ok(Response::ExtendPCR { data: register.value.clone() })
            }
            Request::LockPCR { index } => {
                let register = self.register(index)?;
                if std::mem::replace(&mut register.locked, true) { Err(ErrorCode::ReadOnlyIndex) } else { Ok(Response::LockPCR) }
            }
            Request::LockPCRs { range } if range > REGISTERS => Err(ErrorCode::InvalidIndex),
            Request::LockPCRs { range } => {
                self.registers.iter_mut().take(range.into()).for_each(|register| register.locked = true);
                Ok(Response::LockPCRs)
            }
            Request::GetRandom => {
                let mut random = vec![0; RANDOM];
                fill(&mut random).map_err(|_| ErrorCode::InternalError)?;
                Ok(Response::GetRandom { random })
            }
            Request::Attestation { user_data, nonce, public_key } => {
                let user_data = limited(user_data, MAX_USER_DATA)?;
                let nonce = limited(nonce, MAX_NONCE)?;
                let public_key = limited(public_key, MAX_PUBLIC_KEY)?;
                let document = self.attest(user_data, nonce, public_key, now).map_err(|_| ErrorCode::InternalError)?;
                Ok(Response::Attestation { document })
            }
            _ => Err(ErrorCode::InvalidOperation),
        }
    }

    fn describe(&self) -> Response {
        Response::DescribeNSM {
            version_major: 1,
            version_minor: 0,
            version_patch: 0,
            module_id: self.chain.module_id(),
            max_pcrs: REGISTERS,
            locked_pcrs: (0..).zip(&self.registers).filter(|(_, register)| register.locked).map(|(index, _)| index).collect(),
            digest: Digest::SHA384,
        }
    }

    fn attest(
        &mut self,
        user_data: Option<Vec<u8>>,
        nonce: Option<Vec<u8>>,
        public_key: Option<Vec<u8>>,
        now: SystemTime,
    ) -> Result<Vec<u8>, Error> {
        let now = OffsetDateTime::from(now);
        let (certificate, cabundle) = self.chain.certificates(now)?;
        let listed = (0..).zip(&self.registers).filter(|(index, register)| *index < BOOT_REGISTERS || register.locked);
        let payload = Payload {
            module_id: self.chain.module_id(),
            timestamp_millis: u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
            pcrs: listed.map(|(index, register)| (index, register.value.clone())).collect(),
            certificate,
            cabundle,
            public_key,
            user_data,
            nonce,
        };
        payload.sign(&self.chain)
    }

    fn register(&mut self, index: u16) -> Result<&mut Register, ErrorCode> {
        self.registers.get_mut(usize::from(index)).ok_or(ErrorCode::InvalidIndex)
    }
}

/// What is no request at all is an invalid operation; a request with wrong fields, an invalid argument.
fn decoded(request: &[u8]) -> Result<Request, ErrorCode> {
    let value: Value = ciborium::de::from_reader_with_recursion_limit(request, 8).map_err(|_| ErrorCode::InvalidOperation)?;
    let name = match &value {
        Value::Text(name) => name.as_str(),
        Value::Map(entries) if entries.len() == 1 => entries[0].0.as_text().unwrap_or_default(),
        _ => "",
    };
    if !REQUESTS.contains(&name) {
        return Err(ErrorCode::InvalidOperation);
    }
    value.deserialized().map_err(|_| ErrorCode::InvalidArgument)
}

fn limited(field: Option<ByteBuf>, limit: usize) -> Result<Option<Vec<u8>>, ErrorCode> {
    match field {
        Some(bytes) if bytes.len() > limit => Err(ErrorCode::InputTooLarge),
        field => Ok(field.map(ByteBuf::into_vec)),
    }
}
