//! CBOR streams, with a client that sends and reads at the same time.

mod openssl;
mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ciborium::Value;
use dsma_testkit::Stack;
use openssl::openssl;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use wire::import;

const KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const IV: &str = "000102030405060708090a0b0c0d0e0f";

/// A map with one member, or with none.
fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(members.into_iter().map(|(name, value)| (Value::Text(name.into()), value)).collect())
}

fn frame(name: &str, value: Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&map([(name, value)]), &mut bytes).unwrap();
    bytes
}

fn init(kid: &str, mode: &str, more: &[(&str, Value)]) -> Vec<u8> {
    let Value::Map(mut members) = map([("key", map([("kid", kid.into())])), ("alg", "AES".into()), ("mode", mode.into())]) else {
        unreachable!()
    };
    members.extend(more.iter().map(|(name, value)| (Value::Text((*name).into()), value.clone())));
    frame("init", Value::Map(members))
}

/// The name and the value of the next frame; `None` at the end.
fn next(from: &mut impl Read) -> Option<(String, Value)> {
    let Ok(Value::Map(mut members)) = ciborium::from_reader(from) else { return None };
    assert_eq!(members.len(), 1);
    let (name, value) = members.remove(0);
    Some((name.into_text().unwrap(), value))
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_map().unwrap().iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// A request under way on a connection of its own: what is sent arrives at once, and what has come can be read at any time.
struct Stream {
    connection: StreamOwned<ClientConnection, TcpStream>,
    /// Of the answer: what was read of the connection, and is not yet given out.
    buffer: Vec<u8>,
    head: String,
    ended: bool,
}

impl Stream {
    fn open(stack: &Stack, operation: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(stack.ca_file()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let endpoint = stack.endpoint();
        let address = endpoint.trim_start_matches("https://");
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut connection = StreamOwned::new(connection, tcp);
        let key = stack.api_key();
        write!(
            connection,
            "POST /crypto/v1/stream/{operation} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {key}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        Self { connection, buffer: Vec::new(), head: String::new(), ended: false }
    }

    fn send(&mut self, bytes: &[u8]) {
        // It may have refused before all is sent.
        let _ = write!(self.connection, "{:x}\r\n", bytes.len());
        let _ = self.connection.write_all(bytes);
        let _ = self.connection.write_all(b"\r\n");
        let _ = self.connection.flush();
    }

    fn next(&mut self) -> (String, Value) {
        next(self).expect("a frame")
    }

    /// No more input: what is left of the output, and the status with the content type.
    fn end(mut self) -> (Vec<u8>, String) {
        let _ = self.connection.write_all(b"0\r\n\r\n");
        let _ = self.connection.flush();
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).unwrap();
        let status = self.head.split(' ').nth(1).unwrap();
        let content_type = self.head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
        (rest, format!("{status} {content_type}"))
    }

    /// Reads up to the end of a line.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.connection.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    /// Reads the next piece of the answer: a chunk of a stream, all of a refusal.
    fn fill(&mut self) {
        if self.head.is_empty() {
            loop {
                let line = self.line();
                if line.is_empty() {
                    break;
                }
                self.head += &format!("{}\n", if self.head.is_empty() { line } else { line.to_lowercase() });
            }
        }
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|length| length.parse().unwrap());
        let (length, chunked) = length.map_or_else(|| (usize::from_str_radix(&self.line(), 16).unwrap(), true), |length| (length, false));
        self.buffer = vec![0; length];
        self.connection.read_exact(&mut self.buffer).unwrap();
        if chunked {
            self.line();
        }
        self.ended = !chunked || length == 0;
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.buffer.is_empty() && !self.ended {
            self.fill();
        }
        let length = self.buffer.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.buffer[..length]);
        self.buffer.drain(..length);
        Ok(length)
    }
}

/// Sends everything, then reads.
fn all(stack: &Stack, operation: &str, frames: &[Vec<u8>]) -> (Vec<u8>, String) {
    let mut stream = Stream::open(stack, operation);
    for frame in frames.iter().filter(|frame| !frame.is_empty()) {
        stream.send(frame);
    }
    stream.end()
}

