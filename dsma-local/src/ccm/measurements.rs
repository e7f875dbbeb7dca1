//! Measurements as clients spell them: the API's own form, and what `nitro-cli` prints.

use serde::Deserialize;
use serde_json::Value;

use super::model::{Measurement, Signer};
use super::refusal::{Code, Refusal};

/// SHA-384, in hexadecimal digits.
const PCR_DIGITS: usize = 96;
/// SHA-256.
const SGX_DIGITS: usize = 64;

/// The measurements in the body of a request.
#[derive(Deserialize)]
pub(crate) struct Given {
    /// By enclave type: `{"nitro_enclave": {"nitro_enclave": {...}}}`; the inner name may be left out.
    attributes: Option<Value>,
    /// As `nitro-cli build-enclave` prints it.
    #[serde(rename = "Measurements", alias = "measurements")]
    printed: Option<Value>,
    mrenclave: Option<String>,
    mrsigner: Option<String>,
    isvprodid: Option<i64>,
    isvsvn: Option<i64>,
}

impl Given {
    /// The one measurement that is given.
    pub(crate) fn measurement(&self) -> Result<Measurement, Refusal> {
        let attributes = self.attributes.as_ref().and_then(Value::as_object);
        let nitro = attributes.and_then(|attributes| attributes.get("nitro_enclave"));
        // The API's form has the name twice: as the key of the map, and of the choice in it.
        let nitro = nitro.map(|value| value.get("nitro_enclave").unwrap_or(value));
        if let Some(value) = nitro.or(self.printed.as_ref()) {
            return nitro_enclave(value);
        }
        if let Some(mrenclave) = &self.mrenclave {
            return Ok(Measurement::Sgx {
                mrenclave: digest("mrenclave", mrenclave, SGX_DIGITS)?,
                mrsigner: digest("mrsigner", self.mrsigner.as_deref().unwrap_or_default(), SGX_DIGITS)?,
                isvprodid: self.isvprodid.unwrap_or_default(),
                isvsvn: self.isvsvn.unwrap_or_default(),
            });
        }
        if let Some(kind) = attributes.and_then(|attributes| attributes.keys().next()) {
            let text = format!("Builds of type {kind:?} are not supported by this version: nitro_enclave is");
            return Err(Refusal::new(Code::FeatureNotSupported, text));
        }
        let text = "Measurements are missing: attributes.nitro_enclave with hash_algorithm, pcr0, pcr1 and pcr2 is expected";
        Err(Refusal::new(Code::MissingRequiredParameter, text))
    }
}

/// A signer whose measurement is well-formed.
pub(crate) fn valid_signer(signer: Signer) -> Result<Signer, Refusal> {
    match signer {
        Signer::NitroEnclave { pcr8 } => Ok(Signer::NitroEnclave { pcr8: pcr("pcr8", &pcr8)? }),
        Signer::Sgx { mrsigner, isvprodid } => Ok(Signer::Sgx { mrsigner: digest("mrsigner", &mrsigner, SGX_DIGITS)?, isvprodid }),
    }
}

fn nitro_enclave(value: &Value) -> Result<Measurement, Refusal> {
    let text = |name: &str| value.get(name).or_else(|| value.get(name.to_uppercase())).and_then(Value::as_str).unwrap_or_default();
    let algorithm = value.get("hash_algorithm").or_else(|| value.get("HashAlgorithm")).and_then(Value::as_str).unwrap_or_default();
    // nitro-cli prints a debug form: "Sha384 { ... }".
    if algorithm.split([' ', '{']).next() != Some("Sha384") {
        return Err(Refusal::invalid(format!("Invalid hash_algorithm {algorithm:?}: Sha384 is expected")));
    }
    Ok(Measurement::NitroEnclave { pcr0: pcr("pcr0", text("pcr0"))?, pcr1: pcr("pcr1", text("pcr1"))?, pcr2: pcr("pcr2", text("pcr2"))? })
}

/// A PCR that says something: zeros are what debug mode shows, and would let every image in.
fn pcr(name: &str, text: &str) -> Result<String, Refusal> {
    let digits = digest(name, text, PCR_DIGITS)?;
    if digits.bytes().all(|digit| digit == b'0') {
        return Err(Refusal::invalid(format!("Invalid {name}: all zeros is what enclaves in debug mode show, and is never approved")));
    }
    Ok(digits)
}

fn digest(name: &str, text: &str, digits: usize) -> Result<String, Refusal> {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Refusal::invalid(format!("Invalid {name}: {digits} hexadecimal digits are expected")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Measurement, Refusal> {
        serde_json::from_value::<Given>(body).unwrap().measurement()
    }

    #[test]
    fn both_spellings_say_the_same() {
        let [small, large] = ["ab", "AB"].map(|digits| digits.repeat(48));
        let api = json!({ "hash_algorithm": "Sha384", "pcr0": small, "pcr1": small, "pcr2": small });
        let printed = json!({ "HashAlgorithm": "Sha384 { ... }", "PCR0": large, "PCR1": large, "PCR2": large, "PCR8": large });
        let expected = Measurement::NitroEnclave { pcr0: small.clone(), pcr1: small.clone(), pcr2: small };
        for body in [
            json!({ "attributes": { "nitro_enclave": { "nitro_enclave": api } } }),
            json!({ "attributes": { "nitro_enclave": api } }),
            json!({ "Measurements": printed }),
        ] {
            assert_eq!(read(body).unwrap(), expected);
        }
    }

    #[test]
    fn what_measures_nothing_is_refused() {
        let pcr = "ab".repeat(48);
        let zeros = "0".repeat(96);
        for nitro in [
            json!({ "hash_algorithm": "Sha256", "pcr0": pcr, "pcr1": pcr, "pcr2": pcr }),
            json!({ "hash_algorithm": "Sha384", "pcr0": pcr, "pcr1": pcr }),
            json!({ "hash_algorithm": "Sha384", "pcr0": &pcr[2..], "pcr1": pcr, "pcr2": pcr }),
            json!({ "hash_algorithm": "Sha384", "pcr0": pcr, "pcr1": pcr, "pcr2": zeros }),
        ] {
            assert!(read(json!({ "attributes": { "nitro_enclave": nitro } })).is_err());
        }
        assert!(read(json!({})).is_err());
        assert!(read(json!({ "attributes": { "aci": { "aci": { "policy": "" } } } })).is_err());
    }
}
