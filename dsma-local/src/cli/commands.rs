//! `group`, `app` and `key`, each with `ls`, `add` and `show`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64_simd::STANDARD;
use clap::Subcommand;
use dsma_api::{EllipticCurve, ObjectType};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::client::Client;
use super::output::Output;
use crate::error::Error;

/// Keys that one request of a listing brings.
const PAGE: usize = 1000;

/// `dsma-local group`.
#[derive(Subcommand)]
pub(crate) enum Group {
    /// List the groups
    Ls,
    /// Make a group
    #[command(after_help = "Example:\n  dsma-local --state ~/dsm group add payments --description 'card keys'")]
    Add {
        /// Its name
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Show a group
    Show {
        /// Name or id
        group: String,
    },
}

/// `dsma-local app`.
#[derive(Subcommand)]
pub(crate) enum App {
    /// List the apps
    Ls,
    /// Make an app and print its API key
    #[command(after_help = "Examples:\n  \
        dsma-local --state ~/dsm app add web\n  \
        dsma-local --state ~/dsm app add web --group payments --permissions ENCRYPT,DECRYPT\n  \
        dsma-local --state ~/dsm app add operator --admin")]
    Add {
        /// Its name
        name: String,
        /// Group that it is a member of, and where its keys go, by name or id; several may be given; default: the default group
        #[arg(long)]
        group: Vec<String>,
        /// What it may do in these groups; default: everything that clients of the classic interface know
        #[arg(long, value_delimiter = ',')]
        permissions: Vec<String>,
        /// It manages the account, and uses no keys
        #[arg(long, conflicts_with_all = ["group", "permissions"])]
        admin: bool,
    },
    /// Show an app
    Show {
        /// Name or id
        app: String,
        /// With its API key
        #[arg(long)]
        api_key: bool,
    },
}

/// `dsma-local key`.
#[derive(Subcommand)]
pub(crate) enum Key {
    /// List keys and other security objects
    Ls {
        /// Of this group, by name or id
        #[arg(long)]
        group: Option<String>,
        /// Of this type
        #[arg(long = "type", value_name = "TYPE")]
        obj_type: Option<String>,
    },
    /// Generate a key, or import one from a file
    #[command(after_help = "Examples:\n  \
        dsma-local --state ~/dsm key add first --exportable\n  \
        dsma-local --state ~/dsm key add signer --type EC --curve Ed25519\n  \
        dsma-local --state ~/dsm key add tls --type RSA --size 3072 --ops SIGN,VERIFY,APPMANAGEABLE\n  \
        dsma-local --state ~/dsm key add tls --type RSA --import server-key.pem\n  \
        head -c 32 /dev/urandom | dsma-local --state ~/dsm key add mac --type HMAC --import -")]
    Add {
        /// Its name
        name: String,
        /// AES, DES3, HMAC, RSA, EC, SECRET, OPAQUE or CERTIFICATE
        #[arg(long = "type", value_name = "TYPE", default_value = "AES")]
        obj_type: String,
        /// Bits; default: AES 256, DES3 168, HMAC 256, RSA 2048
        #[arg(long)]
        size: Option<u32>,
        /// NistP256 (the default), NistP384, NistP521, SecP256K1, Ed25519, X25519
        #[arg(long)]
        curve: Option<String>,
        /// Its group, by name or id; default: the default group
        #[arg(long)]
        group: Option<String>,
        /// What it allows; default: everything that the type can do, but EXPORT for a generated one
        #[arg(long, value_delimiter = ',')]
        ops: Vec<String>,
        /// The default operations, and EXPORT: what the accelerator needs
        #[arg(long, conflicts_with = "ops")]
        exportable: bool,
        /// Import this file (`-` is the standard input): PEM, DER, or the key's raw bytes
        #[arg(long, value_name = "FILE")]
        import: Option<PathBuf>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Show a key, without its material
    Show {
        /// Name or id
        key: String,
    },
}

impl Group {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<(), Error> {
        match self {
            Self::Ls => output.table(&groups(client)?, &[("NAME", "name"), ("GROUP", "group_id"), ("DESCRIPTION", "description")]),
            Self::Add { name, description } => {
                output.object(&client.ask("POST", "/sys/v1/groups", Some(&json!({"name": name, "description": description})))?)
            }
            Self::Show { group } => output.object(&named(groups(client)?, &group, "group_id")?),
        }
    }
}

impl App {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<(), Error> {
        let apps = || Ok::<_, Error>(items(client.ask("GET", "/sys/v1/apps", None)?));
        match self {
            Self::Ls => output.table(&apps()?, &[("NAME", "name"), ("APP", "app_id"), ("ROLE", "role"), ("ENABLED", "enabled")]),
            Self::Add { name, group, permissions, admin } => {
                let mut body = json!({"name": name, "role": if admin { "admin" } else { "crypto" }});
                if !admin {
                    let groups = if group.is_empty() { vec![client.default_group().to_owned()] } else { group_ids(client, &group)? };
                    body["default_group"] = groups[0].clone().into();
                    body["add_groups"] = if permissions.is_empty() {
                        groups.into()
                    } else {
                        groups.into_iter().map(|id| (id, json!(permissions))).collect::<Map<_, _>>().into()
                    };
                }
                with_api_key(client, client.ask("POST", "/sys/v1/apps", Some(&body))?).and_then(|app| output.object(&app))
            }
            Self::Show { app, api_key } => {
                let app = named(apps()?, &app, "app_id")?;
                output.object(&if api_key { with_api_key(client, app)? } else { app })
            }
        }
    }
}

impl Key {
    pub(super) fn run(self, client: &Client, output: Output) -> Result<(), Error> {
        match self {
            Self::Ls { group, obj_type } => {
                let group = group.map(|group| group_ids(client, &[group])).transpose()?;
                let mut query = "show_newer_types=true&sort=name:asc".to_owned();
                query += &group.map(|ids| format!("&group_id={}", ids[0])).unwrap_or_default();
                query += &obj_type.map(|obj_type| format!("&obj_type={obj_type}")).unwrap_or_default();
                let columns = [
                    ("NAME", "name"),
                    ("TYPE", "obj_type"),
                    ("SIZE", "key_size"),
                    ("STATE", "state"),
                    ("KEY", "kid"),
                    ("OPERATIONS", "key_ops"),
                ];
                output.table(&all_keys(client, &query)?, &columns)
            }
            Self::Show { key } => {
                let descriptor = Uuid::parse_str(&key).map_or_else(|_| json!({"name": key}), |kid| json!({"kid": kid}));
                output.object(&client.ask("POST", "/crypto/v1/keys/info", Some(&descriptor))?)
            }
            Self::Add { name, obj_type, size, curve, group, ops, exportable, import, description } => {
                let obj_type = obj_type.to_uppercase();
                let mut body =
                    json!({"name": name, "obj_type": obj_type, "description": description, "elliptic_curve": curve, "key_size": size});
                body["group_id"] = match group {
                    Some(group) => group_ids(client, &[group])?.swap_remove(0).into(),
                    None => client.default_group().into(),
                };
                if !ops.is_empty() {
                    body["key_ops"] = json!(ops);
                }
                let Some(file) = import else {
                    set_default_size(&mut body, &obj_type);
                    if exportable {
                        body["key_ops"] = exportable_ops(&body)?;
                    }
                    return output.object(&client.ask("POST", "/crypto/v1/keys", Some(&body))?);
                };
                body["value"] = STANDARD.encode_to_string(&*material(&file)?).into();
                output.object(&client.ask("PUT", "/crypto/v1/keys", Some(&body))?)
            }
        }
    }
}

fn groups(client: &Client) -> Result<Vec<Value>, Error> {
    Ok(items(client.ask("GET", "/sys/v1/groups", None)?))
}

fn group_ids(client: &Client, wanted: &[String]) -> Result<Vec<String>, Error> {
    let all = groups(client)?;
    let id = |name: &String| named(all.clone(), name, "group_id").map(|group| group["group_id"].as_str().unwrap_or_default().to_owned());
    wanted.iter().map(id).collect()
}

/// The object with this name, address or id.
pub(super) fn named(objects: Vec<Value>, name: &str, id: &str) -> Result<Value, Error> {
    let found = objects.into_iter().find(|object| object["name"] == name || object["user_email"] == name || object[id] == name);
    found.ok_or_else(|| Error::Refused { status: 404, message: format!("there is no {name:?}; `ls` shows what there is") })
}

pub(super) fn items(list: Value) -> Vec<Value> {
    match list {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn all_keys(client: &Client, query: &str) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    loop {
        let page = items(client.ask("GET", &format!("/crypto/v1/keys?{query}&limit={PAGE}&offset={}", all.len()), None)?);
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// The app with its API key as a member: base64 of `app_id:secret`.
fn with_api_key(client: &Client, mut app: Value) -> Result<Value, Error> {
    let id = app["app_id"].as_str().unwrap_or_default().to_owned();
    let credential = client.ask("GET", &format!("/sys/v1/apps/{id}/credential"), None)?;
    if let Some(secret) = credential["credential"]["secret"].as_str() {
        app["api_key"] = STANDARD.encode_to_string(format!("{id}:{secret}")).into();
    }
    Ok(app)
}

fn set_default_size(body: &mut Value, obj_type: &str) {
    let default = match obj_type {
        "AES" | "HMAC" => json!(256),
        "DES3" => json!(168),
        "RSA" => json!(2048),
        _ => Value::Null,
    };
    if body["key_size"].is_null() {
        body["key_size"] = default;
    }
    if obj_type == "EC" && body["elliptic_curve"].is_null() {
        body["elliptic_curve"] = "NistP256".into();
    }
}

/// The default operations of the type, and EXPORT: with the request, so that there is no moment at which the key is half-made.
fn exportable_ops(body: &Value) -> Result<Value, Error> {
    let obj_type: ObjectType = serde_json::from_value(body["obj_type"].clone())?;
    let curve: Option<EllipticCurve> = serde_json::from_value(body["elliptic_curve"].clone())?;
    Ok(serde_json::to_value(crate::dsm::exportable(obj_type, curve))?)
}

/// The bytes of a file; what stands between the lines of a PEM file.
fn material(file: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source| Error::File { path: file.to_owned(), action: "read", source };
    let mut bytes = Zeroizing::new(Vec::new());
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        *bytes = fs::read(file).map_err(failed)?;
    }
    if !bytes.starts_with(b"-----BEGIN ") {
        return Ok(bytes);
    }
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&bytes) {
        return Ok(Zeroizing::new(key.secret_der().to_vec()));
    }
    match <(SectionKind, Vec<u8>)>::from_pem_slice(&bytes) {
        Ok((_, der)) => Ok(Zeroizing::new(der)),
        Err(_) => Err(Error::Damaged { path: file.to_owned(), problem: "it begins like PEM and is none that is known" }),
    }
}