#[test]
fn answers_come_while_the_request_goes_on() {
    let stack = Stack::start();
    let kid = import(&stack.dsm(), "AES", &hex::decode(KEY).unwrap());
    let iv = Value::Bytes(hex::decode(IV).unwrap());
    let mut stream = Stream::open(&stack, "encrypt");
    stream.send(&init(&kid, "CBC", &[("iv", iv.clone())]));
    let (name, value) = stream.next();
    assert_eq!((name.as_str(), member(&value, "iv"), member(&value, "kid").unwrap().as_text()), ("init", Some(&iv), Some(kid.as_str())));
    let mut cipher = Vec::new();
    let plain: Vec<u8> = (0..50).collect();
    for part in plain.chunks(20) {
        stream.send(&frame("plain", Value::Bytes(part.to_vec())));
        let (name, value) = stream.next();
        assert_eq!(name, "cipher", "before the request has ended");
        cipher.extend(value.into_bytes().unwrap());
    }
    stream.send(&frame("final", map([])));
    let (rest, status) = stream.end();
    assert_eq!(status, "200 application/cbor-seq");
    let mut rest = rest.as_slice();
    let (name, value) = next(&mut rest).unwrap();
    assert_eq!(name, "cipher");
    cipher.extend(value.into_bytes().unwrap());
    assert_eq!(next(&mut rest), Some(("final".into(), map([]))));
    assert_eq!(cipher, openssl(&["enc", "-aes-128-cbc", "-K", KEY, "-iv", IV], &plain));
    assert_eq!(stack.dsm().uses_of(&kid, "encrypt"), 1);
}

#[test]
fn a_message_far_over_the_limit_of_ordinary_bodies() {
    let stack = Stack::start();
    let kid = import(&stack.dsm(), "AES", &hex::decode(KEY).unwrap());
    let iv = Value::Bytes(hex::decode(IV).unwrap());
    let plain: Vec<u8> = (0..24_u32 << 20).map(|i| (i >> 7) as u8).collect();
    let mut stream = Stream::open(&stack, "encrypt");
    stream.send(&init(&kid, "CTR", &[("iv", iv)]));
    assert_eq!(stream.next().0, "init");
    let mut cipher = Vec::new();
    for part in plain.chunks(1 << 20) {
        stream.send(&frame("plain", Value::Bytes(part.to_vec())));
        cipher.extend(stream.next().1.into_bytes().unwrap());
    }
    stream.send(&frame("final", map([])));
    assert_eq!(stream.next().0, "final");
    let digest = |bytes: &[u8]| openssl(&["dgst", "-sha256"], bytes);
    assert_eq!(cipher.len(), plain.len());
    assert_eq!(digest(&cipher), digest(&openssl_large(&["enc", "-aes-128-ctr", "-K", KEY, "-iv", IV], plain)));
}

