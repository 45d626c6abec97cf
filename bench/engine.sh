#!/usr/bin/env bash
# The engine in time, by criterion: microseconds for a turn of 256 requests, and requests a second. Prints a Markdown table.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked --quiet -p codis-bench --features engine --bin codis-bench-engine
bin=${CARGO_TARGET_DIR:-target}/release
echo "# The engine in time"
echo
echo "Sixteen sessions, two backends, sixteen requests a session and turn, as in \`bench/instructions.txt\`; bytes in, bytes out, no sockets."
echo
echo "| | least | estimate | most | of |"
echo "|---|--:|--:|--:|---|"
"$bin/codis-bench-engine" --bench 2>/dev/null |
    sed -n -e 's|^engine/\([a-z]*\) *time: *\[\(.*\)\]$|\1 \2 a turn of 256|p' \
        -e 's|^ *thrpt: *\[\(.*\)\]$|= \1 requests|p' |
    awk '$1 != "=" { name = $1 } { printf "| %s | %s %s | %s %s | %s %s | %s |\n", name, $2, $3, $4, $5, $6, $7, ($1 == "=" ? "requests a second" : "a turn of 256 requests") }'
