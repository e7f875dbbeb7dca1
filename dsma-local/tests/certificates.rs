//! Login with client certificates over the wire: what opens a session, and what each wrong certificate is told.

use std::net::{IpAddr, Ipv4Addr};

use base64_simd::STANDARD;
use dsma_testkit::rcgen::{DistinguishedName, DnType, ExtendedKeyUsagePurpose, SanType, date_time_ymd};
use dsma_testkit::{Authority, Dsm, Identity, Reply, Stack};
use serde_json::{Value, json};

fn b64(der: &[u8]) -> String {
    STANDARD.encode_to_string(der)
}

/// Makes an app in the default group with this credential, and returns its id.
fn app(stack: &Stack, name: &str, credential: &Value) -> String {
    let groups = json!({stack.dsm().default_group(): ["ENCRYPT", "EXPORT"]});
    let spec = json!({"name": name, "add_groups": groups, "credential": credential});
    let reply = stack.admin().request("POST", "/sys/v1/apps", Some(spec)).success().json();
    reply["app_id"].as_str().unwrap().to_owned()
}

fn trusted(ca: &Authority, subject: &Value) -> Value {
    json!({"trustedca": {"ca_certificates": [b64(ca.certificate())], "subject_general": subject}})
}

fn login(client: &Dsm) -> Reply {
    client.request("POST", "/sys/v1/session/auth", None)
}

/// A session of this app, with the certificate.
#[track_caller]
fn opens(stack: &Stack, identity: &Identity, app_id: &str) -> Dsm {
    let client = stack.apps(Some(identity), Some(app_id));
    let reply = login(&client).success().json();
    assert_eq!(reply["entity_id"], app_id);
    let token = reply["access_token"].as_str().unwrap().to_owned();
    client.with(dsma_testkit::Credential::Bearer(token))
}

/// 401, or `status`, with these words.
#[track_caller]
fn refused(reply: &Reply, status: u16, words: &str) {
    assert!(reply.status == status && reply.text.contains(words), "{} {:?}, expected {status} with {words:?}", reply.status, reply.text);
}

#[test]
fn a_certificate_of_a_trusted_ca_is_the_app() {
    let stack = Stack::start();
    let root = Authority::root("zone", |_| ());
    let id = app(&stack, "nitro", &trusted(&root, &json!({"dns_name": "fortanix.com"})));
    let leaf = root.issue(&["fortanix.com"], |_| ());
    let session = opens(&stack, &leaf, &id);
    session.request("GET", "/crypto/v1/keys", None).success();
    // The token is the session: it lives on connections without the certificate, too.
    let token = login(&stack.apps(Some(&leaf), Some(&id))).success().json()["access_token"].as_str().unwrap().to_owned();
    let elsewhere = stack.dsm().with(dsma_testkit::Credential::Bearer(token));
    elsewhere.request("GET", &format!("/sys/v1/apps/{id}"), None).success();
    // A call without a session, and a chain with a CA in between.
    stack.apps(Some(&leaf), Some(&id)).request("GET", "/crypto/v1/keys", None).success();
    opens(&stack, &root.intermediate("node").issue(&["other.example", "FORTANIX.com"], |_| ()), &id);
    let lines = stack.admin().audit();
    let told = lines.iter().any(|line| line["message"] == "Authenticated, with a client certificate, app \"nitro\"");
    assert!(told, "{lines:?}");
    let shown = stack.admin().request("GET", &format!("/sys/v1/apps/{id}"), None).success().json();
    assert_eq!((shown["auth_type"].as_str(), shown["cert_not_after"].as_str()), (Some("TrustedCa"), Some("40960101T000000Z")));
}