/// OpenSSL with an input that does not fit in a pipe.
fn openssl_large(args: &[&str], input: Vec<u8>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    openssl(&[args, &["-in", file.path().to_str().unwrap()]].concat(), &[])
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4, in odd pieces and with binary in base64 here and there.
#[test]
fn gcm_with_additional_data_in_two_frames() {
    let stack = Stack::start();
    let kid = import(&stack.dsm(), "AES", &hex::decode("feffe9928665731c6d6a8f9467308308").unwrap());
    let [iv, ad, plain, cipher, tag] = [
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    ]
    .map(|text| hex::decode(text).unwrap());
    let kid_bytes = Value::Bytes(hex::decode(kid.replace('-', "")).unwrap());
    let ads = [frame("ad", Value::Bytes(ad[..5].to_vec())), frame("ad", Value::Text(wire::b64(&ad[5..])))];
    for (operation, input, output, more, end) in [
        ("encrypt", ("plain", &plain), ("cipher", &cipher), vec![("tag_len", 128.into())], map([])),
        ("decrypt", ("cipher", &cipher), ("plain", &plain), vec![("alg", Value::Null)], map([("tag", Value::Bytes(tag.clone()))])),
        ("decrypt", ("cipher", &cipher), ("plain", &plain), vec![], map([("tag", Value::Bytes(vec![0; 16]))])),
    ] {
        let Value::Map(mut members) = map([("key", map([("kid", kid_bytes.clone()), ("name", Value::Null)])), ("mode", "GCM".into())])
        else {
            unreachable!()
        };
        members.extend(map([("iv", Value::Bytes(iv.clone())), ("alg", "AES".into())]).into_map().unwrap());
        members.extend(more.into_iter().map(|(name, value)| (Value::Text(name.into()), value)));
        members.dedup_by(|b, a| a.0 == b.0);
        let mut frames = vec![frame("init", Value::Map(members))];
        frames.extend(ads.clone());
        frames.extend(input.1.chunks(7).map(|part| frame(input.0, Value::Bytes(part.to_vec()))));
        frames.push(frame("final", end.clone()));
        let (answer, status) = all(&stack, operation, &frames);
        assert!(status.starts_with("200"), "{status} {}", String::from_utf8_lossy(&answer));
        let (mut answer, mut text) = (answer.as_slice(), Vec::new());
        assert_eq!(next(&mut answer).unwrap().0, "init");
        let (name, value) = loop {
            let (name, value) = next(&mut answer).unwrap();
            if name != output.0 {
                break (name, value);
            }
            text.extend(value.into_bytes().unwrap());
        };
        if operation == "encrypt" {
            assert_eq!(member(&value, "tag").unwrap().as_bytes(), Some(&tag));
        }
        if end == map([("tag", Value::Bytes(vec![0; 16]))]) {
            assert_eq!((name.as_str(), member(&value, "message").unwrap().as_text()), ("error", Some("Decryption failed")));
        } else {
            assert_eq!((name.as_str(), hex::encode(text)), ("final", hex::encode(output.1)));
        }
        assert!(next(&mut answer).is_none(), "nothing after the last frame");
    }
}

#[test]
fn what_is_wrong_with_init_is_an_ordinary_refusal() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &[7; 16]);
    let sealed = dsm.create_key(json!({"obj_type": "AES", "key_size": 128, "key_ops": ["DECRYPT"]}));
    let nobody = "00000000-0000-0000-0000-000000000001";
    for (request, status, words) in [
        (init(nobody, "CTR", &[]), 404, "Sobject does not exist"),
        (init(&sealed, "CTR", &[]), 403, "ENCRYPT"),
        (init(&kid, "CCM", &[]), 400, "not possible in a stream"),
        (init(&kid, "FLY", &[]), 400, "FLY"),
        (init(&kid, "GCM", &[]), 400, "tag_len"),
        (init(&kid, "CTR", &[("iv", Value::Bytes(vec![1]))]), 400, "IV"),
        (init(&kid, "CTR", &[("tag_len", "x".into())]), 400, "init"),
        (init("nonsense", "CTR", &[]), 400, "init"),
        (frame("init", 7.into()), 400, "init"),
        (frame("plain", Value::Bytes(vec![])), 400, "must be `init`"),
        (frame("fly", Value::Null), 400, "CBOR"),
        (b"no CBOR at all".to_vec(), 400, "CBOR"),
        (vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 400, "CBOR"),
        (vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 400, "CBOR"),
        (vec![0x81; 100_000], 400, "CBOR"),
        (vec![], 400, "final"),
    ] {
        let (text, answered) = all(&stack, "encrypt", &[request]);
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(answered.starts_with(&format!("{status} text/plain")) && text.contains(words), "{words}: {answered} {text}");
    }
    let reply = dsm.with(dsma_testkit::Credential::None).request("POST", "/crypto/v1/stream/encrypt", None);
    assert_eq!(reply.status, 401);
    assert_eq!(dsm.request("GET", "/crypto/v1/stream/encrypt", None).status, 405);
}

