#!/usr/bin/env bash
# `make test`: every test of the workspace, and of `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-cli=redis-tools valgrind=valgrind
command -v cargo >/dev/null || {
    echo "error: cargo is not installed; see https://rustup.rs" >&2
    exit 1
}
# Tests of 10,000 connections need as many files; the tests say so themselves where this is not enough.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

cargo test --locked --workspace
CODIS_PROXY_BINARY=${CARGO_TARGET_DIR:-target}/debug/codis-proxy scripts/test-run.sh
if [ -x bench/instructions.sh ]; then bench/instructions.sh; fi
