//! Fortanix's crate `sdkms` 0.5.1, as published, against dsma-local: every operation that it has.
//!
//! Run inside `with-stack`, whose variables name DSM; SSL_CERT_FILE makes the crate's TLS trust it. The last line counts what passed,
//! what failed and what is known to be missing. What is outside the product must be refused in words: plugins, external roles (LDAP),
//! second factors, and passwords by mail.

mod approvals;
mod authority;
mod ciphers;
mod keys;
mod outcome;
mod signatures;
mod users;

use std::process::ExitCode;

use outcome::{Outcome, Report};
use sdkms::SdkmsClient;

/// What the scenarios share: clients with a session each.
pub(crate) struct Dsm {
    endpoint: String,
    api_key: String,
    /// The default app: all classic permissions in the default group.
    pub(crate) app: SdkmsClient,
    /// The account's admin app.
    pub(crate) admin: SdkmsClient,
}

impl Dsm {
    fn connect() -> Result<Self, Box<dyn std::error::Error>> {
        let endpoint = std::env::var("FORTANIX_API_ENDPOINT")?;
        let api_key = std::env::var("FORTANIX_API_KEY")?;
        let admin_key = std::env::var("DSMA_LOCAL_ADMIN_API_KEY")?;
        let anybody = SdkmsClient::builder().with_api_endpoint(&endpoint).build()?;
        let (app, admin) = (anybody.authenticate_with_api_key(&api_key)?, anybody.authenticate_with_api_key(&admin_key)?);
        Ok(Self { endpoint, api_key, app, admin })
    }

    /// A client without a credential.
    pub(crate) fn anybody(&self) -> Result<SdkmsClient, sdkms::Error> {
        SdkmsClient::builder().with_api_endpoint(&self.endpoint).build()
    }

    /// A client that presents the default app's API key with each request, and has no session.
    pub(crate) fn sessionless(&self) -> Result<SdkmsClient, sdkms::Error> {
        SdkmsClient::builder().with_api_endpoint(&self.endpoint).with_api_key(&self.api_key).build()
    }

    pub(crate) fn api_key(&self) -> &str {
        &self.api_key
    }
}

/// A scenario: what it does, as a person reads it, and how.
pub(crate) type Scenario = (&'static str, fn(&Dsm) -> Outcome);

fn main() -> ExitCode {
    let dsm = match Dsm::connect() {
        Ok(dsm) => dsm,
        Err(error) => {
            eprintln!("no session at DSM: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    let parts = [keys::SCENARIOS, ciphers::SCENARIOS, signatures::SCENARIOS, authority::SCENARIOS, approvals::SCENARIOS, users::SCENARIOS];
    for (name, run) in parts.into_iter().flatten() {
        report.add(name, run(&dsm));
    }
    report.conclude()
}
