#!/usr/bin/env bash
# Instructions of the engine for one request, counted under callgrind, against bench/instructions.txt:
# fails where one is more than 5 % above the file. With --write the file is written anew.
#
# The count is the difference between two runs that differ in their number of turns, so that start and
# end fall out of it. It is exact for one compiler and one kind of processor.
set -euo pipefail
cd "$(dirname "$0")/.."

file=bench/instructions.txt
target=${CARGO_TARGET_DIR:-target}
few=50
many=150

command -v valgrind >/dev/null || {
    echo "error: valgrind is not installed; apt-get install valgrind" >&2
    exit 1
}
# The proxy's crate as in a release; its dependencies as the tests have them, so that they are not built once more for this. The
# whole of a release, with its link-time optimisation, takes 2 % fewer.
own=profile.test.package.codis-proxy
cargo build --locked --quiet --workspace --profile test --example engine_load --config "$own.opt-level=3" \
    --config "$own.codegen-units=1" --config "$own.debug-assertions=false" --config "$own.overflow-checks=false"

# Instructions that a load takes for so many turns.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$target/debug/examples/engine_load" "$1" "$2" 2>&1 |
        sed -n 's/^==.*Collected : *\([0-9]*\).*/\1/p'
}

failed=0
report="# Instructions of the engine for one request, counted by bench/instructions.sh.
# $(rustc --version); $(valgrind --version)."
for load in get set mget; do
    requests=$(((many - few) * 16 * 16))
    now=$((($(count $load $many) - $(count $load $few)) / requests))
    report+=$'\n'"$load $now"
    known=$(sed -n "s/^$load //p" "$file" 2>/dev/null || true)
    echo "$load: $now instructions a request (file: ${known:-none})"
    if [ "${1:-}" != --write ] && { [ -z "$known" ] || [ $((now * 100)) -gt $((known * 105)) ]; }; then
        echo "error: $load takes more than 5 % above $file; if that is meant, run bench/instructions.sh --write" >&2
        failed=1
    fi
done
if [ "${1:-}" = --write ]; then
    echo "$report" >"$file"
    echo "wrote $file"
fi
exit $failed
