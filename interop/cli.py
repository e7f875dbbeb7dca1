"""Every sub-command of Fortanix's published `sdkms-cli` 5.6.2919, unmodified, against dsma-local.

Run inside `with-stack`. Prints a line for each sub-command of the client's own list: PASS, FAIL, NONE where dsma-local says that it does
not have what is asked for, and N/A with the reason where there is nothing to run. A NONE that EXPECTED_MISSING does not name fails the run,
and so does a name in it that passes.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

from clients import Dsm, Failed, SdkmsCli, UUID, openssl_verifies

PLAIN = Path(__file__).resolve().parent.parent / "LICENSE"
PASSWORD = "correct horse battery staple 1!"

NOT_APPLICABLE = {
    "key-attestation": "dsma-local runs outside of Fortanix' hardware, and says so",
    "ldap-auth": "needs an LDAP directory behind DSM",
    "import-pfx": "the client fails on its own, before it asks DSM: it uses a member that the cryptography package no longer has",
    "invoke-plugin": "plugins are outside this product",
    "update-plugin": "plugins are outside this product",
    "delete-plugin": "plugins are outside this product",
    "create-plugin": "plugins are outside this product",
}


# What dsma-local does not have yet, with the reason.
EXPECTED_MISSING = {}


def expect(holds, what):
    if not holds:
        raise Failed(what)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


class SubCommands:
    """A method for each sub-command, in an order in which later ones use keys and files of earlier ones."""

    def __init__(self):
        env = os.environ
        self.connection = env["FORTANIX_API_ENDPOINT"], env["FORTANIX_CA_FILE"]
        self.dsm = Dsm(*self.connection, env["FORTANIX_API_KEY"])
        self.app = SdkmsCli(*self.connection, env["FORTANIX_API_KEY"])
        self.group = env["DSMA_LOCAL_GROUP_ID"]
        # Ids and more, by the name that later sub-commands need them under.
        self.kids = {}

    @property
    def _user(self):
        """The client that user-login made."""
        return self.kids["a user's session"]

    # --- the app's own session

    def server_health(self):
        self.app.run("server-health")

    def server_version(self):
        expect(re.search(r"\d+\.\d+\.\d+", self.app.run("server-version")), "no version")

    def app_login(self):
        self.app.run("app-login")

    # --- sobjects

    def create_key(self):
        ops = "--key-ops", "ENCRYPT,DECRYPT,WRAPKEY,UNWRAPKEY,DERIVEKEY,APPMANAGEABLE"
        self.kids["aes"] = self.app.create_key("cli-aes", "--obj-type", "AES", "--key-size", 256, *ops)
        self.kids["rsa"] = self.app.create_key("cli-rsa", "--obj-type", "RSA", "--key-size", 2048)
        self.kids["ec"] = self.app.create_key("cli-ec", "--obj-type", "EC", "--ec-name", "NistP256")
        for side in ("one", "other"):
            spec = "--obj-type", "EC", "--ec-name", "NistP256", "--key-ops", "AGREEKEY,APPMANAGEABLE"
            self.kids[side] = self._made("create-key", "--name", f"cli-{side}", *spec)

    def import_key(self):
        self._write("aes.hex", b"00112233445566778899aabbccddeeff")
        self._import("imported", "aes.hex", "AES")
        self._write("hmac.hex", b"00112233445566778899aabbccddeeff")
        self._import("hmac", "hmac.hex", "HMAC")
        openssl("genrsa", "-traditional", "-out", self._file("rsa.pem"), 2048)
        self._import("imported-rsa", "rsa.pem", "RSA", "--exportable", "--force")

    def import_cert(self):
        request = "req", "-x509", "-key", self._file("rsa.pem"), "-subj", "/CN=cli", "-days", 2, "-out", self._file("cert.pem")
        openssl(*request)
        self.kids["cert"] = self._made("import-cert", "--in", self._file("cert.pem"), "--name", "cli-cert")

    def import_secret(self):
        self._write("secret", b"a secret")
        self.kids["secret"] = self._made("import-secret", "--in", self._file("secret"), "--name", "cli-secret", "--obj-type", "SECRET")

    def list_keys(self):
        expect(self.kids["aes"] in self.app.run("list-keys"), "cli-aes is not listed")
        expect(UUID.findall(self.app.run("list-keys", "--name", "cli-aes")) == [self.kids["aes"]], "by name")

    def list_objects(self):
        expect(self.kids["secret"] in self.app.run("list-objects", "--limit", 100), "cli-secret is not listed")

    def show_sobject(self):
        shown = json.loads(self.app.run("show-sobject", "--name", "cli-aes"))
        expect(shown["kid"] == self.kids["aes"], "another key")

    def export_object(self):
        expect(self.app.run("export-object", "--name", "cli-secret") == "a secret", "another secret")
        self._write("exported.pem", self.app.run("export-object", "--kid", self.kids["imported-rsa"]).encode())
        openssl("rsa", "-check", "-noout", "-in", self._file("exported.pem"))

    def export_pfx(self):
        ids = "--cert-uuid", self.kids["cert"], "--key-uuid", self.kids["imported-rsa"]
        self.app.run("export-pfx", "--out", self._file("out.pfx"), "--password", "p", *ids)
        openssl("pkcs12", "-in", self._file("out.pfx"), "-passin", "pass:p", "-nodes", "-out", self._file("out.pem"))

    def update_object(self):
        self.app.run("update-object", "--name", "cli-aes", "--description", "changed", "--custom-metadata", '{"a": "b"}')
        shown = json.loads(self.app.run("show-sobject", "--kid", self.kids["aes"]))
        expect(shown["description"] == "changed" and shown["custom_metadata"] == {"a": "b"}, shown)

    def rotate_key(self):
        old = self._made("create-key", "--name", "cli-rotated", "--obj-type", "AES", "--key-size", 128)
        new = self._made("rotate-key", "--name", "cli-rotated")
        expect(old != new and json.loads(self.app.run("show-sobject", "--name", "cli-rotated"))["kid"] == new, "the name did not move")

    def rotate_secret(self):
        self._write("another", b"another secret")
        self.app.run("rotate-secret", "--name", "cli-secret", "--in", self._file("another"))
        expect(self.app.run("export-object", "--name", "cli-secret") == "another secret", "the old secret")

    def persist_key(self):
        spec = "--name", "cli-transient", "--obj-type", "AES", "--key-size", 256, "--transient"
        transient = self.app.run("create-key", *spec).strip()
        # It prints the Python form of bytes.
        transient = transient.removeprefix("b'").removesuffix("'")
        self._made("persist-key", "--name", "cli-persisted", "--transient-key", transient)

    # --- operations

    def encrypt(self):
        self.app.encrypt(self.kids["aes"], PLAIN, self._file("gcm"))
        self._write("block", b"0123456789abcdef" * 2)
        for mode in ("ECB", "CBC", "CTR"):
            spec = "--alg", "AES", "--mode", mode, "--in", self._file("block"), "--out", self._file(mode)
            self.app.run("encrypt", "--name", "cli-aes", *spec)
        self.app.run("encrypt", "--kid", self.kids["rsa"], "--alg", "RSA", "--in", self._file("block"), "--out", self._file("rsa.enc"))

    def decrypt(self):
        expect(self.app.decrypt(self.kids["aes"], self._file("gcm")) == PLAIN.read_bytes(), "GCM: another text")
        for mode in ("ECB", "CBC", "CTR"):
            iv = self._file(f"{mode}.iv")
            given = ("--iv", iv.read_text("ascii")) if iv.exists() else ()
            spec = "--alg", "AES", "--mode", mode, *given, "--in", self._file(mode), "--out", self._file("plain")
            self.app.run("decrypt", "--kid", self.kids["aes"], *spec)
            expect(self._file("plain").read_bytes() == self._file("block").read_bytes(), f"{mode}: another text")
        spec = "--alg", "RSA", "--in", self._file("rsa.enc"), "--out", self._file("plain")
        self.app.run("decrypt", "--kid", self.kids["rsa"], *spec)
        expect(self._file("plain").read_bytes() == self._file("block").read_bytes(), "RSA: another text")

    def encrypt_init(self):
        spec = "--alg", "AES", "--mode", "CBC", "--iv", "00" * 16, "--state", self._file("state")
        self.app.run("encrypt-init", "--kid", self.kids["aes"], *spec)

    def encrypt_update(self):
        files = "--state", self._file("state"), "--out", self._file("parts")
        for part in ("first part, ", "second part"):
            self.app.run("encrypt-update", "--kid", self.kids["aes"], "--plain", part, *files)

    def encrypt_final(self):
        self.app.run("encrypt-final", "--kid", self.kids["aes"], "--state", self._file("state"), "--out", self._file("parts"))
        expect(self._file("parts").stat().st_size == 32, "two blocks are due")

    def decrypt_init(self):
        spec = "--alg", "AES", "--mode", "CBC", "--iv", "00" * 16, "--state", self._file("state")
        self.app.run("decrypt-init", "--name", "cli-aes", *spec)

    def decrypt_update(self):
        files = "--state", self._file("state"), "--out", self._file("opened")
        self.app.run("decrypt-update", "--kid", self.kids["aes"], *files, answer=self._file("parts").read_bytes())

    def decrypt_final(self):
        self.app.run("decrypt-final", "--kid", self.kids["aes"], "--state", self._file("state"), "--out", self._file("opened"))
        expect(self._file("opened").read_bytes() == b"first part, second part", "another text")

    def wrap_key(self):
        spec = "--alg", "AES", "--mode", "CBC", "--wrapping-kid", self.kids["aes"], "--out", self._file("wrapped")
        self.app.run("wrap-key", "--kid", self.kids["ec"], *spec)

    def unwrap_key(self):
        iv = self._file("wrapped.iv").read_text("ascii")
        spec = "--alg", "AES", "--mode", "CBC", "--iv", iv, "--obj-type", "EC", "--name", "cli-unwrapped"
        self.kids["unwrapped"] = self._made("unwrap-key", "--in", self._file("wrapped"), "--wrapping-kid", self.kids["aes"], *spec)
        expect(self.dsm.public_key(self.kids["unwrapped"]) == self.dsm.public_key(self.kids["ec"]), "another key")

    def derive_key(self):
        spec = "--key-size", 256, "--key-type", "AES", "--plain", "0123456789abcdef" * 2, "--alg", "AES", "--mode", "CBCNOPAD"
        self._made("derive-key", "--kid", self.kids["aes"], "--name", "cli-derived", "--iv", "00" * 16, *spec)

    def agree_key(self):
        keys = "--private-key", self.kids["one"], "--public-key", self.kids["other"]
        self._made("agree-key", *keys, "--name", "cli-agreed", "--key-size", 256)

    def sign(self):
        for kind in ("rsa", "ec"):
            self.app.sign(self.kids[kind], PLAIN, self._file(f"{kind}.sig"))
            expect(openssl_verifies(self.dsm.public_key(self.kids[kind]), PLAIN, self._file(f"{kind}.sig")), f"OpenSSL refuses {kind}")

    def verify(self):
        for kind in ("rsa", "ec"):
            spec = "--hash-alg", "SHA256", "--in", PLAIN, "--sig-in", self._file(f"{kind}.sig")
            self.app.run("verify", "--kid", self.kids[kind], *spec)

    def message_digest(self):
        expect(self.app.run("message-digest", "--alg", "SHA256", "--in", PLAIN).strip() == digest(PLAIN), "another digest")

    def hmac_digest(self):
        self.kids["mac"] = self.app.run("hmac-digest", "--kid", self.kids["hmac"], "--alg", "SHA256", "--in", PLAIN).strip()
        ours = digest(PLAIN, "-mac", "HMAC", "-macopt", "hexkey:00112233445566778899aabbccddeeff")
        expect(self.kids["mac"] == ours, "OpenSSL computes another")

    def hmac_verify(self):
        spec = "--alg", "SHA256", "--in", PLAIN, "--digest", self.kids["mac"]
        self.app.run("hmac-verify", "--kid", self.kids["hmac"], *spec)

    def batch_encrypt(self):
        line = f"--kid {self.kids['aes']} --in {PLAIN} --alg AES --mode CBC --iv {'00' * 16} --out {self._file('batch.enc')}\n"
        self.app.run("batch-encrypt", "--in", self._write("batch", line.encode()))

    def batch_decrypt(self):
        names = f"--in {self._file('batch.enc')} --out {self._file('batch.dec')}"
        line = f"--kid {self.kids['aes']} {names} --alg AES --mode CBC --iv {'00' * 16}\n"
        self.app.run("batch-decrypt", "--in", self._write("batch", line.encode()))
        expect(self._file("batch.dec").read_bytes() == PLAIN.read_bytes(), "another text")

    def batch_sign(self):
        line = f"--kid {self.kids['ec']} --hash-alg SHA256 --in {PLAIN} --out {self._file('batch.sig')}\n"
        self.app.run("batch-sign", "--in", self._write("batch", line.encode()))
        expect(openssl_verifies(self.dsm.public_key(self.kids["ec"]), PLAIN, self._file("batch.sig")), "OpenSSL refuses")

    def batch_verify(self):
        line = f"--kid {self.kids['ec']} --hash-alg SHA256 --in {PLAIN} --sig-in {self._file('batch.sig')}\n"
        self.app.run("batch-verify", "--in", self._write("batch", line.encode()))

    # --- a key's end

    def activate_object(self):
        self.app.run("activate-object", "--name", "cli-imported")

    def revoke_object(self):
        self.app.run("revoke-object", "--name", "cli-imported", "--code", "Superseded", "--message", "a test")
        expect(json.loads(self.app.run("show-sobject", "--name", "cli-imported"))["state"] == "Deactivated", "another state")

    def delete_key(self):
        self.app.run("delete-key", "--kid", self.kids["imported"])

    def task_result(self):
        # A group whose operations the admin app must approve, with the default app and a key in it.
        admin = Dsm(*self.connection, os.environ["DSMA_LOCAL_ADMIN_API_KEY"])
        app, reviewer = (dsm.post("/sys/v1/session/auth", None)["entity_id"] for dsm in (self.dsm, admin))
        group = admin.post("/sys/v1/groups", {"name": "cli-guarded"})["group_id"]
        admin.send("PATCH", f"/sys/v1/apps/{app}", {"add_groups": {group: ["EXPORT", "MANAGE"]}})
        key = {"name": "cli-guarded", "obj_type": "AES", "key_size": 128, "group_id": group, "key_ops": ["EXPORT"]}
        kid = self.dsm.post("/crypto/v1/keys", key)["kid"]
        quorum = {"n": 1, "members": [{"app": reviewer}], "require_password": False, "require_2fa": False}
        admin.send("PATCH", f"/sys/v1/groups/{group}", {"approval_policy": {"quorum": quorum, "protect_crypto_operations": True}})

        printed = self.app.run("export-object", "--kid", kid, "--quorum")
        request = UUID.findall(printed)[-1]
        expect("PENDING" in self.app.run("task-result", "--request-id", request), "not pending")
        admin.post(f"/sys/v1/approval_requests/{request}/approve", {})
        self.app.run("task-result", "--request-id", request, "--out", self._file("approved"))
        expect(self._file("approved").stat().st_size == 16, "no key came")

    # --- a user, who manages an account of their own

    def user_login(self):
        sign_up(self.dsm, "cli@example.com", PASSWORD)
        user = SdkmsCli(*self.connection, "none")
        user.run("user-login", "--username", "cli@example.com", "--password", PASSWORD)
        self.kids["a user's session"] = user

    def list_accounts(self):
        self.kids["account"] = UUID.findall(self._user.run("list-accounts"))[0]

    def select_account(self):
        self._user.run("select-account", "--account-id", self.kids["account"])

    def show_account(self):
        expect(self.kids["account"] in self._user.run("show-account", "--account-id", self.kids["account"]), "another account")

    def list_users(self):
        printed = self._user.run("list-users")
        expect("cli@example.com" in printed, printed)
        self.kids["user"] = UUID.findall(printed)[0]

    def show_user(self):
        expect("cli@example.com" in self._user.run("show-user", "--user-id", self.kids["user"]), "another user")

    def create_group(self):
        self.kids["group"] = UUID.findall(self._user.run("create-group", "--name", "cli-group", "--description", "a group"))[0]

    def list_groups(self):
        expect(self.kids["group"] in self._user.run("list-groups"), "not listed")

    def show_group(self):
        expect("cli-group" in self._user.run("show-group", "--group-id", self.kids["group"]), "another group")

    def update_group(self):
        self._user.run("update-group", "--group-id", self.kids["group"], "--description", "changed")
        expect("changed" in self._user.run("show-group", "--group-id", self.kids["group"]), "not changed")

    def create_app(self):
        spec = "--groups", "cli-group", "--default-group", "cli-group", "--description", "an app", "--type", "test"
        self.kids["app"] = UUID.findall(self._user.run("create-app", "--name", "cli-app", *spec))[0]

    def list_apps(self):
        expect(self.kids["app"] in self._user.run("list-apps"), "not listed")

    def show_app(self):
        expect("cli-app" in self._user.run("show-app", "--app-id", self.kids["app"]), "another app")

    def get_app_api_key(self):
        key = self._user.run("get-app-api-key", "--name", "cli-app").strip()
        SdkmsCli(*self.connection, key).run("app-login")

    def regenerate_app_api_key(self):
        before = self._user.run("get-app-api-key", "--name", "cli-app").strip()
        after = self._user.run("regenerate-app-api-key", "--name", "cli-app").strip().splitlines()[-1]
        expect(before != after, "the same secret")
        SdkmsCli(*self.connection, after).run("app-login")

    def audit_log(self):
        self._user.run("audit-log", "--limit", 10, "--out", self._user.folder / "log.csv")
        expect("cli-app" in (self._user.folder / "log.csv").read_text("utf-8"), "the app's making is not in it")

    def app_certificate_login(self):
        key, certificate = self._file("client.key"), self._file("client.pem")
        subject = "-subj", "/CN=cli", "-addext", "subjectAltName=DNS:cli.example"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", 2, *subject)
        body = "".join(line for line in certificate.read_text("ascii").splitlines() if "-----" not in line)
        admin = Dsm(*self.connection, os.environ["DSMA_LOCAL_ADMIN_API_KEY"])
        spec = {"name": "cli-certificate", "add_groups": {self.group: ["ENCRYPT"]}, "default_group": self.group}
        app = admin.post("/sys/v1/apps", {**spec, "credential": {"certificate": body}})["app_id"]
        # The endpoint that asks for client certificates, as `apps.` does in the vendor's cloud.
        client = SdkmsCli(os.environ["FORTANIX_APPS_ENDPOINT"], self.connection[1], "none")
        client.run("app-certificate-login", "--app-id", app, "--certificate-path", certificate, "--key-path", key)
        client.run("list-keys")

    def delete_app(self):
        self._user.run("delete-app", "--name", "cli-app")

    def delete_group(self):
        self._user.run("delete-group", "--name", "cli-group")

    def user_logout(self):
        self._user.run("user-logout")

    def app_logout(self):
        self.app.run("app-logout")

    def logout(self):
        # It ends both of a client's sessions, and complains where one is missing.
        self.app.run("app-login")
        expect(self._user, "user-login")
        self.app.run("user-login", "--username", "cli@example.com", "--password", PASSWORD)
        self.app.run("logout")

    # --- helpers

    def _file(self, name):
        return self.app.folder / name

    def _write(self, name, data):
        self._file(name).write_bytes(data)
        return self._file(name)

    def _made(self, *arguments):
        found = UUID.findall(self.app.run(*arguments))
        expect(len(found) == 1, f"{arguments[0]} printed no kid")
        return found[0]

    def _import(self, name, file, obj_type, *more):
        spec = "--in", self._file(file), "--name", f"cli-{name}", "--obj-type", obj_type
        self.kids[name] = self._made("import-key", *spec, *more)


def digest(file, *options):
    done = subprocess.run(["openssl", "dgst", "-sha256", "-r", *options, file], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return done.stdout.split()[0]


def sign_up(dsm, email, password):
    """What a person does in a browser before the command line: an own account."""
    dsm.post("/sys/v1/users", {"user_email": email, "user_password": password, "recaptcha_response": ""})
    dsm.of_user(email, password).post("/sys/v1/accounts", {"name": "cli"})


def published():
    """The sub-commands that the client has, by its own help."""
    client = Path(sys.executable).with_name("sdkms-cli")
    done = subprocess.run([client, "--help"], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return max((names.split(",") for names in re.findall(r"\{([a-z,\s-]+)\}", done.stdout)), key=len)


def verdict(run):
    """PASS, FAIL or NONE, and what there is to say."""
    try:
        run()
    except (KeyError, FileNotFoundError) as missing:
        return "NONE", f"needs {missing}, which an earlier sub-command did not make"
    except (Failed, urllib.error.HTTPError, subprocess.SubprocessError) as problem:
        text = str(problem) + (problem.read().decode() if isinstance(problem, urllib.error.HTTPError) else "")
        absent = "No such endpoint" in text or "not supported" in text or "not allowed here" in text or "this version" in text
        return "NONE" if absent else "FAIL", text
    return "PASS", ""


def main():
    commands = SubCommands()
    methods = {name.replace("_", "-"): getattr(commands, name) for name in vars(SubCommands) if not name.startswith("_")}
    unknown = set(published()) - set(methods) - set(NOT_APPLICABLE)
    count = {"PASS": 0, "FAIL": len(unknown), "NONE": 0, "N/A": 0}
    for name in sorted(unknown):
        print(f"FAIL {name}: this client has a sub-command that no test knows")
    for name, run in methods.items():
        started = time.monotonic()
        result, text = verdict(run)
        if (result == "NONE") != (name in EXPECTED_MISSING):
            text += "\nNONE, and nobody expects it to be missing" if result == "NONE" else "\ntake it from EXPECTED_MISSING"
            result = "FAIL"
        count[result] += 1
        print(f"{result} {name} ({time.monotonic() - started:.1f} s)", *(f"     {line}" for line in text.splitlines()[-6:]), sep="\n", flush=True)
    for name, reason in NOT_APPLICABLE.items():
        count["N/A"] += 1
        print(f"N/A  {name}: {reason}")
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['NONE']} not in this DSM, {count['N/A']} not applicable")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
