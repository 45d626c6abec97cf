#!/usr/bin/env bash
# `make fuzz`: each fuzz target in turn, SECONDS_EACH seconds long.
set -euo pipefail
cd "$(dirname "$0")/../proxy"

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "installing cargo-fuzz"
    cargo install --locked cargo-fuzz
fi
# The sanitizers need a nightly compiler's flags; a stable one takes them with this set.
if cargo +nightly --version >/dev/null 2>&1; then
    fuzz() { cargo +nightly fuzz "$@"; }
else
    fuzz() { RUSTC_BOOTSTRAP=1 cargo fuzz "$@"; }
fi

mapfile -t targets < <(fuzz list)
[ ${#targets[@]} -gt 0 ] || {
    echo "error: cargo fuzz lists no target in proxy/fuzz/" >&2
    exit 1
}
for target in "${targets[@]}"; do
    echo "fuzzing $target for ${SECONDS_EACH:-60} s"
    fuzz run "$target" -- -max_total_time="${SECONDS_EACH:-60}" -rss_limit_mb=4096
done
