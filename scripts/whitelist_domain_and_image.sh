#!/usr/bin/env bash
# Whitelists the DSM Accelerator's build and domain in CCM, and fetches the zone CA's certificate. Thin over `dsmactl whitelist`, which
# does the work; this file has the vendor's name and flags. The password is asked for, or comes in the variable CCM_PASSWORD.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'EOF'
Utility responsible for two things: 
1. Uploads the build measurements of the DSMA to CCM, So the CCM can provision app-cert to DSMA
2. Downloads the CCM zone CA certificate that signs the app-cert issued to DSMA.
Once you run this script, Please complete the domain whitelisting and build whitelisting tasks from CCM UI.
Usage: ./whitelist_domain_and_image.sh -u username -a account-id -b build-info-file -n app-name -g group-id -e ccm-endpoint
Arguments:
-u, --username       ccm username
-a, --account-id     Account ID of the user, can be copied from the settings in the UI
-b, --build-info     Path to the json file that contains the build measurements supposed to be whitelisted.
-n, --app-name       Name of the application in which the build has to be whitelisted
-g, --group-id       Group ID in which the app exists or to be created
-e, --ccm-endpoint   CCM endpoint URL without any trailing /
EOF
}

# Named, beside this file in a package, in the build's folder in the sources, else on the PATH: `type -P` looks for files alone, and not
# for this function.
dsmactl() {
    local program
    for program in "${DSMACTL:-}" "$here/dsmactl" "$here/../target/release/dsmactl" "$here/../target/debug/dsmactl" "$(type -P dsmactl)"; do
        if [ -n "$program" ] && [ -x "$program" ]; then
            "$program" "$@"
            return
        fi
    done
    echo "dsmactl is not found: put it on the PATH, beside this script, or name it in DSMACTL (cargo build -p dsmactl makes it)" >&2
    exit 1
}

for argument in "$@"; do
    case $argument in
        -h | --help)
            usage
            exit 0
            ;;
    esac
done
if [ $# -eq 0 ]; then
    usage >&2
    exit 2
fi
dsmactl whitelist --output-dir "$here" "$@"