#[test]
fn what_goes_wrong_later_is_a_last_frame() {
    let stack = Stack::start();
    let kid = import(&stack.dsm(), "AES", &[7; 16]);
    let plain = |length: usize| frame("plain", Value::Bytes(vec![1; length]));
    for (frames, status, words) in [
        (vec![plain(16)], 400, "without a frame `final`"),
        (vec![plain(15), frame("final", map([]))], 400, "length"),
        (vec![plain(16), frame("ad", Value::Bytes(vec![1]))], 400, "`ad`"),
        (vec![frame("ad", Value::Bytes(vec![1])), plain(16)], 400, "`ad`"),
        (vec![frame("cipher", Value::Bytes(vec![1]))], 400, "`cipher`"),
        (vec![plain(16), init(&kid, "CBCNOPAD", &[])], 400, "`init`"),
        (vec![frame("plain", Value::Text("no base64".into()))], 400, "base64"),
        (vec![frame("plain", 7.into())], 400, "byte string"),
        (vec![b"\xff".to_vec()], 400, "CBOR"),
        (vec![plain(17 << 20)], 413, "too large"),
    ] {
        let frames = [vec![init(&kid, "CBCNOPAD", &[])], frames].concat();
        let (answer, answered) = all(&stack, "encrypt", &frames);
        assert!(answered.starts_with("200"), "{answered}");
        let (mut answer, mut last) = (answer.as_slice(), None);
        while let Some(frame) = next(&mut answer) {
            last = Some(frame);
        }
        let (name, value) = last.unwrap();
        let message = member(&value, "message").and_then(Value::as_text).unwrap_or_default();
        assert!(name == "error" && message.contains(words), "{words}: {name} {value:?}");
        assert_eq!(member(&value, "status"), Some(&status.into()));
    }
}

/// A stream that began before the key was disabled does not outlive it for long.
#[test]
fn a_stream_ends_with_its_key() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &hex::decode(KEY).unwrap());
    let mut stream = Stream::open(&stack, "encrypt");
    stream.send(&init(&kid, "CTR", &[]));
    assert_eq!(stream.next().0, "init");
    dsm.request("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(json!({"enabled": false}))).success();
    let began = Instant::now();
    loop {
        stream.send(&frame("plain", Value::Bytes(vec![0; 16])));
        let (name, value) = stream.next();
        if name == "error" {
            assert_eq!(member(&value, "status").and_then(Value::as_integer), Some(403.into()));
            return;
        }
        assert!(name == "cipher" && began.elapsed() < Duration::from_secs(30), "{name}");
    }
}

/// As many clients as there are places send nothing after the first frame: only other streams have to wait for them.
#[test]
fn slow_streams_hold_up_nobody_but_streams() {
    let stack = Stack::start();
    let kid = import(&stack.dsm(), "AES", &hex::decode(KEY).unwrap());
    let begin = || {
        let mut stream = Stream::open(&stack, "encrypt");
        stream.send(&init(&kid, "CBC", &[]));
        stream
    };
    let mut slow: Vec<Stream> = (0..32).map(|_| begin()).collect();
    for stream in &mut slow {
        assert_eq!(stream.next().0, "init");
    }
    let (text, status) = begin().end();
    let text = String::from_utf8(text).unwrap();
    assert!(status.starts_with("503 ") && text.contains("Too many streams"), "{status} {text}");
    let dsm = stack.dsm();
    let encrypt = json!({"key": {"kid": kid}, "alg": "AES", "mode": "CBC", "plain": "AAAA"});
    dsm.request("POST", "/crypto/v1/encrypt", Some(encrypt)).success();
    assert!(dsm.audit().iter().any(|line| line["message"].as_str().unwrap().contains("Encrypted")), "housekeeping goes on");

    let mut last = slow.pop().unwrap();
    last.send(&frame("final", map([])));
    last.end();
    // Its place is free once its thread has ended, which is after the answer.
    while begin().end().1.starts_with("503 ") {}
}
