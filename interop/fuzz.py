"""schemathesis against dsma-local: requests made up from the published OpenAPI, well-formed and not, with a valid session.

usage, inside `with-stack`: fuzz.py SECONDS

No request may end in an error of the service, and each success must fit its schema. The document declares no refusals; that those are
text for a person is a test of dsma-local's own (tests/conformance). Half of the time goes to keys and operations as the default app,
half to the rest as the admin app.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import Dsm

PUBLISHED = Path(__file__).with_name("openapi") / "dsm.json"
NOBODY = "00000000-0000-0000-0000-000000000000"

# Would end the very session that asks, or the app behind it.
LEFT_OUT = {("post", "/sys/v1/session/terminate"), ("post", "/sys/v1/apps/{app_id}/reset_secret"), ("delete", "/sys/v1/users")}
# End a key: they get ids that nobody has, so that the keys of the other requests live.
ENDING = ("delete", "/destroy", "/revoke", "/private")


def implemented(document, dsm):
    """The part of the document that this DSM answers to."""
    part = {**document, "paths": {}}
    for path, methods in document["paths"].items():
        there = {
            method: operation
            for method, operation in methods.items()
            if (method, path) not in LEFT_OUT and dsm.has(method.upper(), path.replace("{key_id}", NOBODY).replace("{", "").replace("}", ""))
        }
        if there:
            part["paths"][path] = there
    return part


def with_known_keys(document, kids):
    """The document, with ids that exist where a request names a key: made-up ones would all end at 404."""
    known = copy.deepcopy(document)
    for path, methods in known["paths"].items():
        for method, operation in methods.items():
            if any(word in (method, path[-len(word):]) for word in ENDING):
                continue
            for parameter in operation.get("parameters", []):
                if parameter.get("name") == "key_id":
                    parameter["schema"]["enum"] = [*kids, NOBODY]
    for name in ("SobjectDescriptor", "SobjectDescriptorPersisted"):
        for variant in known["components"]["schemas"][name]["oneOf"]:
            if "kid" in variant["properties"]:
                variant["properties"]["kid"]["enum"] = [*kids, NOBODY]
    return known


def make_keys(dsm):
    """One key of each kind that operations take, all operations allowed."""
    kinds = [
        {"obj_type": "AES", "key_size": 256},
        {"obj_type": "HMAC", "key_size": 256},
        {"obj_type": "RSA", "key_size": 2048, "rsa": {"encryption_policy": [{}], "signature_policy": [{}]}},
        {"obj_type": "EC", "elliptic_curve": "NistP256"},
    ]
    return [dsm.post("/crypto/v1/keys", {"name": f"fuzz {number}", **kind})["kid"] for number, kind in enumerate(kinds)]


def schemathesis(document, paths, token, seconds):
    """One run over the paths with this beginning. Returns whether nothing was found."""
    part = {**document, "paths": {path: methods for path, methods in document["paths"].items() if path.startswith(paths)}}
    with tempfile.TemporaryDirectory(prefix="schemathesis.") as folder:
        schema = Path(folder) / "dsm.json"
        schema.write_text(json.dumps(part), encoding="utf-8")
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", str(schema),
            # A large RSA key takes its time on a loaded machine.
            "--request-timeout", "120",
            "--url", os.environ["FORTANIX_API_ENDPOINT"], "--tls-verify", os.environ["FORTANIX_CA_FILE"],
            "--header", f"Authorization: Bearer {token}",
            "--checks", "not_a_server_error,response_schema_conformance",
            "--phases", "coverage,fuzzing", "--max-time", str(seconds), "--seed", "1",
            "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure", "--no-shrink", "--no-color",
        ]
        return subprocess.run(command, cwd=folder, timeout=seconds * 3 + 120, check=False).returncode == 0


def main():
    seconds = max(int(sys.argv[1]) // 2, 1)
    endpoint, ca_file = os.environ["FORTANIX_API_ENDPOINT"], os.environ["FORTANIX_CA_FILE"]
    app = Dsm(endpoint, ca_file, os.environ["FORTANIX_API_KEY"])
    admin = Dsm(endpoint, ca_file, os.environ["DSMA_LOCAL_ADMIN_API_KEY"])
    document = with_known_keys(implemented(json.loads(PUBLISHED.read_text(encoding="utf-8")), app), make_keys(app))
    print(f"{sum(map(len, document['paths'].values()))} operations of the published document are there", flush=True)
    clean = [
        schemathesis(document, paths, dsm.post("/sys/v1/session/auth", None)["access_token"], seconds)
        for paths, dsm in ((("/crypto/", "/batch/"), app), ("/sys/", admin))
    ]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
