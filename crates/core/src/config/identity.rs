//! Who we are to DSM, as configured: an API key, a certificate in files, or attestation.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{ApiKey, Settings, problem};
use crate::Error;
use crate::identity::NodeAgentUrl;

/// The domain that an attested accelerator is certified for where nobody says otherwise: the vendor's.
pub const DEFAULT_DOMAIN: &str = "fortanix.com";

/// Who we are to DSM.
#[derive(Clone, Debug, Default)]
pub enum Identity {
    /// Nobody yet: a PKCS#11 application gives its API key as PIN.
    #[default]
    AtLogin,
    /// The app of an API key.
    ApiKey(ApiKey),
    /// An app that a certificate in files stands for.
    Certificate(CertificateFiles),
    /// An app that a certificate stands for which attestation earns.
    Attested(Attested),
}

/// A certificate and its key in files, which somebody else keeps fresh.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The app; a certificate that is stored for one app needs no name.
    pub app_id: Option<Uuid>,
    /// PEM: the certificate, then the intermediate CAs' certificates.
    pub cert_file: PathBuf,
    /// PEM: the private key (PKCS#8, PKCS#1 or SEC1).
    pub key_file: PathBuf,
}

/// Where an enclave gets its certificate, and for what.
#[derive(Clone, Debug)]
pub struct Attested {
    /// The app in DSM that trusts the zone CA.
    pub app_id: Uuid,
    /// The node agent.
    pub node_agent: NodeAgentUrl,
    /// The domain in the certificate; CCM must have approved it for the image.
    pub domain: String,
    /// The id of the application's configuration in CCM, where it has one.
    pub app_config_id: Option<[u8; 32]>,
}

impl Attested {
    /// An identity for the default domain, without an application configuration.
    #[must_use]
    pub fn new(app_id: Uuid, node_agent: NodeAgentUrl) -> Self {
        Self { app_id, node_agent, domain: DEFAULT_DOMAIN.to_owned(), app_config_id: None }
    }
}

/// The identity that the file says, or, where it says nothing, its other keys and the environment.
pub(super) fn build(settings: &mut Settings, file: &Path) -> Result<Identity, Error> {
    match settings.identity.as_deref() {
        Some("api_key") => api_key(settings, file),
        Some("certificate") => certificate(settings, file),
        Some("attested") => attested(settings, file),
        Some(other) => {
            let mend = "set it to \"api_key\", \"certificate\" or \"attested\"";
            Err(problem(file, "identity", &format!("`{other}` is no identity"), mend))
        }
        // As the vendor's configurations say it.
        None if settings.api_key.is_none() && (settings.cert_file.is_some() || settings.key_file.is_some()) => certificate(settings, file),
        None => api_key(settings, file),
    }
}

fn api_key(settings: &mut Settings, file: &Path) -> Result<Identity, Error> {
    refuse(settings, file, "api_key", &["app_id", "cert_file", "key_file", "node_agent", "domain", "app_config_id"])?;
    Ok(match settings.api_key.take() {
        Some(text) => Identity::ApiKey(ApiKey::parse_at(&text.0, file)?),
        None => match settings.variable("FORTANIX_API_KEY").map(Zeroizing::new) {
            Some(text) => Identity::ApiKey(ApiKey::parse_at(&text, Path::new("environment variable FORTANIX_API_KEY"))?),
            None => Identity::AtLogin,
        },
    })
}

fn certificate(settings: &mut Settings, file: &Path) -> Result<Identity, Error> {
    refuse(settings, file, "certificate", &["api_key", "node_agent", "domain", "app_config_id"])?;
    let needed = |key, value: Option<PathBuf>, mend| value.ok_or_else(|| problem(file, key, "is missing", mend));
    Ok(Identity::Certificate(CertificateFiles {
        app_id: app_id(settings, file)?,
        cert_file: needed("cert_file", settings.cert_file.take(), "give the PEM file with the certificate and its chain")?,
        key_file: needed("key_file", settings.key_file.take(), "give the PEM file with the certificate's private key")?,
    }))
}

fn attested(settings: &mut Settings, file: &Path) -> Result<Identity, Error> {
    refuse(settings, file, "attested", &["api_key", "cert_file", "key_file"])?;
    let mend = "give the id of the app in DSM that trusts the zone CA, here or in $FORTANIX_APP_UUID";
    let app_id = app_id(settings, file)?.ok_or_else(|| problem(file, "app_id", "is missing", mend))?;
    let mend = "give the URL of the node agent, such as http://10.0.0.5:9092, here or in $NODE_AGENT";
    let url = settings.node_agent.take().or_else(|| settings.variable("NODE_AGENT"));
    let url = url.ok_or_else(|| problem(file, "node_agent", "is missing", mend))?;
    let node_agent = NodeAgentUrl::parse(&url).map_err(|what| problem(file, "node_agent", &format!("`{url}` {what}"), mend))?;
    let domain = settings.domain.take().unwrap_or_else(|| DEFAULT_DOMAIN.to_owned());
    if domain.is_empty() || domain.len() > 253 || !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)) {
        return Err(problem(file, "domain", &format!("`{domain}` is no DNS name"), "give the domain that CCM approved for this image"));
    }
    Ok(Identity::Attested(Attested { app_id, node_agent, domain, app_config_id: app_config_id(settings, file)? }))
}

/// A key that belongs to another identity would do nothing: that is a trap.
fn refuse(settings: &Settings, file: &Path, identity: &str, foreign: &[&str]) -> Result<(), Error> {
    let given = |key: &&&str| match **key {
        "api_key" => settings.api_key.is_some(),
        "app_id" => settings.app_id.is_some(),
        "cert_file" => settings.cert_file.is_some(),
        "key_file" => settings.key_file.is_some(),
        "node_agent" => settings.node_agent.is_some(),
        "domain" => settings.domain.is_some(),
        _ => settings.app_config_id.is_some(),
    };
    let Some(key) = foreign.iter().find(given) else { return Ok(()) };
    let fitting = match *key {
        "api_key" => "\"api_key\"",
        "cert_file" | "key_file" => "\"certificate\"",
        "app_id" => "\"certificate\" or \"attested\"",
        _ => "\"attested\"",
    };
    let what = format!("does not go with identity = \"{identity}\"");
    Err(problem(file, key, &what, &format!("remove it, or set identity = {fitting} and remove what belongs to \"{identity}\"")))
}

fn app_id(settings: &Settings, file: &Path) -> Result<Option<Uuid>, Error> {
    let variable = settings.variable("FORTANIX_APP_UUID");
    let (place, text) = match (&settings.app_id, &variable) {
        (Some(text), _) => (file, text),
        (None, Some(text)) => (Path::new("environment variable FORTANIX_APP_UUID"), text),
        (None, None) => return Ok(None),
    };
    let wrong = |_| problem(place, "app_id", &format!("`{text}` is no UUID"), "copy the app's id from DSM");
    Uuid::parse_str(text).map(Some).map_err(wrong)
}

fn app_config_id(settings: &Settings, file: &Path) -> Result<Option<[u8; 32]>, Error> {
    let Some(text) = &settings.app_config_id else { return Ok(None) };
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    let id = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).filter(|_| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    id.map(Some).ok_or_else(|| {
        problem(file, "app_config_id", "is not 64 hexadecimal digits", "copy it from the application's configuration in CCM")
    })
}
