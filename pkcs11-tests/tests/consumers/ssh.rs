//! OpenSSH: `ssh-keygen -D`, and a login at a real sshd with a key in DSM.

use crate::desk::{Desk, finish};

#[test]
fn ssh_logs_in_with_keys_in_dsm() {
    let desk = Desk::new();
    for name in ["rsa", "ec"] {
        if name == "rsa" {
            desk.rsa(name)
        } else {
            desk.ec(name)
        };
        let library = dsma_testkit::library();
        let public = finish(desk.command("ssh-keygen").arg("-D").arg(&library));
        desk.write("authorized_keys", public);
        let _ = std::fs::remove_file(desk.path("host"));
        finish(desk.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "host"]));
        let port = dsma_testkit::free_port();
        let root = desk.path("").display().to_string();
        desk.write(
            "sshd_config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {root}host\nAuthorizedKeysFile {root}authorized_keys\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            ),
        );
        std::fs::create_dir_all("/run/sshd").expect("sshd's own directory, which its package leaves to the service manager");
        let mut sshd = desk.command("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"]).arg(desk.path("sshd_config"));
        let server = desk.serve("sshd", &sshd);
        let _ = server.wait_for("Server listening on 127.0.0.1");
        // The PIN that ssh asks for is not looked at: the credential is in the configuration.
        let askpass = desk.write("askpass", "#!/bin/sh\necho any\n");
        finish(desk.command("chmod").arg("+x").arg(&askpass));
        let mut ssh = desk.command("ssh");
        ssh.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", "none");
        ssh.args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "PreferredAuthentications=publickey",
        ]);
        ssh.arg("-I").arg(&library).args(["-p", &port.to_string(), "127.0.0.1", "echo", "logged in"]);
        let said = finish(&mut ssh);
        assert!(said.contains("logged in"), "{said}\n{}", server.log());
    }
}
