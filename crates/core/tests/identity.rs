//! Who the engine is, against a real DSM: certificates in files, their renewal, and what a node agent may answer.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use dsma_core::{Accelerator, CertificateFiles, Config, Error, Identity, KeyRef};
use dsma_crypto::{Buffers, CipherParams};
use dsma_testkit::rcgen::CertificateParams;
use dsma_testkit::{Authority, Stack};
use serde_json::json;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(120);

/// A DSM with an app that trusts a CA, and the two files of a certificate.
struct Setting {
    stack: Stack,
    authority: Authority,
    app_id: Uuid,
    files: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let stack = Stack::start();
        let authority = Authority::root("zone", |_| ());
        let credential = json!({"trustedca": {
            "ca_certificate": STANDARD.encode_to_string(authority.certificate()), "subject_general": {"dns_name": "fortanix.com"}
        }});
        let groups = json!({stack.dsm().default_group(): ["ENCRYPT", "EXPORT"]});
        let spec = json!({"name": "certified", "add_groups": groups, "credential": credential});
        let app = stack.admin().request("POST", "/sys/v1/apps", Some(spec)).success().json();
        let app_id = app["app_id"].as_str().unwrap().parse().unwrap();
        Self { stack, authority, app_id, files: tempfile::tempdir().unwrap() }
    }

    /// Puts a new certificate into the files. The certificate goes last, whole: a reader never sees half of it.
    fn certify(&self, change: impl FnOnce(&mut CertificateParams)) {
        let identity = self.authority.issue(&["fortanix.com"], change);
        fs::write(self.key_file(), &identity.key).unwrap();
        let new = self.files.path().join("new.pem");
        fs::write(&new, identity.pem()).unwrap();
        fs::rename(new, self.cert_file()).unwrap();
    }

    fn cert_file(&self) -> PathBuf {
        self.files.path().join("cert.pem")
    }

    fn key_file(&self) -> PathBuf {
        self.files.path().join("key.pem")
    }

    fn config(&self) -> Config {
        let files = CertificateFiles { app_id: Some(self.app_id), cert_file: self.cert_file(), key_file: self.key_file() };
        Config {
            api_endpoint: self.stack.apps_endpoint(),
            identity: Identity::Certificate(files),
            ca_certs_file: Some(self.stack.ca_file()),
            // Many connect at once.
            connect_timeout: DEADLINE,
            retry_timeout: DEADLINE,
            ..Config::default()
        }
    }

    fn engine(&self) -> Accelerator {
        Accelerator::open(self.config()).unwrap()
    }

    /// How often the app has logged in.
    fn logins(&self) -> usize {
        let by_app = |line: &&serde_json::Value| {
            line["actor_id"] == self.app_id.to_string() && line["message"].as_str().unwrap().starts_with("Authenticated")
        };
        self.stack.admin().audit().iter().filter(by_app).count()
    }
}

/// Valid from `back` ago until `ahead` from now.
fn valid(back: Duration, ahead: Duration) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        let now = std::time::SystemTime::now();
        (params.not_before, params.not_after) = ((now - back).into(), (now + ahead).into());
    }
}

fn encrypt(engine: &Accelerator, key: &KeyRef) -> Result<(), Error> {
    let (mut out, mut tag) = ([0; 16], [0; 16]);
    let params = CipherParams::AesGcm { iv: &[1; 12], aad: b"" };
    engine.encrypt(key, &params, Buffers::new(b"sixteen byte msg", &mut out), &mut tag).map(|_| ())
}

fn says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n') && words.iter().all(|word| text.contains(word)), "{words:?} are not all in: {text}");
}

