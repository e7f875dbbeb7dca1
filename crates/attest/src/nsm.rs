//! The Nitro Secure Module of the enclave that this process runs in: `/dev/nsm`, through AWS's own crate.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;

use aws_nitro_enclaves_nsm_api::api::{Digest, Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;

use crate::Error;

const DEVICE: &str = "/dev/nsm";

/// The open device. It may be used from several threads; each call is one request.
#[derive(Debug)]
pub struct Device(File);

/// What the NSM says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its id: `i-<instance>-enc<enclave>`.
    pub module_id: String,
    /// Major, minor and patch version of its interface.
    pub version: (u16, u16, u16),
    /// How many PCRs it has.
    pub max_pcrs: u16,
    /// The PCRs that can no longer be extended.
    pub locked_pcrs: Vec<u16>,
    /// The digest of its PCRs, such as `SHA384`.
    pub digest: &'static str,
}

impl Device {
    /// Opens the device. Its existence is not tested before: the emulated device answers to being opened and to nothing else.
    ///
    /// # Errors
    /// [`Error::NoDevice`].
    pub fn open() -> Result<Self, Error> {
        OpenOptions::new().read(true).write(true).open(DEVICE).map(Self).map_err(|source| Error::NoDevice { source })
    }

    /// A new attestation document with these fields (see [`crate::binding`] for `user_data`). `user_data` and `nonce` have at most 512
    /// bytes, `public_key` at most 1024.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn attestation(&self, user_data: Option<&[u8]>, nonce: Option<&[u8]>, public_key: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        let field = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.to_vec().into());
        let request = Request::Attestation { user_data: field(user_data), nonce: field(nonce), public_key: field(public_key) };
        match self.ask(request) {
            Response::Attestation { document } => Ok(document),
            other => Err(refused("an attestation document", &other)),
        }
    }

    /// What the NSM says about itself.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn describe(&self) -> Result<Description, Error> {
        match self.ask(Request::DescribeNSM) {
            Response::DescribeNSM { version_major, version_minor, version_patch, module_id, max_pcrs, locked_pcrs, digest } => {
                let digest = match digest {
                    Digest::SHA256 => "SHA256",
                    Digest::SHA384 => "SHA384",
                    Digest::SHA512 => "SHA512",
                };
                let version = (version_major, version_minor, version_patch);
                Ok(Description { module_id, version, max_pcrs, locked_pcrs: locked_pcrs.into_iter().collect(), digest })
            }
            other => Err(refused("its description", &other)),
        }
    }

    /// Random bytes of the NSM, as many as it gives in one answer (the real one gives 256).
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn random(&self) -> Result<Vec<u8>, Error> {
        match self.ask(Request::GetRandom) {
            Response::GetRandom { random } => Ok(random),
            other => Err(refused("random bytes", &other)),
        }
    }

    fn ask(&self, request: Request) -> Response {
        nsm_process_request(self.0.as_raw_fd(), request)
    }
}

fn refused(request: &'static str, response: &Response) -> Error {
    let code = match response {
        Response::Error(code) => format!("{code:?}"),
        // Another answer than the one that was asked for; its content is not shown, it may be random bytes.
        _ => "it gave the answer to another request".to_owned(),
    };
    Error::Device { request, code }
}
