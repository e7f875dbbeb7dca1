"""Runs the tests that crate `cryptoki` ships, unmodified, against the library in conformance mode.

They initialise the token in every test, for which they were written with SoftHSM2 and kryoptic in mind. The crate's source is the one that
cargo has fetched for the workspace; only an empty [workspace] is added to its copy's manifest. Some tests assert that a module lacks
something: EXCUSED names each with the reason, and a test that is excused and passes is told as well.

Needs a running dsma-local (target/debug/with-stack) and target/debug/libdsma.so.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "cryptoki-suite"
TESTS = ["allowed_mechanisms", "basic", "ml_dsa", "ml_kem", "slh_dsa", "wycheproof"]

EXCUSED = {
    "wait_for_slot_event": "asserts CKR_FUNCTION_NOT_SUPPORTED; ours waits for an event",
    "get_slot_event": "asserts an error outside SoftHSM2; ours answers CKR_NO_EVENT, as the standard has it",
    "sign_verify_eddsa_with_ed448_schemes": "needs Ed448, which neither DSM nor aws-lc has",
}


def source() -> pathlib.Path:
    """Where cargo keeps the source of the version that Cargo.lock names."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.check_output(command, cwd=ROOT))["packages"]
    manifest = next(package["manifest_path"] for package in packages if package["name"] == "cryptoki")
    return pathlib.Path(manifest).parent


def copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(source(), COPY)
    with (COPY / "Cargo.toml").open("a") as manifest:
        manifest.write("\n[workspace]\n")


def run(test: str, environment: dict[str, str]) -> dict[str, str]:
    """The tests of one file by name, each `ok`, `FAILED` or `ignored`."""
    command = ["cargo", "test", "--quiet", "--locked", "--manifest-path", str(COPY / "Cargo.toml"), "--target-dir", str(ROOT / "target/interop")]
    command += ["--test", test, "--", "--include-ignored", "--test-threads=1", "--format=pretty"]
    command += [argument for name in EXCUSED if name == "wait_for_slot_event" for argument in ("--skip", name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("test ") and " ... " in line]
    results = {words[1]: words[-1] for words in lines}
    # A program that crashed says nothing of the test it was in, or ends otherwise than with what its tests came to.
    silent = [name for name, result in results.items() if result not in ("ok", "FAILED", "ignored")]
    expected = 101 if "FAILED" in results.values() else 0
    if not results or silent or done.returncode != expected or "\ntest result: " not in done.stdout:
        where = f" in {', '.join(silent)}" if silent else ""
        sys.exit(f"{test}: ended with status {done.returncode}{where}\n{done.stdout}{done.stderr}")
    for name, result in results.items():
        if result == "FAILED" and name not in EXCUSED:
            at = done.stdout.find(f"---- {name} stdout ----")
            print(done.stdout[at : at + 600])
    return results


def main() -> None:
    copy()
    environment = {
        **os.environ,
        "TEST_PKCS11_MODULE": str(ROOT / "target/debug/libdsma.so"),
        "FORTANIX_PKCS11_CONFIG": f"{os.environ['DSMA_LOCAL_STATE']}/conformance.conf",
    }
    passed, failed = 0, []
    for test in TESTS:
        for name, result in run(test, environment).items():
            if result == "FAILED" and name not in EXCUSED:
                failed.append(f"{test}::{name}")
            elif result == "FAILED":
                print(f"excused {test}::{name}: {EXCUSED[name]}")
            else:
                passed += result == "ok"
    for name in failed:
        print(f"FAILED {name}")
    print(f"cryptoki's own suite: {passed} passed, {len(failed)} failed, {len(EXCUSED)} excused")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
