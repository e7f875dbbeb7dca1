//! The pinned roots of attestation.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::Error;

/// Root G1 of the commercial partition, from <https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip>, valid until 2049.
/// SHA-256 64:1A:03:21:A3:E2:44:EF:E4:56:46:31:95:D6:06:31:7E:D7:CD:CC:3C:17:56:E0:98:93:F3:C6:8F:79:BB:5B.
const AWS_G1: &str = include_str!("../roots/aws-nitro-root-g1.pem");

/// The roots that a verifier believes. The root inside a document is only a hint which of them is meant.
#[derive(Clone, Debug)]
pub struct Roots(Vec<Root>);

#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) der: Vec<u8>,
    pub(crate) anchor: TrustAnchor<'static>,
}

impl Roots {
    /// AWS's root G1, which signs for every region but those of GovCloud and China.
    #[must_use]
    pub fn aws() -> Self {
        let none = Self(Vec::new());
        // The file is part of the program and a test reads it; without it, nothing would be believed.
        none.clone().with_pem(AWS_G1).unwrap_or(none)
    }

    /// No root at all: one that adds its own from here.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds every certificate of a PEM text.
    ///
    /// # Errors
    /// [`Error::RootFile`] where it holds no certificate, or one that cannot be an anchor.
    pub fn with_pem(mut self, pem: &str) -> Result<Self, Error> {
        let before = self.0.len();
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            self.0.push(root(&der.map_err(|error| unusable(error.to_string()))?)?);
        }
        if self.0.len() == before { Err(unusable("the text holds no certificate in PEM")) } else { Ok(self) }
    }

    /// Adds one certificate.
    ///
    /// # Errors
    /// [`Error::RootFile`] where it is none, or cannot be an anchor.
    pub fn with_der(mut self, der: &[u8]) -> Result<Self, Error> {
        self.0.push(root(&CertificateDer::from(der))?);
        Ok(self)
    }

    /// The pinned root that is this certificate, byte for byte.
    pub(crate) fn find(&self, der: &[u8]) -> Option<&Root> {
        self.0.iter().find(|root| root.der == der)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self::aws()
    }
}

fn root(der: &CertificateDer<'_>) -> Result<Root, Error> {
    let anchor = webpki::anchor_from_trusted_cert(der).map_err(|error| unusable(format!("{error:?}")))?;
    Ok(Root { der: der.to_vec(), anchor: anchor.to_owned() })
}

fn unusable(problem: impl Into<String>) -> Error {
    Error::RootFile { problem: problem.into() }
}
