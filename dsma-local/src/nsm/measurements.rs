//! What an image measures: read in the spellings of nitro-cli and of CCM, and a made-up image for a state that has no real one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA384, digest};
use serde_json::{Value, json};

use crate::error::Error;
use crate::state_dir::StateDir;

/// The build that the whitelist script posts to CCM, and with-nsm's default.
pub(super) const BUILD_INFO: &str = "build_info.json";
/// No image was measured: its registers are hashes of this text and their number, in the form of real ones. It is a label, not a secret;
/// whoever holds the emulator can claim any measurement, which is why its root counts for one marked account only.
const EMULATED_IMAGE: &str = concat!("dsma-local: emulated enclave image, version ", env!("CARGO_PKG_VERSION"));
const MAX_FILE: u64 = 1 << 20;
const REGISTER: usize = 48;

/// Registers that are not zero when an enclave starts, by index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measurements(pub(super) BTreeMap<u16, Vec<u8>>);

impl Measurements {
    /// PCR0, PCR1 and PCR2 in hexadecimal.
    pub(super) fn of_image(pcr0: &str, pcr1: &str, pcr2: &str) -> Result<Self, Error> {
        let mut measurements = Self(BTreeMap::new());
        for (index, value) in (0..).zip([pcr0, pcr1, pcr2]) {
            measurements.add(index, Some(value))?;
        }
        Ok(measurements)
    }

    /// A file that holds what `nitro-cli build-enclave` or `describe-eif` prints, a CCM build, or the measurements of either alone.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), action: "read", source };
        if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
            return Err(Error::Measurements { problem: format!("{} is too large for one", path.display()) });
        }
        let value = serde_json::from_slice(&fs::read(path).map_err(failed)?);
        let value = value.map_err(|error| Error::Measurements { problem: format!("{} is no JSON ({error})", path.display()) })?;
        Self::of_json(&value)
    }

    /// nitro-cli: `{"Measurements":{"HashAlgorithm":"Sha384 { ... }","PCR0":..}}`. CCM:
    /// `{"attributes":{"nitro_enclave":{"nitro_enclave":{"hash_algorithm":"Sha384","pcr0":..}}}}`, or any inner part of it.
    fn of_json(value: &Value) -> Result<Self, Error> {
        const STEPS: [&str; 3] = ["Measurements", "attributes", "nitro_enclave"];
        let mut inner = value;
        while let Some(next) = STEPS.iter().find_map(|step| inner.get(step)) {
            inner = next;
        }
        let field = |names: [&str; 2]| names.iter().find_map(|name| inner.get(name)).and_then(Value::as_str);
        if let Some(algorithm) = field(["HashAlgorithm", "hash_algorithm"]).filter(|name| !name.starts_with("Sha384")) {
            return Err(Error::Measurements { problem: format!("they are {algorithm:?}, and an enclave's are Sha384") });
        }
        let (pcr0, pcr1, pcr2) = (field(["PCR0", "pcr0"]), field(["PCR1", "pcr1"]), field(["PCR2", "pcr2"]));
        let (Some(pcr0), Some(pcr1), Some(pcr2)) = (pcr0, pcr1, pcr2) else {
            return Err(Error::Measurements { problem: "PCR0, PCR1 and PCR2 are not all there".to_owned() });
        };
        let mut measurements = Self::of_image(pcr0, pcr1, pcr2)?;
        // An image that is not signed has no PCR8; the converter then writes an empty text.
        measurements.add(8, field(["PCR8", "pcr8"]).filter(|value| !value.is_empty()))?;
        Ok(measurements)
    }

    /// Sets a register, where there is a value for it.
    pub(super) fn add(&mut self, index: u16, value: Option<&str>) -> Result<(), Error> {
        let Some(text) = value else { return Ok(()) };
        let bytes = unhex(text).filter(|bytes| bytes.len() == REGISTER);
        let bytes =
            bytes.ok_or_else(|| Error::Measurements { problem: format!("PCR{index} must be {} hexadecimal digits", 2 * REGISTER) })?;
        self.0.insert(index, bytes);
        Ok(())
    }

    /// As the hypervisor does in debug mode.
    pub(super) fn clear_image(&mut self) {
        self.0.retain(|index, _| *index > 2);
    }
}

