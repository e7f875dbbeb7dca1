//! API keys: what an app of DSM logs in with.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Settings, malformed, problem, read_secret_file};
use crate::{Error, SecretBytes};

/// An API key: base64 of `app_id:secret`, used verbatim after `Basic `. Cheap to clone; never shown.
#[derive(Clone)]
pub struct ApiKey(Arc<SecretBytes>);

impl ApiKey {
    /// Takes the key itself, or `file:///path` of a file that holds it: alone, or as `api_key` of a configuration file.
    ///
    /// # Errors
    /// [`Error::Config`]; the text of the key is never part of it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_at(text, Path::new("API key"))
    }

    /// [`Self::parse`] of what was found at `place`.
    pub(super) fn parse_at(text: &str, place: &Path) -> Result<Self, Error> {
        let Some(path) = text.strip_prefix("file://") else {
            return Self::from_text(text.trim(), place);
        };
        let file = Path::new(path);
        let content = read_secret_file(file, "give the path of a readable file that holds the API key, as file:///path")?;
        if let Ok(key) = Self::from_text(content.trim(), file) {
            return Ok(key);
        }
        let settings: Settings = toml::from_str(&content).map_err(|error| malformed(file, &content, &error))?;
        let key = settings
            .api_key
            .ok_or_else(|| problem(file, "api_key", "missing", "add api_key = \"...\" or make the key the file's only content"))?;
        Self::from_text(&key.0, file)
    }

    /// The text that goes after `Basic `.
    pub(crate) fn expose(&self) -> &str {
        // Checked to be ASCII by `from_text`.
        std::str::from_utf8((*self.0).as_ref()).unwrap_or_default()
    }

    fn from_text(text: &str, file: &Path) -> Result<Self, Error> {
        let mend = "copy it again from DSM: it is one line of base64 that stands for `app id:secret`";
        let shape = |what| problem(file, "api_key", what, mend);
        let decoded = base64_simd::STANDARD.decode_to_vec(text).map(Zeroizing::new).map_err(|_| shape("is not base64"))?;
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(|| shape("holds no `:` between app id and secret"))?;
        let app_id = std::str::from_utf8(&decoded[..colon]).unwrap_or_default();
        uuid::Uuid::parse_str(app_id).map_err(|_| shape("does not begin with an app id"))?;
        let secret = SecretBytes::new(text.as_bytes())
            .map_err(|error| problem(file, "api_key", &error.to_string(), "free some memory and try again"))?;
        Ok(Self(Arc::new(secret)))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}
