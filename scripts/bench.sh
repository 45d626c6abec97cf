#!/usr/bin/env bash
# `make bench`: CPU and latencies beside whatever peers are installed, memory, what the load itself costs, and the engine in time.
# The tables go to the terminal, to bench/results/, and with FILL=1 into docs/performance.md, between the marks that are there
# for each part. More than half an hour; QUICK=1 takes two, to see that everything works. `scripts/bench.sh latency` runs one part
# alone: peers, latency, memory, load, engine or waiting.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-benchmark=redis-tools nutcracker=nutcracker
cargo build --release --locked --workspace --bins
bin=${CARGO_TARGET_DIR:-target}/release
mkdir -p bench/results
stamp=$(date -u +%Y%m%d-%H%M%S)
quick=${QUICK:-}
only=${1:-}

# fill PART FILE: replaces what stands between the part's marks in docs/performance.md.
fill() {
    local doc=docs/performance.md scratch
    scratch=$(mktemp)
    awk -v begin="<!-- bench: $1 -->" -v end="<!-- end: $1 -->" -v file="$2" '
        $0 == begin { print; print ""; while ((getline line < file) > 0) if (line !~ /^# /) print line; print ""; skip = 1 }
        $0 == end { skip = 0 }
        !skip && $0 != begin { print }' "$doc" | cat -s >"$scratch"
    mv "$scratch" "$doc"
}

# part NAME COMMAND...
part() {
    local name=$1 result=bench/results/$stamp-$1.md
    shift
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    {
        "$@"
        # shellcheck disable=SC2016 # Markdown's backquotes
        printf '\nMeasured on %s by `%s`.\n' "$(date -u +%Y-%m-%d)" "$*"
    } | tee "$result"
    [ -z "${FILL:-}" ] || fill "$name" "$result"
}

# A core of a virtual machine that halts is the host's until it is woken, and how long that takes is no property of a proxy. While
# latencies are measured idle cores poll for a while first, where the kernel can do that and this user may say so.
halt_poll=/sys/module/haltpoll/parameters/guest_halt_poll_ns
was=
awake() {
    [ -w "$halt_poll" ] || return 0
    was=$(cat "$halt_poll")
    trap asleep EXIT
    echo 200000 >"$halt_poll"
}
asleep() {
    [ -z "$was" ] || echo "$was" >"$halt_poll"
    was=
}

part peers "$bin/codis-bench-peers" --proxy "$bin/codis-proxy" --rounds 3 --percent "$([ -n "$quick" ] && echo 2 || echo 25)"
awake
part latency "$bin/codis-bench-latency" --proxy "$bin/codis-proxy" --plots docs/plots \
    --threads 2 --load-core 1 --rounds "$([ -n "$quick" ] && echo 3 || echo 201)"
asleep
part waiting "$bin/codis-bench-waiting" --proxy "$bin/codis-proxy" --rounds "$([ -n "$quick" ] && echo 1 || echo 5)"
part memory "$bin/codis-bench-memory" --proxy "$bin/codis-proxy"
export CODIS_LOADTEST_BINARY=$bin/codis-loadtest
part load scripts/bench-load.sh
part engine bench/engine.sh