/// Writes `build_info.json` where there is none: a build of the made-up image, in the form in which CCM takes builds.
pub(crate) fn write_build_info(state: &StateDir) -> Result<(), Error> {
    if state.read(BUILD_INFO)?.is_some() {
        return Ok(());
    }
    let register = |index: u8| hex(&register(&[EMULATED_IMAGE.as_bytes(), &[b' ', b'0' + index]].concat()));
    let build = json!({
        "docker_info": {"docker_image_name": "dsma-nitro", "docker_version": env!("CARGO_PKG_VERSION")},
        "attributes": {"nitro_enclave": {"nitro_enclave": {
            "hash_algorithm": "Sha384", "pcr0": register(0), "pcr1": register(1), "pcr2": register(2),
        }}},
        "enable_overlay_filesystem_persistence": false,
    });
    state.write_public(BUILD_INFO, format!("{build:#}\n").as_bytes())
}

/// The value of a register that was extended once, with the digest of `content`: AWS's formula for PCR0, PCR1, PCR2 and PCR8.
fn register(content: &[u8]) -> Vec<u8> {
    extended(&[0; REGISTER], digest(&SHA384, content).as_ref())
}

/// The value of a register after `data`.
pub(super) fn extended(value: &[u8], data: &[u8]) -> Vec<u8> {
    digest(&SHA384, &[value, data].concat()).as_ref().to_vec()
}

/// Lowercase hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(((*high as char).to_digit(16)? << 4 | (*low as char).to_digit(16)?) as u8),
        _ => None,
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digit: char) -> Measurements {
        let value = digit.to_string().repeat(96);
        Measurements::of_image(&value, &value, &value).unwrap()
    }

    #[test]
    fn every_spelling_says_the_same() {
        let value = "a".repeat(96);
        let ccm = json!({"hash_algorithm": "Sha384", "pcr0": value, "pcr1": value, "pcr2": value});
        let nitro = json!({"HashAlgorithm": "Sha384 { ... }", "PCR0": value.to_uppercase(), "PCR1": value, "PCR2": value});
        for text in [
            ccm.clone(),
            json!({"nitro_enclave": ccm}),
            json!({"attributes": {"nitro_enclave": {"nitro_enclave": ccm}}, "docker_info": {}}),
            nitro.clone(),
            json!({"Measurements": nitro, "IsSigned": false}),
        ] {
            assert_eq!(Measurements::of_json(&text).unwrap(), image('a'), "{text}");
        }
        let mut signed = nitro;
        signed["PCR8"] = "b".repeat(96).into();
        assert_eq!(Measurements::of_json(&json!({"Measurements": signed})).unwrap().0[&8], vec![0xbb; 48]);
        signed["PCR8"] = "".into();
        assert_eq!(Measurements::of_json(&signed).unwrap(), image('a'));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let value = "a".repeat(96);
        for (text, expected) in [
            (json!({}), "are not all there"),
            (json!({"pcr0": value, "pcr1": value}), "are not all there"),
            (json!({"pcr0": value, "pcr1": value, "pcr2": "ab"}), "PCR2 must be 96 hexadecimal digits"),
            (json!({"pcr0": value, "pcr1": "x".repeat(96), "pcr2": value}), "PCR1 must be 96 hexadecimal digits"),
            (json!({"hash_algorithm": "Sha256", "pcr0": value, "pcr1": value, "pcr2": value}), "they are \"Sha256\""),
        ] {
            let seen = Measurements::of_json(&text).unwrap_err().to_string();
            assert!(seen.contains(expected), "{expected:?} is expected, and seen was: {seen}");
        }
    }

    #[test]
    fn the_made_up_image_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        write_build_info(&state).unwrap();
        let measured = Measurements::read(&state.path(BUILD_INFO)).unwrap();
        assert_eq!(measured.0.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(measured.0[&0] != measured.0[&1] && measured.0[&1] != measured.0[&2]);
        state.write_public(BUILD_INFO, b"{}").unwrap();
        write_build_info(&state).unwrap();
        assert_eq!(state.read(BUILD_INFO).unwrap().unwrap(), b"{}");
    }
}
