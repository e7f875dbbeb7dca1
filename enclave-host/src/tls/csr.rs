//! Certificate requests (PKCS #10, RFC 2986) for the TLS key, signed inside the process.

use rcgen::string::{Ia5String, PrintableString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, SanType};
use serde::Deserialize;

use super::key::TlsKey;

/// Most names in one request.
const MAX_NAMES: usize = 100;
/// `emailAddress` of PKCS #9.
const EMAIL_ADDRESS: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// What the certificate is to say. Blank members are left out of the request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CsrRequest {
    country: Option<String>,
    state: Option<String>,
    locality: Option<String>,
    organization: Option<String>,
    organizational_unit: Option<String>,
    common_name: Option<String>,
    email: Option<String>,
    dns_names: Option<Vec<String>>,
}

impl CsrRequest {
    /// The request in PEM.
    ///
    /// # Errors
    /// In one sentence, the member that cannot be used.
    pub(super) fn build(&self, key: &TlsKey) -> Result<String, String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.subject()?;
        params.subject_alt_names = self.names()?;
        if filled(self.common_name.as_ref()).is_none() && params.subject_alt_names.is_empty() {
            return Err("common_name or dns_names: neither is given; a certificate needs a name".to_owned());
        }
        let request = params.serialize_request(key).map_err(|error| format!("the request cannot be written: {error}"))?;
        request.pem().map_err(|error| format!("the request cannot be written: {error}"))
    }

    /// In the order in which OpenSSL asks for them, with the upper bounds of RFC 5280, appendix A.1.
    fn subject(&self) -> Result<DistinguishedName, String> {
        let mut name = DistinguishedName::new();
        if let Some(country) = filled(self.country.as_ref()) {
            let letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
            let code = PrintableString::try_from(country).ok().filter(|_| letters);
            let code =
                code.ok_or_else(|| format!("country: `{}` is no country code; give two letters, for example US", printable(country)))?;
            name.push(DnType::CountryName, DnValue::PrintableString(code));
        }
        for (member, value, dn_type, most) in [
            ("state", &self.state, DnType::StateOrProvinceName, 128),
            ("locality", &self.locality, DnType::LocalityName, 128),
            ("organization", &self.organization, DnType::OrganizationName, 64),
            ("organizational_unit", &self.organizational_unit, DnType::OrganizationalUnitName, 64),
            ("common_name", &self.common_name, DnType::CommonName, 64),
        ] {
            let Some(value) = filled(value.as_ref()) else { continue };
            if value.chars().count() > most || value.chars().any(char::is_control) {
                return Err(format!("{member}: give at most {most} characters on one line"));
            }
            name.push(dn_type, DnValue::Utf8String(value.to_owned()));
        }
        if let Some(email) = filled(self.email.as_ref()) {
            let plausible = email.len() <= 255 && email.contains('@') && email.bytes().all(|byte| byte.is_ascii_graphic());
            let email = Ia5String::try_from(email).ok().filter(|_| plausible);
            let email = email.ok_or("email: give an address of at most 255 ASCII characters, for example admin@example.com")?;
            name.push(DnType::CustomDnType(EMAIL_ADDRESS.to_vec()), DnValue::Ia5String(email));
        }
        Ok(name)
    }

    fn names(&self) -> Result<Vec<SanType>, String> {
        let names: Vec<&str> = self.dns_names.iter().flatten().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        if names.len() > MAX_NAMES {
            return Err(format!("dns_names: {} names are given; give at most {MAX_NAMES}", names.len()));
        }
        let parse = |name: &str| {
            let wrong = || format!("dns_names: `{}` is no DNS name; give names such as www.example.com or *.example.com", printable(name));
            let name = is_dns_name(name).then(|| Ia5String::try_from(name).ok()).flatten();
            name.map(SanType::DnsName).ok_or_else(wrong)
        };
        names.into_iter().map(parse).collect()
    }
}

fn filled(member: Option<&String>) -> Option<&str> {
    member.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A host name of RFC 1123, or one with `*` for its first label (RFC 6125, section 6.4.3).
fn is_dns_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && host.split('.').all(label)
}

/// A caller's word in our answer: short and on one line.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        for good in ["localhost", "www.example.com", "*.example.com", "xn--bcher-kva.example", "a_b.example"] {
            assert!(is_dns_name(good), "{good}");
        }
        for bad in ["", ".", "a..b", "-a.example", "a b", "*", "*.", "w*.example", "www.example.com.", "bücher.example", &"a".repeat(64)] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_member_that_cannot_be_used_is_named() {
        let request = |json: serde_json::Value| serde_json::from_value::<CsrRequest>(json).unwrap();
        for (json, member) in [
            (serde_json::json!({"country": "USA"}), "country: "),
            (serde_json::json!({"organization": "x".repeat(65)}), "organization: "),
            (serde_json::json!({"common_name": "a\nb"}), "common_name: "),
            (serde_json::json!({"email": "nobody"}), "email: "),
            (serde_json::json!({"email": "a@b é"}), "email: "),
        ] {
            let text = request(json).subject().unwrap_err();
            assert!(text.starts_with(member), "{text}");
        }
        assert!(request(serde_json::json!({"dns_names": ["a.example", "b c"]})).names().unwrap_err().starts_with("dns_names: "));
        assert_eq!(request(serde_json::json!({"dns_names": ["", " a.example "]})).names().unwrap().len(), 1);
        assert!(serde_json::from_str::<CsrRequest>(r#"{"contry":"US"}"#).is_err());
    }
}