#[test]
fn a_certificate_in_files_opens_the_session_and_exports() {
    let setting = Setting::new();
    setting.certify(|_| ());
    let key = setting.stack.dsm().create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT"]}));
    let engine = setting.engine();
    assert_eq!(engine.login().unwrap(), setting.app_id);
    encrypt(&engine, &KeyRef::Kid(key.parse().unwrap())).unwrap();
    assert_eq!((setting.stack.dsm().exports_of(&key), setting.logins()), (1, 1));
    // A session that DSM has forgotten is opened again with the same certificate.
    let _done = engine.dsm().request("POST", "/sys/v1/session/terminate", None::<&()>).unwrap();
    engine.dsm().request("GET", "/crypto/v1/keys", None::<&()>).unwrap();
    assert!(engine.dsm().keep_certified().unwrap() > Duration::from_secs(3600), "a certificate for centuries is not due");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_the_mend() {
    let setting = Setting::new();
    says(&setting.engine().login().unwrap_err(), &["cert.pem", "No such file"]);
    setting.certify(valid(Duration::from_secs(7200), Duration::ZERO));
    says(&setting.engine().login().unwrap_err(), &["cert.pem", "expired at 20", "put a new certificate"]);
    setting.certify(|_| ());
    let other = setting.authority.issue(&["fortanix.com"], |_| ());
    fs::write(setting.key_file(), other.key).unwrap();
    says(&setting.engine().login().unwrap_err(), &["cert.pem", "another private key", "leaf first"]);
    fs::write(setting.key_file(), "no key").unwrap();
    says(&setting.engine().login().unwrap_err(), &["key.pem", "no private key in PEM", "PKCS#8"]);
    fs::write(setting.cert_file(), "nothing").unwrap();
    fs::write(setting.key_file(), setting.authority.issue(&["x"], |_| ()).key).unwrap();
    says(&setting.engine().login().unwrap_err(), &["cert.pem", "holds no certificate"]);
}

#[test]
fn dsm_s_refusal_of_a_certificate_is_told_in_its_words() {
    let setting = Setting::new();
    setting.certify(|params| params.subject_alt_names.clear());
    let refusal = setting.engine().login().unwrap_err();
    assert_eq!(refusal.status(), 401);
    says(&refusal, &["none of the app's subjects is in it"]);
    // The ordinary endpoint sends to the right one.
    setting.certify(|_| ());
    let config = Config { api_endpoint: setting.stack.endpoint(), ..setting.config() };
    says(&Accelerator::open(config).unwrap().login().unwrap_err(), &["use", &setting.stack.apps_endpoint()]);
}

#[test]
fn a_new_certificate_takes_over_without_a_failed_call() {
    let setting = Setting::new();
    // Two thirds of its life are over: it is due at once.
    setting.certify(valid(Duration::from_secs(3000), Duration::from_secs(600)));
    let key = setting.stack.dsm().create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT"]}));
    let engine = setting.engine();
    engine.login().unwrap();
    // The files hold the old one still: it serves on, and the next try is a while away.
    let wait = engine.dsm().keep_certified().unwrap();
    assert!(wait > Duration::from_secs(200) && wait <= Duration::from_secs(300), "{wait:?}");
    assert_eq!(setting.logins(), 1);

    let engine = setting.engine();
    engine.login().unwrap();
    setting.certify(|_| ());
    let start = Instant::now();
    let kid = KeyRef::Kid(key.parse().unwrap());
    // Forwarded operations of many threads, while one of them renews.
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..20).for_each(|_| encrypt(&engine, &kid).unwrap()));
        }
    });
    assert!(start.elapsed() < DEADLINE);
    assert_eq!(setting.logins(), 3, "one caller renewed, with one login");
    assert!(engine.dsm().keep_certified().unwrap() > Duration::from_secs(3600));
    assert_eq!(setting.logins(), 3);
}

#[test]
fn a_certificate_that_dsm_does_not_take_leaves_the_old_one_at_work() {
    let setting = Setting::new();
    setting.certify(valid(Duration::from_secs(3000), Duration::from_secs(600)));
    let engine = setting.engine();
    engine.login().unwrap();
    let stranger = Authority::root("elsewhere", |_| ()).issue(&["fortanix.com"], |_| ());
    fs::write(setting.key_file(), &stranger.key).unwrap();
    fs::write(setting.cert_file(), stranger.pem()).unwrap();
    let reply = engine.dsm().request("GET", "/crypto/v1/keys", None::<&()>).unwrap();
    assert_eq!((reply.status, setting.logins()), (200, 1));
    // And opens sessions, too.
    let _done = engine.dsm().request("POST", "/sys/v1/session/terminate", None::<&()>).unwrap();
    let reply = engine.dsm().request("GET", "/crypto/v1/keys", None::<&()>).unwrap();
    assert_eq!((reply.status, setting.logins()), (200, 2));
}
