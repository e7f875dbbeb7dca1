//! The messages are the promise: file, key and mend in one line, and no secret.

use std::io::Write;

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
    assert_eq!(config.api_key.as_ref().unwrap().expose(), KEY);
    assert_eq!((config.cache_ttl.as_secs(), config.availability_grace.as_secs()), (60, 240));
    assert_eq!(config.log.level(), Some(tracing::Level::DEBUG));
    assert!(!format!("{config:?}").contains(KEY));
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
        ("identity = \"attested\"", &["identity", "attested", "api_key"]),
        ("cache_max_keys = 0", &["cache_max_keys", "more than 0"]),
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
