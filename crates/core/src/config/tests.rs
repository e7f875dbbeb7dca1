//! The messages are the promise: file, key and mend in one line, and no secret.

use std::io::Write;
use std::os::fd::AsRawFd;

use super::*;

const KEY: &str = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOnNlY3JldC1vZi10aGUtYXBw";

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_full_file() {
    let file = file(&format!(
        "api_endpoint = \"https://dsm.example:4433\"\napi_key = \"{KEY}\"\ncache_ttl = 60\navailability = true\n[log]\nlevel = \"debug\"\n"
    ));
    let config = Config::load(Some(file.path())).unwrap();
    assert_eq!(config.api_endpoint, "https://dsm.example:4433");
    assert!(matches!(&config.identity, Identity::ApiKey(key) if key.expose() == KEY));
    assert_eq!((config.cache_ttl.as_secs(), config.availability_grace.as_secs()), (60, 240));
    assert_eq!(config.log.level(), Some(tracing::Level::DEBUG));
    assert!(!format!("{config:?}").contains(KEY));
}

#[test]
fn each_identity() {
    let parsed = |text: &str| Config::load(Some(file(&text.replace("APP", APP)).path())).unwrap().identity;
    assert!(matches!(parsed("identity = \"api_key\""), Identity::AtLogin));
    let files = "cert_file = \"/c\"\nkey_file = \"/k\"\n";
    for text in [format!("identity = \"certificate\"\napp_id = \"APP\"\n{files}"), format!("app_id = \"APP\"\n{files}")] {
        let Identity::Certificate(found) = parsed(&text) else { panic!("{text}") };
        assert_eq!((found.app_id.unwrap().to_string(), found.cert_file, found.key_file), (APP.into(), "/c".into(), "/k".into()));
    }
    assert!(matches!(parsed(files), Identity::Certificate(CertificateFiles { app_id: None, .. })));
    let config_id = "0f".repeat(32);
    let text = format!("app_id = \"APP\"\nnode_agent = \"http:/10.0.0.5:9092/v1/\"\napp_config_id = \"{config_id}\"\n");
    let Identity::Attested(found) = parsed(&attested(&text)) else { panic!("{text}") };
    assert_eq!((found.node_agent.to_string().as_str(), found.domain.as_str()), ("http://10.0.0.5:9092", "fortanix.com"));
    assert_eq!(found.app_config_id, Some([0x0f; 32]));
}

const APP: &str = "842ba6d5-93af-4a85-af6f-bd2f0f112fb2";

fn attested(rest: &str) -> String {
    format!("identity = \"attested\"\n{}", rest.replace("APP", APP))
}

/// text of the file, what the message must name.
#[test]
fn what_is_wrong_is_named_with_file_key_and_mend() {
    let table: &[(&str, &[&str])] = &[
        ("api_endpoint = \"http://dsm.example\"", &["api_endpoint", "https://"]),
        ("api_endpoint = \"https://dsm.example/\"", &["api_endpoint", "trailing slash"]),
        ("api_endpoint = \"https://\"", &["api_endpoint", "host"]),
        ("api_endpoint = 5", &["api_endpoint", "line 1", "string"]),
        ("cache_ttl = 1\napi_key = \"c2VjcmV0LXRleHQ=\"", &["api_key", "base64"]),
        ("api_key = \"c2VjcmV0:\"", &["api_key", "copy it again"]),
        ("\n\ncache_ttl = -4", &["cache_ttl", "line 3"]),
        ("cash_ttl = 4", &["cash_ttl", "unknown field"]),
        ("identity = \"token\"", &["identity", "`token` is no identity", "\"attested\""]),
        ("identity = \"attested\"\napi_key = \"c2VjcmV0\"", &["api_key", "identity = \"attested\"", "remove it"]),
        ("identity = \"attested\"\nnode_agent = \"http://h\"", &["app_id", "is missing", "FORTANIX_APP_UUID"]),
        (&attested("app_id = \"APP\"\n"), &["node_agent", "is missing", "NODE_AGENT"]),
        (&attested("app_id = \"1234\"\nnode_agent = \"http://h\"\n"), &["app_id", "`1234` is no UUID"]),
        (&attested("app_id = \"APP\"\nnode_agent = \"https://h\"\n"), &["node_agent", "`https://h`", "plain http"]),
        (&attested("app_id = \"APP\"\nnode_agent = \"http://h\"\ndomain = \"a b\"\n"), &["domain", "no DNS name"]),
        (&attested("app_id = \"APP\"\nnode_agent = \"http://h\"\napp_config_id = \"00\"\n"), &["app_config_id", "64 hexadecimal"]),
        (&attested("cert_file = \"c\"\n"), &["cert_file", "identity = \"certificate\""]),
        ("identity = \"certificate\"\ncert_file = \"c\"", &["key_file", "is missing"]),
        ("identity = \"certificate\"\nkey_file = \"k\"", &["cert_file", "is missing"]),
        ("identity = \"certificate\"\nnode_agent = \"http://h\"", &["node_agent", "does not go with", "identity = \"attested\""]),
        ("api_key = \"c2VjcmV0\"\nkey_file = \"k\"", &["key_file", "does not go with", "remove it"]),
        ("app_id = \"x\"", &["app_id", "does not go with identity = \"api_key\""]),
        ("cache_max_keys = 0", &["cache_max_keys", "more than 0"]),
        ("cache_max_keys = 1000000000", &["cache_max_keys", "at most 10000000"]),
        ("cache_ttl = 9223372036854775807", &["cache_ttl", "at most 315360000"]),
        ("retry_timeout_millis = 86400001", &["retry_timeout_millis", "at most 86400000"]),
        ("token_label = \"a label that is much longer than 32 bytes\"", &["token_label", "32"]),
        ("[log]\nlevel = \"loud\"", &["log.level", "loud", "debug"]),
        ("api_key = \"c2VjcmV0LXRleHQ", &["api_key", "line 1"]),
    ];
    for (text, names) in table {
        let file = file(text);
        let message = Config::load(Some(file.path())).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        assert!(!message.contains("c2Vj") && !message.contains("secret-text"), "a secret shows in: {message}");
        for name in names.iter().chain([&file.path().to_str().unwrap()]) {
            assert!(message.contains(name), "{name:?} missing in: {message}");
        }
    }
}

