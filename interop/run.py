"""Fortanix's published command line against dsma-local and enclave-host: what works with DSM must work here, unmodified.

Run by `make test` inside `with-stack`, whose variables name DSM (FORTANIX_*), an enclave-host that serves Bearer callers locally
(BEARER_*) and one that passes them through (PLAIN_*). DSM's own audit log is the witness of what was exported and what was asked of
DSM. The last line counts what passed and what failed.
"""

import os
import sys
import time
from pathlib import Path

from clients import Dsm, Failed, SdkmsCli, openssl_verifies

# A real file, large enough to be more than one of anything.
PLAIN = Path(__file__).resolve().parent.parent / "LICENSE"

def log_in(where, api_key=None):
    """The command line, logged in at DSM, or at the enclave-host called BEARER or PLAIN."""
    prefix = "FORTANIX_API" if where == "DSM" else where
    ca_file = os.environ["FORTANIX_CA_FILE" if where == "DSM" else f"{where}_CA_FILE"]
    cli = SdkmsCli(os.environ[f"{prefix}_ENDPOINT"], ca_file, api_key or os.environ["FORTANIX_API_KEY"])
    cli.run("app-login")
    return cli


def expect(holds, what):
    if not holds:
        raise Failed(what)


class Scenarios:
    """Run in this order: later ones use keys and files of earlier ones."""

    def __init__(self):
        env = os.environ
        self.dsm = Dsm(env["FORTANIX_API_ENDPOINT"], env["FORTANIX_CA_FILE"], env["FORTANIX_API_KEY"])
        self.cli = {}
        self.keys = {}

    def dsm_logs_in_and_creates_keys(self):
        """app-login, then create-key --exportable for AES, RSA and EC, at dsma-local"""
        self._log_in_and_create("DSM")

    def dsm_encrypts_and_decrypts(self):
        """encrypt and decrypt with AES-GCM at dsma-local, by DSM itself"""
        self._encrypt_and_decrypt("DSM")
        uses = self.dsm.uses(self.keys["DSM"]["aes"])
        expect(uses == ["encrypted", "decrypted"], f"the audit log shows {uses}")

    def dsm_signs(self):
        """sign with RSA and EC at dsma-local; OpenSSL verifies"""
        self._sign("DSM", expected=["signed"])

    def host_logs_in_and_creates_keys(self):
        """app-login and create-key through enclave-host"""
        self._log_in_and_create("BEARER")

    def host_encrypts_and_decrypts(self):
        """encrypt and decrypt through enclave-host: one export, and DSM sees no operation"""
        self._encrypt_and_decrypt("BEARER")
        uses = self.dsm.uses(self.keys["BEARER"]["aes"])
        expect(uses == ["exported"], f"the audit log shows {uses}")

    def host_signs(self):
        """sign through enclave-host: one export a key, and DSM sees no operation; OpenSSL verifies"""
        self._sign("BEARER", expected=["exported"])

    def host_reads_what_dsm_wrote(self):
        """what dsma-local encrypted, enclave-host decrypts: one export, and DSM sees no operation"""
        kid = self.keys["DSM"]["aes"]
        before = len(self.dsm.uses(kid))
        expect(self._decrypt("BEARER", "DSM") == PLAIN.read_bytes(), "the plaintext differs")
        uses = self.dsm.uses(kid)[before:]
        expect(uses == ["exported"], f"the audit log shows {uses}")

    def dsm_reads_what_host_wrote(self):
        """what enclave-host encrypted, dsma-local decrypts"""
        expect(self._decrypt("DSM", "BEARER") == PLAIN.read_bytes(), "the plaintext differs")

    def flag_off_passes_through(self):
        """with BEARER_AUTH_ENABLED=false the operations reach DSM, and nothing is exported"""
        self._log_in_and_create("PLAIN")
        self._encrypt_and_decrypt("PLAIN")
        uses = self.dsm.uses(self.keys["PLAIN"]["aes"])
        expect(uses == ["encrypted", "decrypted"], f"the audit log shows {uses}")
        self._sign("PLAIN", expected=["signed"])

    def wrong_key_is_refused(self):
        """a wrong API key does not log in, at dsma-local or through enclave-host"""
        for where in ("DSM", "BEARER"):
            try:
                log_in(where, api_key="d3Jvbmc6d3Jvbmc=")
            except Failed as refusal:
                expect("401" in str(refusal), f"refused for another reason: {refusal}")
            else:
                raise Failed(f"a wrong API key logged in at {where}")

    def _log_in_and_create(self, where):
        cli = self.cli[where] = log_in(where)
        self.keys[where] = {
            "aes": cli.create_key(f"interop {where} aes", "--obj-type", "AES", "--key-size", 256),
            "rsa": cli.create_key(f"interop {where} rsa", "--obj-type", "RSA", "--key-size", 2048),
            "ec": cli.create_key(f"interop {where} ec", "--obj-type", "EC", "--ec-name", "NistP256"),
        }

    def _encrypt_and_decrypt(self, where):
        cli = self.cli[where]
        cipher = cli.folder / "cipher"
        cli.encrypt(self.keys[where]["aes"], PLAIN, cipher)
        expect(cipher.stat().st_size == PLAIN.stat().st_size, "GCM's ciphertext is as long as its plaintext")
        expect(cipher.read_bytes() != PLAIN.read_bytes(), "the ciphertext is the plaintext")
        expect(self._decrypt(where, where) == PLAIN.read_bytes(), "the plaintext differs")

    def _decrypt(self, where, written_by):
        return self.cli[where].decrypt(self.keys[written_by]["aes"], self.cli[written_by].folder / "cipher")

    def _sign(self, where, expected):
        cli = self.cli[where]
        for kind in ("rsa", "ec"):
            kid = self.keys[where][kind]
            signature = cli.folder / f"{kind}.sig"
            cli.sign(kid, PLAIN, signature)
            expect(openssl_verifies(self.dsm.public_key(kid), PLAIN, signature), f"OpenSSL refuses the {kind} signature")
            uses = self.dsm.uses(kid)
            expect(uses == expected, f"the audit log shows {uses} for the {kind} key")


def main():
    scenarios = Scenarios()
    passed = failed = 0
    for name, run in vars(Scenarios).items():
        if name.startswith("_"):
            continue
        started = time.monotonic()
        try:
            run(scenarios)
        except Exception as problem:  # pylint: disable=broad-except  # one broken scenario must not hide the others
            failed += 1
            print(f"FAIL {run.__doc__}\n     {type(problem).__name__}: {problem}", flush=True)
        else:
            passed += 1
            print(f"PASS {run.__doc__} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
