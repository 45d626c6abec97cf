#!/usr/bin/env bash
# What the load generators themselves cost: CPU a request of codis-loadtest and of redis-benchmark on the same work, GETs
# of 50 clients against one Redis server, without and with a pipeline. Each has one thread.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-benchmark=redis-tools
program=${CODIS_LOADTEST_BINARY:-}
if [ -z "$program" ]; then
    cargo build --release --locked -p codis-loadtest
    program=${CARGO_TARGET_DIR:-target}/release/codis-loadtest
fi
rounds=${ROUNDS:-3}

scratch=$(mktemp -d)
port=$((20000 + RANDOM % 12000))
redis-server --port "$port" --bind 127.0.0.1 --dir "$scratch" --save "" --appendonly no >"$scratch/log" &
server=$!
trap 'kill -KILL "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
until redis-cli -p "$port" PING >/dev/null 2>&1; do
    kill -0 "$server" || { cat "$scratch/log" >&2 && exit 1; }
    sleep 0.05
done

# cpu REQUESTS COMMAND...: microseconds of CPU a request.
cpu() {
    local requests=$1
    shift
    TIMEFORMAT='%U %S'
    { time "$@" >/dev/null 2>"$scratch/errors"; } 2>&1 |
        awk -v n="$requests" '{ printf "%.3f", ($1 + $2) * 1e6 / n }'
}
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

echo "# CPU a request of the load itself"
echo
echo "GET, 50 clients, one thread, microseconds; medians of $rounds rounds."
echo
echo "| P | redis-benchmark | codis-loadtest | times as many a core |"
echo "|--:|--:|--:|--:|"
for depth in 1 16; do
    requests=400000
    [ "$depth" -eq 1 ] || requests=4000000
    for ((round = 0; round < rounds; round++)); do
        cpu "$requests" redis-benchmark -p "$port" -c 50 -P "$depth" -n "$requests" -t get -r 100000 -q >>"$scratch/theirs-$depth"
        echo >>"$scratch/theirs-$depth"
        cpu "$requests" "$program" run -t "127.0.0.1:$port" -c 50 -P "$depth" -n "$requests" --warmup 0s --mix get -q \
            >>"$scratch/ours-$depth"
        echo >>"$scratch/ours-$depth"
    done
    theirs=$(median <"$scratch/theirs-$depth")
    ours=$(median <"$scratch/ours-$depth")
    echo "| $depth | $theirs | $ours | $(awk -v a="$theirs" -v b="$ours" 'BEGIN { printf "%.2f", a / b }') |"
done
