#!/usr/bin/env bash
# `make lint`: what must be clean before a change goes in.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
if command -v shellcheck >/dev/null; then
    git ls-files -z -- '*.sh' .ci/run | xargs -0 shellcheck
else
    echo "shellcheck is not installed: the scripts were not checked" >&2
fi
