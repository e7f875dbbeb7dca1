//! The program's own words: help, and one line for a setting that cannot be used.
#![forbid(unsafe_code)]

use std::process::{Command, Output};

use dsma_testkit::Stack;

const KEY: &str = "ODQyYmE2ZDUtOTNhZi00YTg1LWFmNmYtYmQyZjBmMTEyZmIyOnNlY3JldA==";

fn enclave_host(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enclave-host"));
    command.env_clear().args(arguments).env("FORTANIX_API_KEY", KEY).envs(env.iter().copied());
    command.output().unwrap()
}

#[test]
fn help_teaches_by_example() {
    let output = enclave_host(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["Examples:", "--fortanix-api-endpoint", "FORTANIX_API_KEY", "--tls-files <KEY> <CERT>", "BEARER_AUTH_ENABLED", "curl "] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named_in_one_line() {
    let endpoint = ("FORTANIX_API_ENDPOINT", "https://localhost:1");
    for (arguments, env, expected) in [
        (&[][..], &[][..], "FORTANIX_API_ENDPOINT: is not set"),
        (&[], &[("FORTANIX_API_ENDPOINT", "https://dsm/")], "ends with a slash; remove the trailing slash"),
        (&[], &[endpoint, ("FORTANIX_API_KEY", "")], "FORTANIX_API_KEY: is not set; set it to the API key"),
        (&[], &[endpoint, ("FORTANIX_API_KEY", "file:///nowhere")], "FORTANIX_API_KEY: /nowhere: No such file"),
        (&[], &[endpoint, ("NITRO_ENABLED", "true")], "DSMA_APP_ID: is not set; set it to the id of the app in DSM that trusts"),
        (
            &[],
            &[
                endpoint,
                ("NITRO_ENABLED", "true"),
                ("DSMA_APP_ID", "8a284543-a98c-4e15-b8a0-c3315a7e2364"),
                ("NODE_AGENT", "http://localhost:1"),
            ],
            "NITRO_ENABLED: is true, but /dev/nsm",
        ),
        (
            &[],
            &[
                endpoint,
                ("IDENTITY", "attested"),
                ("DSMA_APP_ID", "8a284543-a98c-4e15-b8a0-c3315a7e2364"),
                ("NODE_AGENT", "http://localhost:1"),
            ],
            "IDENTITY: is attested, but /dev/nsm",
        ),
        (&[], &[endpoint, ("FORTANIX_CA_FILE", "/nowhere"), ("PORT", "0")], "FORTANIX_CA_FILE: "),
        (&[], &[endpoint, ("RUST_LOG", "a=b=c")], "RUST_LOG: `a=b=c` cannot be used"),
        (&["--tls-files", "/nowhere", "/nowhere", "--port", "0"], &[endpoint], "--tls-files: /nowhere: No such file"),
        (&["--cache-ttl", "soon"], &[endpoint], "CACHE_TTL: `soon` cannot be used; give seconds"),
    ] {
        let output = enclave_host(arguments, env);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(expected) && text.trim_end().lines().count() == 1, "{expected}\n{text}");
    }
    assert_eq!(enclave_host(&["--no-such-flag"], &[]).status.code(), Some(64));
}

#[test]
fn an_api_key_that_dsm_refuses_ends_the_start() {
    let stack = Stack::start();
    let (endpoint, ca_file) = (stack.endpoint(), stack.ca_file());
    let env = [("FORTANIX_API_ENDPOINT", endpoint.as_str()), ("FORTANIX_CA_FILE", ca_file.to_str().unwrap()), ("PORT", "0")];
    let output = enclave_host(&[], &env);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("FORTANIX_API_KEY: DSM at ") && text.contains("refuses it: Invalid credentials; give the API key"), "{text}");
}
