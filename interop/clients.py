"""What the scenarios drive and what they ask: the vendor's command line, and DSM's audit log."""

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# How long one call of the command line may take: most of it is Python's start.
PATIENCE_SECONDS = 60


class Failed(Exception):
    """A check did not hold, or a client did not succeed; the text is for a person."""


class SdkmsCli:
    """The published `sdkms-cli`, unmodified, logged in at one endpoint, with files of its own."""

    def __init__(self, endpoint, ca_file, api_key):
        # Goes with the client, or when Python ends.
        self._owner = tempfile.TemporaryDirectory(prefix="sdkms-cli.")
        self.folder = Path(self._owner.name)
        self._command = [
            str(Path(sys.executable).with_name("sdkms-cli")),
            "--api-endpoint", endpoint, "--ssl-ca-cert", ca_file,
        ]
        # The session's token would else land in the home folder.
        self._env = {**os.environ, "SDKMS_CLI_TOKEN_FILE": str(self.folder / "token"), "FORTANIX_API_KEY": api_key}

    def run(self, *arguments, answer=""):
        """Runs one sub-command in this client's folder; `answer`, text or bytes, is its standard input. Returns what it printed."""
        typed = answer if isinstance(answer, bytes) else answer.encode()
        done = subprocess.run(
            [*self._command, *map(str, arguments)], cwd=self.folder, env=self._env, input=typed,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False,
        )
        printed, complaint = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        if done.returncode != 0:
            raise Failed(f"sdkms-cli {' '.join(map(str, arguments))}: exit {done.returncode}\n{printed}{complaint}")
        return printed

    def create_key(self, name, *spec):
        """An exportable key. The client warns of that and wants a Y. Returns the kid."""
        printed = self.run("create-key", "--name", name, "--exportable", *spec, answer="Y\n")
        found = UUID.findall(printed)
        if len(found) != 1:
            raise Failed(f"create-key printed no kid: {printed}")
        return found[0]

    def encrypt(self, kid, plain, out):
        """AES-GCM with DSM's choice of IV; writes `out`, `out`.iv and `out`.tag."""
        self.run("encrypt", "--kid", kid, "--alg", "AES", "--mode", "GCM", "--tag-len", 128, "--in", plain, "--out", out)

    def decrypt(self, kid, cipher):
        """The plaintext of what `encrypt` wrote, here or at another endpoint."""
        out = self.folder / "decrypted"
        iv = Path(f"{cipher}.iv").read_text(encoding="ascii")
        self.run("decrypt", "--kid", kid, "--alg", "AES", "--mode", "GCM", "--iv", iv, "--tag", f"{cipher}.tag", "--in", cipher, "--out", out)
        return out.read_bytes()

    def sign(self, kid, data, out):
        """A SHA-256 signature."""
        self.run("sign", "--kid", kid, "--hash-alg", "SHA256", "--in", data, "--out", out)


class Dsm:
    """DSM itself, asked directly and never through enclave-host."""

    def __init__(self, endpoint, ca_file, api_key):
        self._endpoint, self._api_key = endpoint, api_key
        self._ca_file = ca_file
        self._tls = ssl.create_default_context(cafile=ca_file)

    def of_user(self, email, password):
        """The same DSM, asked by a user, with a name and a password on each request."""
        return Dsm(self._endpoint, self._ca_file, base64.b64encode(f"{email}:{password}".encode()).decode())

    def get(self, path):
        """The answer of a GET as parsed JSON."""
        request = urllib.request.Request(self._endpoint + path, headers={"Authorization": f"Basic {self._api_key}"})
        with urllib.request.urlopen(request, context=self._tls, timeout=PATIENCE_SECONDS) as reply:
            return json.load(reply)

    def post(self, path, body):
        """The answer of a POST as parsed JSON, None where there is none."""
        return self.send("POST", path, body)

    def send(self, method, path, body):
        """The answer of a request with this body, or with none, as parsed JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Basic {self._api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._endpoint + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, context=self._tls, timeout=PATIENCE_SECONDS) as reply:
            text = reply.read()
            return json.loads(text) if text else None

    def has(self, method, path):
        """Whether there is such an endpoint. One that is not there says so before it asks who calls."""
        request = urllib.request.Request(self._endpoint + path, method=method)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=PATIENCE_SECONDS):
                return True
        except urllib.error.HTTPError as refusal:
            return refusal.code != 405 and not (refusal.code == 404 and refusal.read() == b"No such endpoint")

    def public_key(self, kid):
        """SubjectPublicKeyInfo as PEM."""
        body = self.get(f"/crypto/v1/keys/{kid}")["pub_key"]
        return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"

    def uses(self, kid):
        """What the audit log says was done with a key, oldest first: the verbs of its crypto operations."""
        hits = self.get(f"/sys/v1/logs?size=1000&object_id={kid}")["hits"]
        records = [hit["_source"] for hit in reversed(hits)]
        return [record["message"].split()[0].lower() for record in records if record["action_type"] == "CRYPTOOPERATION"]


def openssl_verifies(public_key, data, signature):
    """Whether OpenSSL, which shares no code with us, accepts a SHA-256 signature (RSA PKCS#1 or ECDSA in DER)."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
        key.write(public_key)
        key.flush()
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", key.name, "-signature", signature, data],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=False,
        )
    return done.returncode == 0