#[test]
fn each_spelling_of_a_subject_finds_its_certificate_and_no_other() {
    let stack = Stack::start();
    let root = Authority::root("zone", |_| ());
    let named = |dns: &[&str], common_name: &str, ip: Option<IpAddr>| {
        root.issue(dns, |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, "Example");
            params.distinguished_name.push(DnType::CommonName, common_name);
            params.subject_alt_names.extend(ip.map(SanType::IpAddress));
        })
    };
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let leaf = named(&["fortanix.com"], "enclave", Some(ip));
    let name = json!([["2.5.4.10", "Example"], ["2.5.4.3", "enclave"]]);
    // UTF8String "enclave" in DER, as the OpenAPI wants values.
    let in_der = json!([["2.5.4.10", "Example"], ["2.5.4.3", b64(b"\x0c\x07enclave")]]);
    let ca = b64(root.certificate());
    let table = [
        (json!({"subject_general": {"dns_name": "Fortanix.COM"}}), true),
        (json!({"subject_general": {"ip_address": "10.0.0.1"}}), true),
        (json!({"subject_general": {"directory_name": name}}), true),
        (json!({"subject_general": {"directory_name": in_der}}), true),
        (json!({"subject": name}), true),
        (json!({"subjects": [{"dns_name": "nobody.example"}, {"ip_address": "10.0.0.1"}]}), true),
        (json!({"subject_general": {"dns_name": "enclave"}}), false),
        (json!({"subject_general": {"dns_name": "com"}}), false),
        (json!({"subject_general": {"ip_address": "10.0.0.2"}}), false),
        (json!({"subject_general": {"ip_address": "::ffff:10.0.0.1"}}), false),
        (json!({"subject": [["2.5.4.3", "enclave"]]}), false),
        (json!({"subject": [["2.5.4.10", "Example"], ["2.5.4.3", "enclav"]]}), false),
        (json!({"subject": [["2.5.4.3", "enclave"], ["2.5.4.10", "Example"]]}), false),
        (json!({"subjects": [{"dns_name": "nobody.example"}, {"ip_address": "10.0.0.2"}]}), false),
    ];
    for (number, (mut credential, matches)) in table.into_iter().enumerate() {
        credential["ca_certificate"] = json!(ca);
        let id = app(&stack, &format!("app {number}"), &json!({"trustedca": credential}));
        if matches {
            opens(&stack, &leaf, &id);
        } else {
            refused(&login(&stack.apps(Some(&leaf), Some(&id))), 401, "none of the app's subjects is in it. It is for ");
        }
    }
    // A wildcard is no host, and a common name no alternative name.
    let id = app(&stack, "host", &trusted(&root, &json!({"dns_name": "a.example"})));
    refused(
        &login(&stack.apps(Some(&named(&["*.example"], "a.example", None)), Some(&id))),
        401,
        "It is for \"CN=a.example,O=Example\", *.example",
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let stack = Stack::start();
    let root = Authority::root("zone", |_| ());
    let id = app(&stack, "nitro", &trusted(&root, &json!({"dns_name": "fortanix.com"})));
    let expect = |identity: Option<&Identity>, app_id: &str, status, words: &str| {
        refused(&login(&stack.apps(identity, Some(app_id))), status, words);
    };
    let good = root.issue(&["fortanix.com"], |_| ());
    expect(None, &id, 401, "the client presented none");
    expect(
        Some(&root.issue(&["fortanix.com"], |params| params.not_after = date_time_ymd(2020, 1, 2))),
        &id,
        401,
        "expired at 20200102T000000Z",
    );
    expect(
        Some(&root.issue(&["fortanix.com"], |params| params.not_before = date_time_ymd(2090, 1, 2))),
        &id,
        401,
        "not valid before 20900102",
    );
    // Another CA of the same name: the signature does not hold.
    let impostor = Authority::root("zone", |_| ()).issue(&["fortanix.com"], |_| ());
    expect(Some(&impostor), &id, 401, "The client certificate ");
    expect(Some(&Authority::root("other", |_| ()).issue(&["fortanix.com"], |_| ())), &id, 401, "not issued by a CA that this app trusts");
    let mut without_ca = root.intermediate("node").issue(&["fortanix.com"], |_| ());
    without_ca.chain.truncate(1);
    expect(Some(&without_ca), &id, 401, "send the intermediate certificates");
    // A leaf is no CA.
    let server = root.issue(&["fortanix.com"], |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    expect(Some(&server), &id, 401, "The client certificate does not hold");
    expect(Some(&root.issue(&["other.example"], |_| ())), &id, 401, "none of the app's subjects is in it. It is for ");
    expect(Some(&good), "00000000-0000-0000-0000-000000000000", 401, "Invalid credentials");
    refused(&login(&stack.apps(Some(&good), None)), 401, "stored for no app");
    refused(&login(&stack.apps(None, None)), 401, "Missing or malformed credentials");
    let wordy = STANDARD.encode_to_string(format!("{id}:secret"));
    refused(&login(&stack.apps(Some(&good), Some(&id)).with(dsma_testkit::Credential::Basic(wordy))), 401, "nothing may follow the colon");
    // The ordinary endpoint does not ask, and names the one that does.
    let ordinary = stack.dsm_as(&STANDARD.encode_to_string(format!("{id}:")));
    refused(&login(&ordinary), 401, &format!("use {} instead", stack.apps_endpoint()));
    // API keys work on both.
    stack.apps(None, None).with(dsma_testkit::Credential::Basic(stack.api_key())).request("GET", "/crypto/v1/keys", None).success();

    let session = opens(&stack, &good, &id);
    stack.admin().request("PATCH", &format!("/sys/v1/apps/{id}"), Some(json!({"enabled": false}))).success();
    expect(Some(&good), &id, 403, "App is disabled");
    refused(&session.request("GET", "/crypto/v1/keys", None), 401, "Session does not exist");
}

#[test]
fn a_ca_that_has_expired_certifies_nobody() {
    let stack = Stack::start();
    let old = Authority::root("old", |params| params.not_after = date_time_ymd(2020, 1, 2));
    let leaf = old.issue(&["fortanix.com"], |_| ());
    let id = app(&stack, "old", &trusted(&old, &json!({"dns_name": "fortanix.com"})));
    refused(&login(&stack.apps(Some(&leaf), Some(&id))), 401, "Every CA certificate of this app has expired");
    let new = Authority::root("new", |_| ());
    let both =
        json!({"ca_certificates": [b64(old.certificate()), b64(new.certificate())], "subject_general": {"dns_name": "fortanix.com"}});
    stack.admin().request("PATCH", &format!("/sys/v1/apps/{id}"), Some(json!({"credential": {"trustedca": both}}))).success();
    opens(&stack, &new.issue(&["fortanix.com"], |_| ()), &id);
    refused(&login(&stack.apps(Some(&leaf), Some(&id))), 401, "not issued by a CA that this app trusts");
}

#[test]
fn a_stored_certificate_needs_no_name() {
    let stack = Stack::start();
    let root = Authority::root("somebody", |_| ());
    let (own, other) = (root.issue(&["a.example"], |_| ()), root.issue(&["a.example"], |_| ()));
    let id = app(&stack, "own", &json!({"certificate": b64(own.certificate())}));
    opens(&stack, &own, &id);
    let reply = login(&stack.apps(Some(&own), None)).success().json();
    assert_eq!(reply["entity_id"], id.as_str());
    refused(&login(&stack.apps(Some(&other), Some(&id))), 401, "not the one that is stored for this app");
    refused(&login(&stack.apps(Some(&other), None)), 401, "stored for no app");
    app(&stack, "twin", &json!({"certificate": b64(own.certificate())}));
    refused(&login(&stack.apps(Some(&own), None)), 401, "stored for several apps");
    opens(&stack, &own, &id);

    let expired = root.issue(&["a.example"], |params| params.not_after = date_time_ymd(2020, 1, 2));
    let id = app(&stack, "expired", &json!({"certificate": b64(expired.certificate())}));
    refused(&login(&stack.apps(Some(&expired), Some(&id))), 401, "expired at 20200102T000000Z");
    refused(&login(&stack.apps(Some(&expired), None)), 401, "expired at");
    let shown = stack.admin().request("GET", &format!("/sys/v1/apps/{id}"), None).success().json();
    assert_eq!(shown["cert_not_after"], "20200102T000000Z");
    let secret = json!({"credential": {"secret": "now a secret"}});
    let shown = stack.admin().request("PATCH", &format!("/sys/v1/apps/{id}"), Some(secret)).success().json();
    assert_eq!(shown["cert_not_after"], Value::Null);
}

#[test]
fn a_session_may_be_made_for_another_app_of_the_account() {
    let stack = Stack::start();
    let client = stack.dsm();
    let other = stack.dsm().new_app("other", &[(&client.default_group(), &["ENCRYPT"])]);
    let other = String::from_utf8(STANDARD.decode_to_vec(other).unwrap()).unwrap();
    let other = other.split(':').next().unwrap();
    let ask = |body: Value| client.request("POST", "/sys/v1/session/auth", Some(body));
    let session = ask(json!({"token_type": "Bearer", "bind_to": {"app": other}})).success().json();
    assert_eq!(session["entity_id"], stack.admin().audit()[0]["actor_id"], "it stays the session of the app that asks");
    refused(&ask(json!({"bind_to": {"app": "00000000-0000-0000-0000-000000000000"}})), 400, "bind_to names no app");
    refused(&ask(json!({"bind_to": {"user": other}})), 400, "Invalid request body");
    refused(&ask(json!({"token_type": "Cookie"})), 400, "Bearer");
}
