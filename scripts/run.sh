#!/usr/bin/env bash
# `make run`: two Redis servers and a proxy with a member of the metadata group inside, set up by codis-admin
# as an operator would, until Ctrl-C.
#
# Nothing outlives this script: its children get SIGKILL from the kernel when it dies, and a guard
# removes the folder. `make` itself dying ends the script (see BOUND in the Makefile).
# shellcheck disable=SC2317,SC2329 # what only the traps call looks unreachable
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null # it may be closed, and nothing here reads it

# For tests: programs that are built already.
proxy_binary=${CODIS_PROXY_BINARY:-}
admin_binary=${CODIS_ADMIN_BINARY:-}
proxy_port=${CODIS_RUN_PORT:-19000}
admin_port=${CODIS_RUN_ADMIN_PORT:-11080}
meta_port=${CODIS_RUN_META_PORT:-18080}

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

if [ -z "$proxy_binary" ] || [ -z "$admin_binary" ]; then
    command -v cargo >/dev/null || fail "cargo is not installed; see https://rustup.rs"
    say "building codis-proxy and codis-admin (the first time takes some minutes)"
    run_interruptibly cargo build --release --locked -p codis-proxy -p codis-meta --bins
    built=${CARGO_TARGET_DIR:-target}/release
    proxy_binary=${proxy_binary:-$built/codis-proxy}
    admin_binary=${admin_binary:-$built/codis-admin}
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

# choose_port VARIABLE WHAT: another port in the variable where its own is taken.
choose_port() {
    local taken=${!1}
    listens "$taken" || return 0
    free_port
    printf -v "$1" %d "$port"
    say "port $taken is taken by another program: $2 listens on $port"
}
choose_port proxy_port "the proxy"
choose_port admin_port "its admin port"
choose_port meta_port "the metadata group"

cat >"$folder/proxy.toml" <<END
product_name = "codis-demo"
proto_type = "tcp4"
proxy_addr = "127.0.0.1:$proxy_port"
admin_addr = "127.0.0.1:$admin_port"
data_dir = "$folder/proxy"

[meta]
embedded = true
admin_addr = "127.0.0.1:$meta_port"
data_dir = "$folder/meta"
END

shards=$(nproc)
[ "$shards" -le 2 ] || shards=2
launch codis-proxy "$folder/proxy.out" "$proxy_binary" "--ncpu=$shards" -c "$folder/proxy.toml"
proxy_pid=$launched
wait_for_port "$proxy_port" "$proxy_pid" ||
    fail "codis-proxy does not start: $(tail -n 5 "$folder/proxy.out")"

# What an operator does with a new product: groups, their servers, their slots.
admin() {
    run_interruptibly "$admin_binary" "--meta=127.0.0.1:$meta_port" "$@" >"$folder/admin.out" 2>&1 ||
        fail "codis-admin $*: $(tail -n 5 "$folder/admin.out")"
}
for group in 1 2; do
    admin group create --gid "$group"
    admin group add --gid "$group" --addr "127.0.0.1:${redis_ports[group - 1]}"
done
admin slots assign --beg 0 --end 511 --gid 1
admin slots assign --beg 512 --end 1023 --gid 2

s=s
[ "$shards" -ne 1 ] || s=
cat <<END

codis-proxy runs on 127.0.0.1:$proxy_port with $shards shard$s (process $proxy_pid)
  slots    0 to  511 live on Redis 127.0.0.1:${redis_ports[0]} (group 1)
  slots  512 to 1023 live on Redis 127.0.0.1:${redis_ports[1]} (group 2)
  the metadata group is the proxy's own member on 127.0.0.1:$meta_port
  admin HTTP is on 127.0.0.1:$admin_port; configuration and logs are in $folder

What to try, in another terminal:
  redis-cli -p $proxy_port SET hello world
  redis-cli -p $proxy_port MGET hello a b c
  redis-cli -p $proxy_port SLOWLOG GET
  redis-benchmark -p $proxy_port -q -t get,set -P 16 -r 100000
  curl http://127.0.0.1:$admin_port/metrics

  export CODIS_META=127.0.0.1:$meta_port
  $admin_binary status
  $admin_binary group list
  $admin_binary slots offline --beg 0 --end 15 --confirm
  $admin_binary slots assign --beg 0 --end 15 --gid 2
  $admin_binary proxy list
  curl http://127.0.0.1:$meta_port/topom

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
