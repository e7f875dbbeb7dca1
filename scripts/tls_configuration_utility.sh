#!/usr/bin/env bash
# Certificate requests and uploads for the TLS of a running enclave-host. The vendor's tool of this name, word for word where the guide
# shows it; what it does is `dsmactl tls`. The API key is neither on a command line nor in a file.
set -u

self=$0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1

main_help() {
    cat <<HELP
================ CLI Tool to manage TLS certificates in DSMA ================
Description:
This CLI Tool provides functionalities for generating Certificate Signing Requests (CSR) and uploading TLS certificate.
--generate-csr => Create a CSR (Certificate Signing Request) using either interactive prompts or an input file. You can specify an output file for the CSR or print it to the terminal.
--upload-cert  => Process and upload a certificate chain from a specified file. The certificates in the file will be read and uploaded to DSM.
You can authenticate using an API key. API key must belong to an app that has access to the TLS private key that was provided while starting DSMA.
Usage: $self [OPTIONS]
Pre-requisite: This script uses DSMA APIs to configure TLS, So it expects DSMA to be running and it's hosted location for --dsma-endpoint
OPTIONS:
  -e, --dsma-endpoint    Specify the DSMA endpoint URL without any trailing /
  -g, --generate-csr     Generate CSR, You can optionally provide an input file for CSR details and specify an output file for saving the generated CSR.
                         Use [--generate-csr --help]/[-g -h] for detailed help related to CSR generation.
  -h, --help             Show this help message
  -u, --upload-cert      Specify the path to a file containing TLS certificate. Tool will read and upload the certificates from the file to DSM.
Environment Variables:
  API_KEY        You can set the API key as an environment variable. If you don't answer api-key prompt, the script will use the API_KEY environment variable.
  DSMA_ENDPOINT  You can set the DSMA Endpoint as an environment variable. If --dsma-endpoint is not provided, the script will use the DSMA_ENDPOINT environment variable.
Examples:
  $self --dsma-endpoint https://api.example.com --generate-csr                # Tool will prompt for CSR inputs to generate the CSR, CSR is printed to terminal
  $self --dsma-endpoint https://api.example.com --generate-csr -o mycsr.pem   # Tool will prompt for CSR inputs to generate the CSR
  $self --dsma-endpoint https://api.example.com --generate-csr -i myinput.txt # CSR is printed to terminal
  $self --dsma-endpoint https://api.example.com --generate-csr --input-csr myinput.txt --output-csr mycsr.pem
HELP
}

csr_help() {
    cat <<HELP
Generate a CSR (Certificate Signing Request) for the TLS private key of DSMA.
Usage: $self [-e endpoint] --generate-csr [OPTIONS]
OPTIONS:
  -i, --input-csr, --input-file     Read the CSR details from this file instead of prompting for them
  -o, --output-csr, --output-file   Save the CSR to this file instead of printing it to the terminal
  -h, --help                        Show this help message
Format of the input file: one value per line, as name=value. Lines that begin with # are comments. Values that are left out are left out of
the CSR; a common name or a DNS name must be there. For example:
  2.5.4.6=US
  2.5.4.8=California
  2.5.4.7=Santa Clara
  2.5.4.10=Company
  2.5.4.11=IT
  2.5.4.3=www.example.com
  1.2.840.113549.1.9.1=admin@example.com
  2.5.29.17=www.example.com,api.example.com
Names: the OID, the long name or the short one:
  2.5.4.6                countryName, C (2 letter code)
  2.5.4.8                stateOrProvinceName, ST
  2.5.4.7                localityName, L
  2.5.4.10               organizationName, O
  2.5.4.11               organizationalUnitName, OU
  2.5.4.3                commonName, CN
  1.2.840.113549.1.9.1   emailAddress, E
  2.5.29.17              subjectAltName, DNS (comma-separated DNS names)
Environment Variables, beside those of $self --help:
  DSMA_CA_FILE      PEM file with the CA that signed the certificate of DSMA, if the system does not trust it
  DSMA_FINGERPRINT  SHA-256 of the certificate of DSMA, which its log tells while the certificate is self-signed
HELP
}

fail() {
    echo "$1" >&2
    echo "Use $self --help" >&2
    exit 2
}

# The value of an option: `value NAME REST...`.
value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a value"; fi
    printf '%s' "$2"
}

# Asks for a line; the prompt shows where the answer is piped in, too.
ask() {
    local answer=
    printf '%s' "$2"
    IFS= read -r answer || true
    [ -t 0 ] || echo
    printf -v "$1" '%s' "$answer"
}

ask_api_key() {
    local answer=
    printf 'Enter your API Key: '
    IFS= read -rs answer || true
    echo
    [ -z "$answer" ] || API_KEY=$answer
    [ -n "${API_KEY:-}" ] || { echo "No API key: answer the prompt, or set API_KEY" >&2; exit 1; }
    export API_KEY
}

# As in whitelist_domain_and_image.sh: each of the two is handed out by itself.
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

generate() {
    local arguments=() csr country state locality organization unit name email dns
    ask_api_key
    if [ -n "$input" ]; then
        echo "Parsing OID values from csrinput..."
        arguments=(--input "$input")
    else
        ask country 'Enter Country Name (2 letter code) : '
        ask state 'Enter State or Province Name (full name): '
        ask locality 'Enter Locality Name: '
        ask organization 'Enter Organization Name: '
        ask unit 'Enter Organizational Unit Name: '
        ask name 'Enter Common Name: '
        ask email 'Enter Email Address: '
        ask dns 'Enter DNS Names (comma-separated, e.g., dns1.com,dns2.com): '
        # One word each, so that a value that begins with a dash stays a value.
        arguments=("--country=$country" "--state=$state" "--locality=$locality" "--organization=$organization"
            "--organizational-unit=$unit" "--common-name=$name" "--email=$email" "--dns=$dns")
    fi
    csr=$(dsmactl tls csr "--endpoint=$endpoint" "${arguments[@]}") || exit 1
    if [ -n "$output" ]; then
        printf '%s\n' "$csr" >"$output" || exit 1
        echo "CSR saved to file: $output"
    else
        echo "CSR:"
        printf '%s\n' "$csr"
    fi
}

upload() {
    ask_api_key
    dsmactl tls upload "--endpoint=$endpoint" "$certificates"
}

endpoint=${DSMA_ENDPOINT:-} action='' input='' output='' certificates=''
while [ $# -gt 0 ]; do
    case $1 in
        -e | --dsma-endpoint) endpoint=$(value "$@") || exit 2; shift ;;
        -g | --generate-csr) action=generate ;;
        -u | --upload-cert) action=upload; certificates=$(value "$@") || exit 2; shift ;;
        -i | --input-csr | --input-file) input=$(value "$@") || exit 2; shift ;;
        -o | --output-csr | --output-file) output=$(value "$@") || exit 2; shift ;;
        -h | --help)
            if [ "$action" = generate ]; then csr_help; else main_help; fi
            exit 0
            ;;
        *) fail "Unknown option: $1" ;;
    esac
    shift
done
[ -n "$action" ] || { main_help >&2; exit 2; }
[ -n "$endpoint" ] || fail "No DSMA endpoint: give --dsma-endpoint, or set DSMA_ENDPOINT"
"$action"
