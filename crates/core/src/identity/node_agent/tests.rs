//! Each answer that a node agent may give, from a server that says just what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use super::*;

const CSR: &str = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
const TASK: &str = "11111111-2222-3333-4444-555555555555";

/// What one connection is answered: a status with a body, or nothing at all.
enum Say {
    Answer(u16, String),
    Nothing,
}

fn ok(body: &str) -> Say {
    Say::Answer(200, body.to_owned())
}

/// Runs `issue` against a server that gives these answers, a connection each, and returns the requests' first lines and bodies too.
fn ask(answers: &[Say], within: Duration) -> (Result<String, Error>, Vec<(String, String)>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = NodeAgentUrl::parse(&format!("http://{}/v1/", server.local_addr().unwrap())).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut seen = Vec::new();
            let mut silent = Vec::new();
            for say in answers {
                let (stream, _) = server.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(reader.read_line(&mut head).unwrap() > 0, "the request ends early");
                }
                let length = |line: &str| line.to_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap());
                let mut body = vec![0; head.lines().find_map(length).unwrap_or_default()];
                reader.read_exact(&mut body).unwrap();
                seen.push((head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap()));
                match say {
                    Say::Answer(status, text) => {
                        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
                        // A client that has read enough may close first.
                        let _ = reader.get_mut().write_all(format!("{head}{text}").as_bytes());
                    }
                    // Open until the client has gone.
                    Say::Nothing => silent.push(reader),
                }
            }
            (seen, silent)
        });
        let answer = issue(&url, CSR, within);
        (answer, serving.join().unwrap().0)
    })
}

const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn says(answer: Result<String, Error>, outage: bool, words: &[&str]) {
    let error = answer.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("node agent http://127.0.0.1:") && !text.contains('\n'), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} are not all in: {text}");
    assert_eq!((error.is_outage(), error.status()), (outage, 503), "{text}");
}

#[test]
fn a_certificate_comes_at_once_or_after_a_while() {
    let issued = r#"{"task_id":"11111111-2222-3333-4444-555555555555","task_status":"SUCCESS","certificate":"PEM"}"#;
    let (answer, seen) = ask(&[ok(issued)], SOON);
    assert_eq!(answer.unwrap(), "PEM");
    assert_eq!(seen[0].0, "POST /v1/certificate/issue HTTP/1.1");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&seen[0].1).unwrap(), serde_json::json!({ "csr": CSR }));
    assert_eq!(ask(&[ok(r#"{"certificate":"PEM"}"#)], SOON).0.unwrap(), "PEM");

    let progress = format!(r#"{{"task_id":"{TASK}","task_status":"INPROGRESS"}}"#);
    let (answer, seen) = ask(&[ok(&progress), ok(&progress), ok(issued)], SOON);
    assert_eq!(answer.unwrap(), "PEM");
    assert_eq!(seen[2], (format!("POST /v1/certificate/result/{TASK} HTTP/1.1"), String::new()));
}

#[test]
fn each_refusal_says_what_to_do() {
    let status = |status: &str| format!(r#"{{"task_id":"{TASK}","task_status":"{status}"}}"#);
    for (name, words) in [
        ("PENDING_WHITELIST", ["CCM has not approved this image", "whitelist_domain_and_image.sh"]),
        ("DENIED", ["was denied in CCM", "only an approved build"]),
        ("FAILED", ["CCM could not issue", "node agent's log"]),
    ] {
        says(ask(&[ok(&status(name))], SOON).0, false, &[words[0], words[1], TASK]);
    }
}

#[test]
fn garbage_is_refused_and_not_shown() {
    let huge = format!(r#"{{"certificate":"{}"}}"#, "A".repeat(300 << 10));
    for (body, words) in [
        ("<html>hello</html>", "not the JSON"),
        ("", "not the JSON"),
        ("[]", "not the JSON"),
        ("{}", "neither a certificate nor a status"),
        (r#"{"task_status":"SUCCESS"}"#, "neither a certificate nor a status"),
        (r#"{"task_status":"INPROGRESS"}"#, "does not say which task"),
        (r#"{"task_status":"MAYBE"}"#, "none that is known"),
        (r#"{"task_id":"../../x","task_status":"INPROGRESS"}"#, "not the JSON"),
        (r#"{"certificate":7}"#, "not the JSON"),
    ] {
        says(ask(&[ok(body)], SOON).0, false, &["its answer is unusable", words, "supported version"]);
    }
    says(ask(&[ok(&huge)], SOON).0, false, &["longer than any certificate"]);
    says(ask(&[Say::Answer(500, "boom\r\nboom".into())], SOON).0, false, &["status 500: boomboom", "node agent's log"]);
    says(ask(&[Say::Answer(302, String::new())], SOON).0, false, &["status 302"]);
}

#[test]
fn who_does_not_answer_is_not_waited_for_for_ever() {
    // The request has to arrive within this time, on a loaded machine too.
    let short = Duration::from_secs(3);
    says(ask(&[Say::Nothing], short).0, true, &["no certificate came within 3 s", "no answer"]);
    // However fast the answer is, the next question would come too late.
    let progress = format!(r#"{{"task_id":"{TASK}","task_status":"INPROGRESS"}}"#);
    says(ask(&[ok(&progress)], POLL_INTERVAL).0, true, &["no certificate came within 1 s", TASK]);
    // Nobody listens on port 1.
    let url = NodeAgentUrl::parse("http://127.0.0.1:1").unwrap();
    says(issue(&url, CSR, SOON), true, &["cannot be reached", "NODE_AGENT"]);
}
