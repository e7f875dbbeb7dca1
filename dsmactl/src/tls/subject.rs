//! What a certificate request is to say, from flags or from a file.

use clap::Args;
use serde_json::{Map, Value, json};

/// The members of the service's request, each of which may be absent.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct Subject {
    /// Two letters, such as US
    #[arg(long, value_name = "CODE")]
    pub(super) country: Option<String>,
    /// State or province, in full
    #[arg(long)]
    pub(super) state: Option<String>,
    /// City
    #[arg(long)]
    pub(super) locality: Option<String>,
    /// Company
    #[arg(long, value_name = "NAME")]
    pub(super) organization: Option<String>,
    /// Department
    #[arg(long, value_name = "NAME")]
    pub(super) organizational_unit: Option<String>,
    /// Name of the service, such as www.example.com
    #[arg(long, value_name = "NAME")]
    pub(super) common_name: Option<String>,
    /// E-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub(super) email: Option<String>,
    /// DNS names, separated by commas
    #[arg(long = "dns", value_name = "NAMES", value_delimiter = ',')]
    pub(super) dns_names: Vec<String>,
}

impl Subject {
    /// These values, and `other`'s where there are none.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            country: self.country.or(other.country),
            state: self.state.or(other.state),
            locality: self.locality.or(other.locality),
            organization: self.organization.or(other.organization),
            organizational_unit: self.organizational_unit.or(other.organizational_unit),
            common_name: self.common_name.or(other.common_name),
            email: self.email.or(other.email),
            dns_names: if self.dns_names.is_empty() { other.dns_names } else { self.dns_names },
        }
    }

    /// As the service wants it.
    pub(super) fn request(&self) -> Value {
        let members = [
            ("country", &self.country),
            ("state", &self.state),
            ("locality", &self.locality),
            ("organization", &self.organization),
            ("organizational_unit", &self.organizational_unit),
            ("common_name", &self.common_name),
            ("email", &self.email),
        ];
        let mut request: Map<String, Value> =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect();
        request.insert("dns_names".to_owned(), json!(self.dns_names));
        Value::Object(request)
    }
}
