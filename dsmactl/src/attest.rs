//! `dsmactl attest`: what an attestation document says, and whether it is believed.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use dsma_attest::{Document, Roots, Verifier};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::files::read;
use crate::print;

/// `dsmactl attest`.
#[derive(Subcommand)]
pub(crate) enum Attest {
    /// Verify an attestation document: form, certificate chain, signature, debug mode
    ///
    /// The file holds the document as the NSM gave it (COSE_Sign1, binary). It is believed where its chain begins with AWS's root G1, or
    /// with a root given with --root, is valid at the time, and the document is signed with it. Its age alone does not matter: its
    /// certificate lives three hours. Which image its measurements belong to is for you to compare.
    #[command(after_help = "Examples:\n  \
        dsmactl attest verify document.bin\n  \
        dsmactl attest verify document.bin --at 2021-09-09T10:19:21Z --allow-debug\n  \
        dsmactl attest verify document.bin --root ~/dsm/nsm/root.pem     # of the emulated NSM\n  \
        dsmactl attest verify document.bin --json | jq -r .document.pcrs.\\\"0\\\"\n\n\
        Ends with 0 where it is believed, with 1 and the broken rule where it is not.")]
    Verify {
        /// The document; `-` is the standard input
        file: PathBuf,
        /// At this time instead of now, as in 2021-09-09T10:19:21Z (RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = at)]
        at: Option<SystemTime>,
        /// Believe documents of enclaves in debug mode too, which prove nothing about the image
        #[arg(long)]
        allow_debug: bool,
        /// Believe the roots in this PEM file too
        #[arg(long, value_name = "PEM")]
        root: Option<PathBuf>,
        /// Print JSON: {"verified": true, "document": {...}} or {"verified": false, "rule": "...", "problem": "..."}
        #[arg(long)]
        json: bool,
    },
    /// Show what an attestation document claims, without believing it
    #[command(after_help = "Examples:\n  dsmactl attest show document.bin\n  dsmactl attest show document.bin --json")]
    Show {
        /// The document; `-` is the standard input
        file: PathBuf,
        /// Print JSON, with bytes in hexadecimal
        #[arg(long)]
        json: bool,
    },
}

impl Attest {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Show { file, json } => {
                let document = Document::parse(&read(&file)?)?;
                print(&if json { pretty(&as_json(&document)) } else { as_text(&document) });
                Ok(())
            }
            Self::Verify { file, at, allow_debug, root, json } => {
                let mut roots = Roots::aws();
                if let Some(root) = root {
                    roots = roots.with_pem(&String::from_utf8_lossy(&read(&root)?))?;
                }
                let verifier = Verifier::new(roots).allow_debug(allow_debug).without_age_limit();
                let verified = verifier.verify(&read(&file)?, at.unwrap_or_else(SystemTime::now));
                if json {
                    print(&pretty(&match &verified {
                        Ok(document) => json!({"verified": true, "document": as_json(document)}),
                        Err(error) => json!({"verified": false, "rule": error.rule(), "problem": error.to_string()}),
                    }));
                } else if let Ok(document) = &verified {
                    print(&format!("Verified.\n{}", as_text(document)));
                }
                verified.map(|_| ()).map_err(Error::from)
            }
        }
    }
}

fn at(text: &str) -> Result<SystemTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{error}; a time looks like 2021-09-09T10:19:21Z"))?;
    Ok(time.into())
}

/// PCRs that are not all zero, and the fields that are there: what a person compares.
fn as_text(document: &Document) -> String {
    let mut text = format!("module_id    {}\ntimestamp    {}\n", document.module_id, timestamp(document));
    for (index, value) in &document.pcrs {
        if *index < 3 || value.iter().any(|byte| *byte != 0) {
            text += &format!("{:<12} {}\n", format!("PCR{index}"), hex::encode(value));
        }
    }
    let fields = [("user_data", &document.user_data), ("nonce", &document.nonce), ("public_key", &document.public_key)];
    for (name, value) in fields {
        text += &format!("{name:<12} {}\n", value.as_ref().map_or_else(|| "null".to_owned(), hex::encode));
    }
    text += &format!("certificate  {} bytes, cabundle of {}\n", document.certificate.len(), document.cabundle.len());
    let debug = document.unmeasured().map(|(pcr, seen)| format!("PCR{pcr} is {seen}: this enclave runs in debug mode"));
    text + &debug.unwrap_or_else(|| "PCRs that are not listed are zero or absent.".to_owned())
}

fn as_json(document: &Document) -> Value {
    let pcrs: Map<_, _> = document.pcrs.iter().map(|(index, value)| (index.to_string(), hex::encode(value).into())).collect();
    json!({
        "module_id": document.module_id,
        "digest": document.digest,
        "timestamp": timestamp(document),
        "timestamp_millis": document.timestamp_millis,
        "debug_mode": document.unmeasured().is_some(),
        "pcrs": pcrs,
        "certificate": hex::encode(&document.certificate),
        "cabundle": document.cabundle.iter().map(hex::encode).collect::<Vec<_>>(),
        "public_key": document.public_key.as_ref().map(hex::encode),
        "user_data": document.user_data.as_ref().map(hex::encode),
        "nonce": document.nonce.as_ref().map(hex::encode),
    })
}

fn timestamp(document: &Document) -> String {
    let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(document.timestamp_millis) * 1_000_000).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{} ms after 1970", document.timestamp_millis))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
