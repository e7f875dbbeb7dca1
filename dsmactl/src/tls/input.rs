//! The files of `dsmactl tls`: a subject, a certificate chain.

use std::path::Path;

use base64_simd::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::subject::Subject;
use crate::error::Error;
use crate::files::read;

/// Reads lines of `name=value`: a short name, a long one, or an OID, in any letter case.
///
/// # Errors
/// The file cannot be read, or a line of it.
pub(super) fn subject(file: &Path) -> Result<Subject, Error> {
    let bytes = read(file)?;
    let wrong = |problem: String| Error::Input { path: file.to_owned(), problem };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not a text in UTF-8".to_owned()))?;
    parse(text).map_err(wrong)
}

/// Reads a chain and gives each certificate as base64 of its DER, in the file's order.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub(super) fn chain(file: &Path) -> Result<Vec<String>, Error> {
    let bytes = read(file)?;
    if let Ok(list) = serde_json::from_slice::<Vec<String>>(&bytes) {
        return Ok(list);
    }
    let pem: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match pem {
        Ok(chain) if !chain.is_empty() => Ok(chain.iter().map(|der| STANDARD.encode_to_string(der)).collect()),
        _ => Err(Error::Input {
            path: file.to_owned(),
            problem: "holds no certificates: give a chain in PEM, leaf first, or a JSON list of base64 of the DER".to_owned(),
        }),
    }
}

fn parse(text: &str) -> Result<Subject, String> {
    let mut subject = Subject::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = at + 1;
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("line {place} is no name=value; write for example CN=www.example.com"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let slot = match name.as_str() {
            "c" | "countryname" | "2.5.4.6" => &mut subject.country,
            "st" | "stateorprovincename" | "2.5.4.8" => &mut subject.state,
            "l" | "localityname" | "2.5.4.7" => &mut subject.locality,
            "o" | "organizationname" | "2.5.4.10" => &mut subject.organization,
            "ou" | "organizationalunitname" | "2.5.4.11" => &mut subject.organizational_unit,
            "cn" | "commonname" | "2.5.4.3" => &mut subject.common_name,
            "e" | "emailaddress" | "1.2.840.113549.1.9.1" => &mut subject.email,
            "dns" | "subjectaltname" | "2.5.29.17" => {
                // As openssl writes them, too: DNS:a.com, DNS:b.com.
                let names = value.split(',').map(|name| name.trim().trim_start_matches("DNS:").to_owned());
                subject.dns_names.extend(names.filter(|name| !name.is_empty()));
                continue;
            }
            _ => return Err(format!("line {place}: `{name}` is no part of a subject; `dsmactl tls csr --help` lists them")),
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(format!("line {place}: `{name}` is given twice; leave one out"));
        }
    }
    Ok(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_long_or_oids() {
        let expected = Subject {
            country: Some("US".into()),
            organization: Some("A = B".into()),
            common_name: Some("www.example.com".into()),
            email: Some("a@b.com".into()),
            dns_names: vec!["a.com".into(), "b.com".into()],
            ..Subject::default()
        };
        for text in [
            "# subject\nC=US\nO=A = B\nCN = www.example.com\nemailAddress=a@b.com\n\nDNS=a.com, b.com\n",
            "2.5.4.6=US\r\n2.5.4.10=A = B\r\n2.5.4.3=www.example.com\r\n1.2.840.113549.1.9.1=a@b.com\r\n2.5.29.17=a.com,b.com",
            "countryName=US\norganizationName=A = B\ncommonName=www.example.com\nE=a@b.com\nsubjectAltName=DNS:a.com,DNS:b.com",
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        for (text, problem) in [
            ("CN=a\nnonsense", "line 2 is no name=value; write"),
            ("CM=a", "line 1: `cm` is no part of a subject; "),
            ("CN=a\nCN=b", "line 2: `cn` is given twice; "),
        ] {
            assert!(parse(text).unwrap_err().starts_with(problem), "{text}");
        }
    }
}
