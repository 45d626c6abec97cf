#!/usr/bin/env bash
# `make test`: every test of the workspace, and of `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-cli=redis-tools valgrind=valgrind ip=iproute2
command -v cargo >/dev/null || {
    echo "error: cargo is not installed; see https://rustup.rs" >&2
    exit 1
}
# Tests of 10,000 connections need as many files; the tests say so themselves where this is not enough.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

# All at once, and not crate by crate: tests of one run the programs of another, which are built with it.
cargo test --locked --workspace --no-run

# The load generator's program checks a cluster under faults for a minute, at a rate that leaves room: it runs beside all
# others.
beside=(program)
with=() others=()
for path in */tests/*; do
    name=$(basename "$path" .rs)
    case " ${beside[*]} " in
    *" $name "*) with+=(--test "$name") ;;
    *) others+=(--test "$name") ;;
    esac
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
env --default-signal=INT cargo test --locked --workspace --no-fail-fast "${with[@]}" >"$log" 2>&1 &
checks=$!
failed=
cargo test --locked --workspace --no-fail-fast --lib --bins "${others[@]}" || failed=yes
cargo test --locked --workspace --doc || failed=yes
wait "$checks" || failed=yes
cat "$log"
[ -z "$failed" ] || exit 1

built=${CARGO_TARGET_DIR:-target}/debug
CODIS_LOADTEST_BINARY=$built/codis-loadtest scripts/test-run.sh
if [ -x bench/instructions.sh ]; then bench/instructions.sh; fi
