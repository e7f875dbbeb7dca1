"""Fortanix's published `sdkms-git-sign-tool` 0.3.0, unmodified, signs and verifies a commit with a key in dsma-local.

Run inside `with-stack`, with the Python of a virtual environment of its own: the tool pins older versions of what the command line needs.
The tool has no option for a CA file, so its own `--no-verify-ssl` is used. GnuPG, which shares no code with the tool, judges too.
"""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from clients import UUID, Dsm

TOOL = Path(sys.executable).with_name("sdkms-git-sign-tool")


def run(*command, env=None, cwd=None):
    """What a command prints; its own words are the message where it fails."""
    done = subprocess.run([str(word) for word in command], env=env, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    if done.returncode != 0:
        sys.exit(f"FAIL {' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def main():
    endpoint = os.environ["FORTANIX_API_ENDPOINT"]
    with tempfile.TemporaryDirectory(prefix="git-sign.") as name:
        folder = Path(name)
        env = {**os.environ, "HOME": name, "SDKMS_API_ENDPOINT": endpoint, "SDKMS_API_KEY": os.environ["FORTANIX_API_KEY"]}
        program = folder / "program"
        program.write_text(f'#!/bin/sh\nexec {TOOL} --no-verify-ssl "$@"\n', encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        repository = folder / "repository"
        run("git", "init", "-q", repository, env=env)
        # The tool looks for its settings in a repository.
        kid = UUID.findall(run(program, "create", "git-key", "NistP256", env=env, cwd=repository))[0]
        for setting, value in (("user.name", "A"), ("user.email", "a@example.com"), ("user.signingkey", kid), ("gpg.program", program)):
            run("git", "config", setting, value, env=env, cwd=repository)
        run("git", "commit", "-q", "-S", "--allow-empty", "-m", "signed", env=env, cwd=repository)
        run("git", "verify-commit", "HEAD", env=env, cwd=repository)
        print("PASS git commit -S and git verify-commit through sdkms-git-sign-tool")
        gpg_verifies(kid, folder, repository, env)
        print("PASS GnuPG accepts the commit's signature by the key's OpenPGP form")


def gpg_verifies(kid, folder, repository, env):
    dsm = Dsm(os.environ["FORTANIX_API_ENDPOINT"], os.environ["FORTANIX_CA_FILE"], os.environ["FORTANIX_API_KEY"])
    public = dsm.get(f"/crypto/v1/keys/{kid}")["custom_metadata"]["pgp-public-key"]
    (folder / "key.asc").write_text(public, encoding="utf-8")
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = "gpg", "--batch", "--homedir", home, "--no-autostart"
    run(*gpg, "--import", folder / "key.asc", env=env)
    commit = run("git", "cat-file", "commit", "HEAD", env=env, cwd=repository)
    head, rest = commit.split("gpgsig ", 1)
    armored, message = rest.split("-----END PGP SIGNATURE-----\n", 1)
    armored = "\n".join(line.removeprefix(" ") for line in armored.splitlines()) + "\n-----END PGP SIGNATURE-----\n"
    # What is signed is the commit without its signature; some writers leave one blank line of it.
    (folder / "signature").write_text(armored, encoding="utf-8")
    (folder / "signed").write_text(head + message.removeprefix(" \n"), encoding="utf-8")
    run(*gpg, "--verify", folder / "signature", folder / "signed", env=env)


if __name__ == "__main__":
    main()
