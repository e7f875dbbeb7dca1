//! What several tests need: keys that may be exported, requests, and a connection below HTTP.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod agent;
pub(crate) mod ca;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Host};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A message that a log must not show.
pub(crate) const MESSAGE: &[u8] = b"the quick brown fox, in confidence";

/// An AES key with these operations.
pub(crate) fn aes_key(dsm: &Dsm, key_ops: &[&str]) -> String {
    dsm.create_key(json!({"obj_type": "AES", "key_size": 256, "key_ops": key_ops}))
}

/// An exportable AES key.
pub(crate) fn exportable_aes(dsm: &Dsm) -> String {
    aes_key(dsm, &["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"])
}

/// An exportable RSA-2048 key.
pub(crate) fn exportable_rsa(dsm: &Dsm) -> String {
    let key_ops = ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"];
    dsm.create_key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": key_ops}))
}

/// An exportable P-256 key.
pub(crate) fn exportable_ec(dsm: &Dsm) -> String {
    dsm.create_key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]}))
}

/// AES-GCM of [`MESSAGE`], with a random IV.
pub(crate) fn gcm(kid: &str) -> Value {
    json!({"key": {"kid": kid}, "alg": "AES", "mode": "GCM", "tag_len": 128, "plain": base64(MESSAGE)})
}

/// The request that opens what [`gcm`] sealed.
pub(crate) fn open_gcm(sealed: &Value) -> Value {
    let (cipher, iv, tag) = (&sealed["cipher"], &sealed["iv"], &sealed["tag"]);
    json!({"key": {"kid": sealed["kid"]}, "alg": "AES", "mode": "GCM", "cipher": cipher, "iv": iv, "tag": tag})
}

/// A signature over [`MESSAGE`] with SHA-256 and the key's default padding.
pub(crate) fn sign(kid: &str) -> Value {
    json!({"key": {"kid": kid}, "hash_alg": "SHA256", "data": base64(MESSAGE)})
}

/// A session of this client's app, opened where the client points.
pub(crate) fn token(client: &Dsm) -> Credential {
    let session = client.request("POST", "/sys/v1/session/auth", None).success().json();
    Credential::Bearer(session["access_token"].as_str().unwrap().to_owned())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Where the service listens.
pub(crate) fn address(host: &Host) -> String {
    format!("127.0.0.1:{}", host.endpoint().rsplit(':').next().unwrap())
}

/// TLS that trusts one certificate and offers these protocols.
pub(crate) fn client_config(ca_file: &Path, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// A TLS connection to a service, for what an HTTP client would not do.
pub(crate) struct Raw(StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    /// Connects and offers these protocols.
    pub(crate) fn connect(host: &Host, protocols: &[&[u8]]) -> Self {
        Self::trusting(host, &host.ca_file(), protocols)
    }

    /// The same with trust in another certificate.
    pub(crate) fn trusting(host: &Host, ca_file: &Path, protocols: &[&[u8]]) -> Self {
        let tcp = TcpStream::connect(address(host)).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let config = Arc::new(client_config(ca_file, protocols));
        let tls = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        Self(StreamOwned::new(tls, tcp))
    }

    /// Completes the handshake within this time of silence, and says which protocol the service chose.
    pub(crate) fn handshake(&mut self, patience: Duration) -> std::io::Result<Option<Vec<u8>>> {
        self.0.sock.set_read_timeout(Some(patience))?;
        self.0.conn.complete_io(&mut self.0.sock)?;
        Ok(self.0.conn.alpn_protocol().map(<[u8]>::to_vec))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    /// Reads to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut text = Vec::new();
        // An end without a goodbye is an end as well.
        let _ = self.0.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A POST in HTTP/1.1 that ends its connection, in two halves: what comes before the last byte of the body, and that byte.
pub(crate) fn halves(path: &str, api_key: &str, body: &Value) -> (Vec<u8>, Vec<u8>) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {api_key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut bytes = [head.as_bytes(), body.as_bytes()].concat();
    let last = bytes.split_off(bytes.len() - 1);
    (bytes, last)
}
