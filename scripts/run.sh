#!/usr/bin/env bash
# `make run`: two Redis servers and the proxy in front of them, until Ctrl-C.
#
# Nothing outlives this script: its children get SIGKILL from the kernel when it dies, and a guard
# removes the folder. `make` itself dying ends the script (see BOUND in the Makefile).
# shellcheck disable=SC2317,SC2329 # what only the traps call looks unreachable
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null # it may be closed, and nothing here reads it

# For tests: another program in the proxy's place, built already.
proxy_binary=${CODIS_PROXY_BINARY:-}
proxy_port=${CODIS_RUN_PORT:-19000}
admin_port=${CODIS_RUN_ADMIN_PORT:-11080}

folder=
declare -A names=() # process id -> what it is
stopping=

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

stop_children() {
    local pid waited
    # The proxy first, so that it does not see its servers go.
    for pid in "${!names[@]}"; do
        if [ "${names[$pid]}" = codis-proxy ]; then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    for ((waited = 0; waited < 30; waited++)); do
        proxy_runs || break
        sleep 0.1
    done
    for pid in "${!names[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait "${!names[@]}" 2>/dev/null || true
}

proxy_runs() {
    local pid
    for pid in "${!names[@]}"; do
        if [ "${names[$pid]}" = codis-proxy ] && kill -0 "$pid" 2>/dev/null; then return 0; fi
    done
    return 1
}

finish() {
    local code=$1
    trap '' INT TERM HUP
    trap - EXIT
    stopping=yes
    stop_children
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$code"
}
trap 'finish $?' EXIT
trap 'finish 130' INT
trap 'finish 143' TERM
trap 'finish 129' HUP

# launch NAME LOG COMMAND...: starts a child that cannot outlive this script and that Ctrl-C in the
# terminal does not reach (the script ends its children in order). Sets `launched`.
launch() {
    local name=$1 log=$2
    shift 2
    setpriv --pdeathsig KILL -- setsid "$@" >"$log" 2>&1 8>&- &
    launched=$!
    names[$launched]=$name
}

# Waits for a child in a way that lets a signal's trap run at once.
run_interruptibly() {
    setpriv --pdeathsig TERM -- "$@" 8>&- &
    local pid=$!
    names[$pid]=$1
    local code=0
    wait "$pid" || code=$?
    unset "names[$pid]"
    return "$code"
}

listens() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Sets `port` to one that nothing listens on, below the range of outgoing connections.
free_port() {
    local tries
    for ((tries = 0; tries < 1000; tries++)); do
        port=$((20000 + RANDOM % 12000))
        listens "$port" || return 0
    done
    fail "no free port found on 127.0.0.1"
}

# wait_for_port PORT PID NAME LOG
wait_for_port() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        listens "$1" && return 0
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

scripts/install.sh redis-server=redis-server

if [ -z "$proxy_binary" ]; then
    command -v cargo >/dev/null || fail "cargo is not installed; see https://rustup.rs"
    say "building the proxy (the first time takes some minutes)"
    run_interruptibly cargo build --release --locked -p codis-proxy
    proxy_binary=${CARGO_TARGET_DIR:-target}/release/codis-proxy
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/codis-run.XXXXXX")
# The guard reads from a pipe whose other end only this script holds: it sees the end of the file when
# the script is gone, even by SIGKILL.
exec 8> >(
    trap '' INT TERM HUP
    cat >/dev/null
    rm -rf "$folder"
)

redis_ports=()
for number in 1 2; do
    started=
    for ((try = 0; try < 5 && ${#started} == 0; try++)); do
        free_port
        mkdir -p "$folder/redis-$number"
        launch "redis-server on port $port" "$folder/redis-$number.log" redis-server --port "$port" \
            --bind 127.0.0.1 --dir "$folder/redis-$number" --save "" --appendonly no
        if wait_for_port "$port" "$launched"; then
            started=yes
        else
            kill -KILL "$launched" 2>/dev/null || true
            unset "names[$launched]"
        fi
    done
    [ -n "$started" ] || fail "redis-server does not start: $(tail -n 3 "$folder/redis-$number.log")"
    redis_ports+=("$port")
done

{
    printf '['
    for ((slot = 0; slot < 1024; slot++)); do
        group=$((slot < 512 ? 1 : 2))
        [ "$slot" -eq 0 ] || printf ','
        printf '\n{"id":%d,"backend_addr":"127.0.0.1:%d","backend_addr_group_id":%d}' \
            "$slot" "${redis_ports[group - 1]}" "$group"
    done
    printf '\n]\n'
} >"$folder/slots.json"

if listens "$proxy_port"; then
    taken=$proxy_port
    free_port
    proxy_port=$port
    say "port $taken is taken by another program: the proxy listens on $proxy_port"
fi
if listens "$admin_port"; then
    taken=$admin_port
    free_port
    admin_port=$port
    say "port $taken is taken by another program: the admin port is $admin_port"
fi

cat >"$folder/proxy.toml" <<END
product_name = "codis-demo"
proto_type = "tcp4"
proxy_addr = "127.0.0.1:$proxy_port"
admin_addr = "127.0.0.1:$admin_port"
END

shards=$(nproc)
[ "$shards" -le 2 ] || shards=2
launch codis-proxy "$folder/proxy.out" "$proxy_binary" "--ncpu=$shards" -c "$folder/proxy.toml" \
    "--fillslots=$folder/slots.json"
proxy_pid=$launched
wait_for_port "$proxy_port" "$proxy_pid" ||
    fail "codis-proxy does not start: $(tail -n 5 "$folder/proxy.out")"

s=s
[ "$shards" -ne 1 ] || s=
cat <<END

codis-proxy runs on 127.0.0.1:$proxy_port with $shards shard$s (process $proxy_pid)
  slots    0 to  511 live on Redis 127.0.0.1:${redis_ports[0]}
  slots  512 to 1023 live on Redis 127.0.0.1:${redis_ports[1]}
  admin HTTP is on 127.0.0.1:$admin_port; configuration and logs are in $folder

What to try, in another terminal:
  redis-cli -p $proxy_port SET hello world
  redis-cli -p $proxy_port MGET hello a b c
  redis-cli -p $proxy_port SLOWLOG GET
  redis-benchmark -p $proxy_port -q -t get,set -P 16 -r 100000
  curl http://127.0.0.1:$admin_port/proxy
  curl http://127.0.0.1:$admin_port/metrics

Ctrl-C ends all of it.
END

# A signal that comes while this waits runs its trap at once. `wait -n` ends with the first child.
code=0
wait -n "${!names[@]}" || code=$?
[ -z "$stopping" ] || exit "$code"
for pid in "${!names[@]}"; do
    if ! kill -0 "$pid" 2>/dev/null; then
        log="$folder/proxy.out"
        [ "${names[$pid]}" = codis-proxy ] || log=$(ls "$folder"/redis-*.log)
        # shellcheck disable=SC2086 # several logs
        printf 'error: %s ended (status %d); its last words:\n%s\n' "${names[$pid]}" "$code" \
            "$(tail -n 5 $log)" >&2
    fi
done
exit 1
