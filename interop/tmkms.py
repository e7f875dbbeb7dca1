"""The published signer `tmkms` 0.15.0 with its backend `fortanixdsm`, unmodified, against dsma-local.

usage, inside `with-stack`: tmkms.py PATH-OF-TMKMS

It loads an Ed25519 consensus key and a secp256k1 account key, by name and by id, and the public keys that it prints are DSM's. Then it
signs a vote for a validator on a Unix socket: this script speaks the validator's side, and OpenSSL judges the signature.
"""

import base64
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import Dsm
from privval import read_message, sign_vote_request, signed_vote, vote_sign_bytes

CHAIN = "interop-1"
PATIENCE_SECONDS = 60


def check(holds, what):
    print(f"{'PASS' if holds else 'FAIL'} {what}", flush=True)
    if not holds:
        sys.exit(1)


def make_key(dsm, name, curve):
    """A signing key on this curve: its id, and its public key as SubjectPublicKeyInfo."""
    made = dsm.post("/crypto/v1/keys", {"name": name, "obj_type": "EC", "elliptic_curve": curve})
    return made["kid"], base64.b64decode(made["pub_key"])


def write_configuration(folder, account_kid, validator=""):
    state = folder / "state.json"
    text = f"""
[[chain]]
id = "{CHAIN}"
key_format = {{ type = "hex" }}
state_file = "{state}"

[[providers.fortanixdsm]]
api_endpoint = "{os.environ['FORTANIX_API_ENDPOINT']}"
api_key = "{os.environ['FORTANIX_API_KEY']}"
signing_keys = [
    {{ chain_ids = ["{CHAIN}"], type = "account", key_id = "{account_kid}" }},
    {{ chain_ids = ["{CHAIN}"], type = "consensus", key_name = "tmkms-consensus" }},
]
{validator}"""
    path = folder / "tmkms.toml"
    path.write_text(text, encoding="utf-8")
    return path


def keys_are_loaded(tmkms, folder, account, consensus):
    """Without a validator it loads its keys, prints them and ends."""
    configuration = write_configuration(folder, account[0])
    done = subprocess.run(
        [tmkms, "start", "-c", configuration], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=False,
    )
    printed = {kind: value.lower() for kind, value in re.findall(r"added (consensus|account) \w+ key: ([0-9A-Fa-f]+)", done.stdout)}
    check(done.returncode == 0 and len(printed) == 2, "tmkms loads both keys" if printed else f"tmkms loads both keys\n{done.stdout}")
    check(consensus[1].hex().endswith(printed["consensus"]), "its Ed25519 public key is DSM's")
    # Compressed: the parity of y, and x, which is what follows the point's first byte in DSM's form.
    point = account[1][-65:]
    check(printed["account"] == (bytes([2 + point[-1] % 2]) + point[1:33]).hex(), "its secp256k1 public key is DSM's")


def vote_is_signed(tmkms, folder, account, consensus):
    path = folder / "validator.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(PATIENCE_SECONDS)
        validator = f'[[validator]]\nchain_id = "{CHAIN}"\naddr = "unix://{path}"\nreconnect = false\nprotocol_version = "v0.34"\n'
        with subprocess.Popen([tmkms, "start", "-c", write_configuration(folder, account[0], validator)], stdout=subprocess.DEVNULL) as signer:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(PATIENCE_SECONDS)
                    connection.sendall(sign_vote_request(CHAIN))
                    signature = signed_vote(read_message(connection))
            finally:
                signer.terminate()
    files = {"key": consensus[1], "message": vote_sign_bytes(CHAIN), "signature": signature}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", folder / "key", "-in", folder / "message"]
    done = subprocess.run([*command, "-sigfile", folder / "signature"], stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False)
    check(done.returncode == 0, "OpenSSL verifies the signature of a vote, made with the key in DSM")


def main():
    tmkms = Path(sys.argv[1]).resolve()
    dsm = Dsm(os.environ["FORTANIX_API_ENDPOINT"], os.environ["FORTANIX_CA_FILE"], os.environ["FORTANIX_API_KEY"])
    account = make_key(dsm, "tmkms-account", "SecP256K1")
    consensus = make_key(dsm, "tmkms-consensus", "Ed25519")
    with tempfile.TemporaryDirectory(prefix="tmkms.") as name:
        folder = Path(name)
        keys_are_loaded(tmkms, folder, account, consensus)
        vote_is_signed(tmkms, folder, account, consensus)


if __name__ == "__main__":
    main()
