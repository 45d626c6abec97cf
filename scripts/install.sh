#!/usr/bin/env bash
# Installs Debian packages whose programs are missing: install.sh PROGRAM=PACKAGE ...
set -euo pipefail

missing=()
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "error: this needs ${missing[*]} (Debian's names), and only apt-get is known here:" \
        "install them with this system's own package manager and try again" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "error: this needs ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "installing ${missing[*]}" >&2
# Debian starts a server that it installs; nothing here wants that one, and a policy of 101 keeps it off.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod +x $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" >&2 </dev/null
}
# The list of packages may be older than the mirror: fetch it only when that is needed.
install || { "${as_root[@]}" apt-get update >&2 && install; }