#[test]
fn what_would_do_nothing_among_slots_is_refused() {
    for (text, names) in [
        ("slot = 3\n[[slots]]\n", ["slot", "beside [[slots]]"]),
        ("conformance = false\n[[slots]]\n", ["conformance", "beside [[slots]]"]),
        ("[[slots]]\n[slots.log]\nlevel = \"info\"\n", ["log", "top of the file"]),
        ("[[slots]]\nlogin = \"ignore\"\n", ["login", "without a credential"]),
        ("[[slots]]\n[[slots]]\n", ["token_label", "`Fortanix Token` for two slots"]),
        ("token_label = \"a\"\n[[slots]]\n[[slots]]\ntoken_label = \"a\"\n", ["token_label", "`a` for two slots"]),
    ] {
        let file = file(text);
        let message = Config::load_slots(Some(file.path())).unwrap_err().to_string();
        assert!(names.iter().all(|name| message.contains(name)), "{message}");
    }
    let file = file("[log]\nlevel = \"info\"\n[[slots]]\n[[slots]]\ntoken_label = \"b\"\n");
    assert_eq!(Config::load_slots(Some(file.path())).unwrap().len(), 2);
}

#[test]
fn a_missing_file_is_named() {
    let message = Config::load(Some(Path::new("/nonexistent/pkcs11.conf"))).unwrap_err().to_string();
    assert!(message.contains("/nonexistent/pkcs11.conf") && message.contains("FORTANIX_PKCS11_CONFIG"), "{message}");
}

#[test]
fn a_pin_may_name_a_file_that_holds_the_key() {
    for text in [KEY.to_owned(), format!("{KEY}\n"), format!("api_key = \"{KEY}\"\n")] {
        let file = file(&text);
        let key = ApiKey::parse(&format!("file://{}", file.path().display())).unwrap();
        assert_eq!(key.expose(), KEY);
    }
    assert!(ApiKey::parse("1234").unwrap_err().to_string().contains("base64"));
}

#[test]
fn a_configuration_may_name_a_file_that_holds_the_key() {
    let key = file(KEY);
    let config = file(&format!("api_key = \"file://{}\"\n", key.path().display()));
    let Identity::ApiKey(read) = Config::load(Some(config.path())).unwrap().identity else { panic!("an API key") };
    assert_eq!(read.expose(), KEY);
}

#[test]
fn a_pin_that_names_no_regular_file_is_refused() {
    for (name, what) in [("/dev/zero", "is no regular file"), ("/", "is no regular file"), ("/nonexistent/key", "No such file")] {
        let message = ApiKey::parse(&format!("file://{name}")).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name}: ")) && message.contains(what), "{message}");
        assert!(message.contains("holds the API key") && !message.contains("PKCS11_CONFIG"), "{message}");
    }
}

/// A name for this end of a pipe, as the shell's `<(...)` gives one.
fn name(pipe: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", pipe.as_raw_fd()).into()
}

#[test]
fn a_configuration_may_come_through_a_pipe() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    write!(writer, "api_endpoint = \"https://dsm.example\"\napi_key = \"{KEY}\"\n").unwrap();
    drop(writer);
    assert_eq!(Config::load(Some(&name(&reader))).unwrap().api_endpoint, "https://dsm.example");
    // Not without end.
    let message = Config::load(Some(Path::new("/dev/zero"))).unwrap_err().to_string();
    assert!(message.starts_with("/dev/zero: ") && message.contains("larger than 1 MiB"), "{message}");
}

#[test]
fn a_pin_that_names_a_pipe_waits_for_nobody() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let message = ApiKey::parse(&format!("file://{}", name(&reader).display())).unwrap_err().to_string();
    assert!(message.contains("is no regular file"), "{message}");
    // Nor for a writer that is to come.
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let message = ApiKey::parse(&format!("file://{}", fifo.display())).unwrap_err().to_string();
    assert!(message.contains("is no regular file"), "{message}");
}
