# Shared by the scripts of this folder: where we are, and how a step is announced and how it fails.
# shellcheck shell=bash

set -Eeuo pipefail
# Nothing fails in silence: where no message of ours comes first, this one tells the place.
trap 'printf "FAILED: %s line %s: %s\n" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND" >&2' ERR
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Colour for people, plain text for logs.
# shellcheck disable=SC2034  # the scripts that source this use them
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' red='' plain=''
fi

section() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }

die() {
    printf '%sFAILED%s: %s\n' "$red" "$plain" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# step TITLE MEND COMMAND...: runs the command under its title; where it fails, names the step and the mend.
step() {
    local title=$1 mend=$2 started=$SECONDS
    shift 2
    section "$title"
    "$@" || die "$title (status $?)" "$mend"
    printf '%sdone in %s s%s\n' "$dim" "$((SECONDS - started))" "$plain"
}
