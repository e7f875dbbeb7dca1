//! `dsmactl tls`: certificate requests for the TLS key of a running enclave-host, and the upload of what a CA made of them.
//!
//! Thin over the service's two endpoints (docs/tls.md). The API key comes from `API_KEY` or a prompt, never from the command line, which
//! other users of the machine can read.

mod input;
mod pin;
mod service;
mod subject;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use self::pin::Fingerprint;
use self::service::Service;
use self::subject::Subject;
use crate::error::Error;
use crate::print;

/// `dsmactl tls`.
#[derive(Subcommand)]
pub(crate) enum Tls {
    /// Have the service make a certificate request (CSR) for its TLS key
    #[command(after_help = CSR_EXAMPLES)]
    Csr {
        #[command(flatten)]
        to: Target,
        /// Subject and names from this file, of lines such as CN=www.example.com; a flag beside it wins
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        #[command(flatten)]
        subject: Box<Subject>,
        /// Write the request to this file instead of the standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Give the service the certificates of its TLS key
    #[command(after_help = UPLOAD_EXAMPLES)]
    Upload {
        #[command(flatten)]
        to: Target,
        /// The chain in the order leaf, intermediates, root: PEM, or a JSON list of base64 of the DER
        file: PathBuf,
        /// Print the service's answer: the ids of the certificates in DSM
        #[arg(long)]
        json: bool,
    },
}

/// Which service, and how it is known to be the right one.
#[derive(Args)]
pub(crate) struct Target {
    /// The service, as https://host[:port] without a trailing slash
    #[arg(long, env = "DSMA_ENDPOINT", value_name = "URL", hide_env_values = true)]
    endpoint: String,
    /// PEM file with the CA certificates that are trusted for it, in place of the system's
    #[arg(long, env = "DSMA_CA_FILE", value_name = "FILE", hide_env_values = true, conflicts_with = "fingerprint")]
    ca_file: Option<PathBuf>,
    /// Trust the one certificate with this SHA-256, which the service writes into its log when it is self-signed
    #[arg(long, env = "DSMA_FINGERPRINT", value_name = "HEX", hide_env_values = true)]
    fingerprint: Option<Fingerprint>,
}

impl Tls {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Csr { to, input, subject, output } => {
                let subject = match input {
                    Some(file) => subject.or(input::subject(&file)?),
                    None => *subject,
                };
                let answer = to.service()?.post("/accelerator/v1/tls/csr", &subject.request())?;
                let csr = answer["csr"].as_str().ok_or_else(|| Error::unusable("it holds no certificate request"))?;
                match output {
                    Some(path) => std::fs::write(&path, csr).map_err(|source| Error::Write { path, source }),
                    None => {
                        print(csr.trim_end());
                        Ok(())
                    }
                }
            }
            Self::Upload { to, file, json } => {
                let chain = input::chain(&file)?;
                let answer = to.service()?.post("/accelerator/v1/tls/certificates", &json!({ "certificates": chain }))?;
                print(&if json { format!("{answer:#}") } else { "Certificate has been uploaded successfully.".to_owned() });
                Ok(())
            }
        }
    }
}

impl Target {
    fn service(self) -> Result<Service, Error> {
        Service::new(&self.endpoint, self.ca_file.as_deref(), self.fingerprint, api_key()?)
    }
}

/// `API_KEY`, else what is typed.
fn api_key() -> Result<Zeroizing<String>, Error> {
    let key = match std::env::var("API_KEY").map(Zeroizing::new) {
        Ok(key) if !key.trim().is_empty() => key,
        _ => rpassword::prompt_password("Enter your API Key: ").map(Zeroizing::new).map_err(|_| Error::NoApiKey)?,
    };
    match key.trim() {
        "" => Err(Error::NoApiKey),
        key => Ok(Zeroizing::new(key.to_owned())),
    }
}

const CSR_EXAMPLES: &str = "\
Environment:
  API_KEY            API key of an app that may SIGN with the service's TLS key; asked for where it is not set

Examples:
  Ask a service that still shows its self-signed certificate; its log tells the fingerprint:
    export DSMA_ENDPOINT=https://dsma.example:443 DSMA_FINGERPRINT=5A:0C:...
    dsmactl tls csr --common-name www.example.com --dns www.example.com,api.example.com --output www.csr

  The subject from a file:
    dsmactl tls csr --input subject.txt

  subject.txt has one value a line; # begins a comment. Each name may be the short one, the long one or the OID:
    C=US                  countryName             2.5.4.6
    ST=California         stateOrProvinceName     2.5.4.8
    L=Santa Clara         localityName            2.5.4.7
    O=Company             organizationName        2.5.4.10
    OU=IT                 organizationalUnitName  2.5.4.11
    CN=www.example.com    commonName              2.5.4.3
    emailAddress=a@b.com  E                       1.2.840.113549.1.9.1
    DNS=a.com,b.com       subjectAltName          2.5.29.17";

const UPLOAD_EXAMPLES: &str = "\
Environment:
  API_KEY            API key of an app that may SIGN with the service's TLS key; asked for where it is not set

Examples:
  cat www.pem intermediate.pem root.pem > chain.pem
  dsmactl tls upload --endpoint https://dsma.example --ca-file root.pem chain.pem";
