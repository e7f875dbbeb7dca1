//! The file with the measurements of a build, in either spelling.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::files;

/// A build as CCM is asked to register it, but for the app.
pub(super) struct BuildInfo {
    /// `CreateBuildRequest` of CCM's OpenAPI.
    request: Value,
    /// PCR0, PCR1, PCR2: hexadecimal, small letters.
    pcrs: [String; 3],
}

impl BuildInfo {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read, or holds no measurements of a Nitro enclave.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = files::read(path)?;
        Self::parse(&text).map_err(|problem| Error::BuildInfo { path: path.to_owned(), problem })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let given: Value = serde_json::from_slice(text).map_err(|error| format!("it is no JSON ({error})"))?;
        let nested = &given["attributes"]["nitro_enclave"];
        let spellings = [&nested["nitro_enclave"], nested, &given["Measurements"], &given["measurements"]];
        let measured = spellings.into_iter().find(|value| pcr(value, 0).is_some());
        let measured = measured.ok_or("it has neither attributes.nitro_enclave with pcr0, pcr1 and pcr2, nor nitro-cli's Measurements")?;
        let mut pcrs = [String::new(), String::new(), String::new()];
        for (index, value) in pcrs.iter_mut().enumerate() {
            let digits = pcr(measured, index).unwrap_or_default();
            if digits.len() != 96 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(format!("its PCR{index} is not 96 hexadecimal digits"));
            }
            *value = digits.to_ascii_lowercase();
        }
        let mut request = if given["attributes"].is_object() { given } else { json!({}) };
        let [pcr0, pcr1, pcr2] = &pcrs;
        let measured = json!({ "hash_algorithm": "Sha384", "pcr0": pcr0, "pcr1": pcr1, "pcr2": pcr2 });
        request["attributes"] = json!({ "nitro_enclave": { "nitro_enclave": measured } });
        Ok(Self { request, pcrs })
    }

    /// The request for an app. The file may come from another account: what it says of app and group does not count.
    pub(super) fn request(&self, app_id: &str, app_name: &str, group_id: &str) -> Value {
        let mut request = self.request.clone();
        (request["app_id"], request["app_name"], request["group_id"]) = (json!(app_id), json!(app_name), json!(group_id));
        if !request["docker_info"].is_object() {
            request["docker_info"] = json!({ "docker_image_name": app_name, "docker_version": "latest" });
        }
        request
    }

    /// Whether a registered build has these measurements.
    pub(super) fn is(&self, build: &Value) -> bool {
        let registered = &build["attributes"]["nitro_enclave"]["nitro_enclave"];
        (0..).zip(&self.pcrs).all(|(index, wanted)| pcr(registered, index).is_some_and(|digits| digits.eq_ignore_ascii_case(wanted)))
    }
}

fn pcr(measured: &Value, index: usize) -> Option<&str> {
    measured.get(format!("pcr{index}")).or_else(|| measured.get(format!("PCR{index}")))?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let digits = "ab".repeat(48);
        let api = json!({ "docker_info": { "docker_image_name": "x", "docker_version": "1" }, "app_id": "theirs",
            "attributes": { "nitro_enclave": { "nitro_enclave": { "hash_algorithm": "Sha384", "pcr0": digits, "pcr1": digits, "pcr2": digits } } } });
        let printed =
            json!({ "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": digits.to_uppercase(), "PCR1": digits, "PCR2": digits } });
        let [api, printed] = [api, printed].map(|text| BuildInfo::parse(text.to_string().as_bytes()).unwrap());
        let [first, second] = [&api, &printed].map(|info| info.request("id", "name", "group"));
        assert_eq!(first["attributes"], second["attributes"]);
        assert_eq!((&first["app_id"], &first["docker_info"]["docker_version"]), (&json!("id"), &json!("1")));
        assert_eq!(second["docker_info"]["docker_image_name"], "name");
        assert!(api.is(&second) && printed.is(&first) && !api.is(&json!({})));
    }

    #[test]
    fn what_measures_nothing_is_refused() {
        for (text, words) in [
            ("{", "no JSON"),
            ("{}", "neither"),
            (r#"{"Measurements":{"PCR0":"00"}}"#, "PCR0 is not 96"),
            (r#"{"attributes":{"sgx":{"sgx":{"mrenclave":"00"}}}}"#, "neither"),
        ] {
            let problem = BuildInfo::parse(text.as_bytes()).err().unwrap();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
