//! The vendor's guide, to the letter: its curl lines run with the real curl and jq, but for host, credentials, and the space that its first
//! line lacks before the URL. The CA comes through SSL_CERT_FILE; the login sends no X-CSRF-Header.

use std::process::Command;

use dsma_testkit::Stack;

const LINES: &str = r#"
set -e
# login to ccm cluster (prod)
curl -c $DIR/ccm-cookies --request POST -u "$CCM_USERNAME:$CCM_PASSWORD" "$CCM_ENDPOINT/v1/sys/auth"
# Select  account
curl -b $DIR/ccm-cookies -c $DIR/ccm-cookies --header 'X-CSRF-Header: 1' --header 'Content-Type: application/json' -X POST $CCM_ENDPOINT/v1/sys/session/select_account/$CCM_ACCOUNT_ID
# Get zone cert
curl --request GET -b $DIR/ccm-cookies --header 'X-CSRF-Header: 1' --header 'Content-Type: application/json' "$CCM_ENDPOINT/v1/zones" | jq . > $DIR/zones.json
# To escape new line characters in the cert do this
echo $(curl --request GET -b $DIR/ccm-cookies --header 'X-CSRF-Header: 1' --header 'Content-Type: application/json' "$CCM_ENDPOINT/v1/zones" | jq '.[0].certificate') > $DIR/certificate.json
# Without the header, a cookie opens nothing
test "$(curl -s -b $DIR/ccm-cookies "$CCM_ENDPOINT/v1/zones" | jq -r .code)" = FORBIDDEN
"#;

#[test]
fn the_guides_own_lines_fetch_the_zone_certificate() {
    let stack = Stack::start();
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", LINES])
        .envs(stack.variables())
        // Where these are set, curl looks there and not at SSL_CERT_FILE.
        .env_remove("CURL_CA_BUNDLE")
        .env_remove("SSL_CERT_DIR")
        .env("DIR", dir.path())
        .output()
        .expect("bash starts");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| serde_json::from_slice::<serde_json::Value>(&std::fs::read(dir.path().join(name)).unwrap()).unwrap();
    let certificate = read("certificate.json");
    assert!(certificate.as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"), "{certificate}");
    assert_eq!(read("zones.json")[0]["certificate"], certificate);
}
