//! TLS servers whose private key is in DSM: `openssl s_server`, nginx and Apache with its prefork workers, all through the engine.
//!
//! nginx and Apache load the library in their master and use it in children that were forked later (traps of libp11 issues 195 and 245):
//! that works only with handles that outlive a fork.

use std::process::Command;

use crate::desk::{Desk, fetch, finish, port_in, private_uri};

#[test]
fn s_server_serves_rsa_and_ec() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    for (name, version) in [("rsa", "-tls1_2"), ("rsa", "-tls1_3"), ("ec", "-tls1_2"), ("ec", "-tls1_3")] {
        let certificate = desk.certificate(name);
        let mut openssl = desk.with_engine("openssl");
        openssl.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-engine", "pkcs11", "-keyform", "engine", version]);
        openssl.args(["-key", &private_uri(name), "-cert"]).arg(&certificate);
        let server = desk.serve("openssl s_server", &openssl);
        let port = port_in(&server.wait_for("ACCEPT 127.0.0.1:"));
        fetch(port, &certificate, 3);
    }
}

#[test]
fn nginx_serves_and_reloads_under_load() {
    let desk = Desk::new();
    desk.rsa("rsa");
    let certificate = desk.certificate("rsa");
    let port = dsma_testkit::free_port();
    let conf = format!(
        "daemon off; worker_processes 2; error_log stderr notice; pid nginx.pid; ssl_engine pkcs11;\n\
         env FORTANIX_PKCS11_CONFIG; env OPENSSL_CONF;\n\
         events {{}}\n\
         http {{ access_log off; keepalive_timeout 0;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; \n\
         ssl_certificate_key \"engine:pkcs11:{key};pin-value=any\"; location / {{ return 200 served; }} }} }}\n",
        certificate = certificate.display(),
        key = private_uri("rsa"),
    );
    let conf = desk.write("nginx.conf", conf);
    let mut nginx = desk.with_engine("/usr/sbin/nginx");
    nginx.arg("-e").arg("stderr").arg("-p").arg(desk.path("")).arg("-c").arg(conf);
    let server = desk.serve("nginx", &nginx);
    let _ = server.wait_for("start worker process ");
    fetch(port, &certificate, 50);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| fetch(port, &certificate, 400));
        signal("HUP", server.pid());
        let _ = server.wait_for("gracefully shutting down");
        load.join().expect("no request fails during the reload");
    });
    fetch(port, &certificate, 20);
    assert_eq!(server.stop(), 0);
}

#[test]
fn apache_prefork_serves_and_restarts_under_load() {
    let desk = Desk::new();
    desk.ec("ec");
    let certificate = desk.certificate("ec");
    let port = dsma_testkit::free_port();
    let modules =
        ["mpm_prefork", "authz_core", "ssl"].map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    desk.write("index.html", "served");
    // Its workers give up root, where it has it, and have to reach the page and the library's configuration.
    finish(Command::new("chmod").arg("a+rx").arg(desk.path("")));
    let conf = format!(
        "{modules}ServerRoot {root}\nServerName localhost\nPidFile apache.pid\nErrorLog /dev/stderr\nMutex file:{root}\n\
         Listen 127.0.0.1:{port}\nStartServers 3\nUser www-data\nGroup www-data\nDocumentRoot {root}\nKeepAlive Off\n\
         SSLCryptoDevice pkcs11\nSSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile \"{key};pin-value=any\"\n",
        modules = modules.concat(),
        root = desk.path("").display(),
        certificate = certificate.display(),
        key = private_uri("ec"),
    );
    let conf = desk.write("apache.conf", conf);
    let mut apache = desk.with_engine("/usr/sbin/apache2");
    apache.arg("-f").arg(conf).arg("-DFOREGROUND");
    let server = desk.serve("apache2", &apache);
    let _ = server.wait_for("resuming normal operations");
    fetch(port, &certificate, 50);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| fetch(port, &certificate, 400));
        signal("USR1", server.pid());
        let _ = server.wait_for("Graceful restart requested");
        load.join().expect("no request fails during the restart");
    });
    fetch(port, &certificate, 50);
    assert_eq!(server.stop(), 0);
}

fn signal(name: &str, pid: u32) {
    finish(Command::new("kill").args(["-s", name, &pid.to_string()]));
}
