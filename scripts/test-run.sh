#!/usr/bin/env bash
# Tests `make run`: it serves, and whatever ends it leaves no process and no file behind.
# CODIS_LOADTEST_BINARY names the program that starts it, with the others beside it, so that nothing is built here.
set -euo pipefail
set -m # each `make run` in a process group of its own, as in a terminal
cd "$(dirname "$0")/.."

: "${CODIS_LOADTEST_BINARY:?names codis-loadtest}"
export CODIS_LOADTEST_BINARY
admin=$(dirname "$CODIS_LOADTEST_BINARY")/codis-admin
# Make's own settings of an outer make must not reach the inner one.
unset MAKEFLAGS MFLAGS MAKELEVEL

scratch=$(mktemp -d)
mkdir "$scratch/tmp"
export TMPDIR="$scratch/tmp"
output="$scratch/output"
make_pid=
occupant=

# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
    [ -z "$make_pid" ] || kill -KILL -- "-$make_pid" 2>/dev/null || true
    [ -z "$occupant" ] || kill -KILL "$occupant" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT

fail() {
    printf 'FAILED: %s: %s\nmake run printed:\n' "$case" "$*" >&2
    cat "$output" >&2
    exit 1
}

listens() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# eventually WHAT COMMAND...: polls for up to 60 s.
eventually() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 1200; tries++)); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    fail "this did not happen: $what"
}

free_port() {
    local port
    for (( ; ; )); do
        port=$((20000 + RANDOM % 12000))
        listens "$port" || break
    done
    echo "$port"
}

all_is_printed() { grep -q '^Ctrl-C ends all of it' "$output"; }
is_gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
has_nothing() { [ -z "$(ls -A "$TMPDIR")" ]; }
is_silent() { ! listens "$1"; }

# Starts `make run` and reads off what it says.
start() {
    case=$1
    : >"$output"
    CODIS_RUN_PORT=$(free_port) CODIS_RUN_ADMIN_PORT=$(free_port) CODIS_RUN_META_PORT=$(free_port)
    [ -z "${2:-}" ] || CODIS_RUN_PORT=$2
    export CODIS_RUN_PORT CODIS_RUN_ADMIN_PORT CODIS_RUN_META_PORT
    # A shell that was started in the background ignores interrupts, and hands that on.
    env --default-signal=INT make --no-print-directory run <&- >"$output" 2>&1 &
    make_pid=$!
    eventually "make run is ready" starts_or_ends
    all_is_printed || fail "it ended"
    proxy_port=$(sed -n 's/^proxy *127.0.0.1:\([0-9]*\) .*/\1/p' "$output")
    proxy_pid=$(sed -n 's/^proxy .*, process \([0-9]*\))/\1/p' "$output")
    mapfile -t redis_ports < <(sed -n 's/^ *server [0-9]* 127.0.0.1:\([0-9]*\) .*/\1/p' "$output")
    [ ${#redis_ports[@]} -eq 2 ] || fail "two servers should be named"
    "$admin" "--meta=127.0.0.1:$CODIS_RUN_META_PORT" status >"$scratch/status" 2>&1 ||
        fail "codis-admin status: $(cat "$scratch/status")"
    local key
    for key in a b c d e f; do
        [ "$(redis-cli -p "$proxy_port" SET "$key" "value $key")" = OK ] || fail "SET $key"
        [ "$(redis-cli -p "$proxy_port" GET "$key")" = "value $key" ] || fail "GET $key"
    done
}
starts_or_ends() { all_is_printed || is_gone "$make_pid"; }

# Nothing of it is left, and it ended with an error, as a command that is interrupted does.
nothing_is_left() {
    eventually "make ends" is_gone "$make_pid"
    local code=0
    wait "$make_pid" 2>/dev/null || code=$?
    make_pid=
    [ "$code" -ne 0 ] || fail "it ended with 0"
    eventually "the proxy ends" is_gone "$proxy_pid"
    eventually "the first server ends" is_silent "${redis_ports[0]}"
    eventually "the second server ends" is_silent "${redis_ports[1]}"
    eventually "the folder is removed" has_nothing
    echo "ok: $case"
}

# The script, and then the program in its place, is make's only child.
script_pid() { tr -d ' ' <"/proc/$make_pid/task/$make_pid/children"; }

start "Ctrl-C ends all of it"
kill -INT -- "-$make_pid"
nothing_is_left

start "a TERM of make ends all of it"
kill -TERM "$make_pid"
nothing_is_left

start "a KILL of make ends all of it"
kill -KILL "$make_pid"
nothing_is_left

start "a KILL of the script ends all of it"
kill -KILL "$(script_pid)"
nothing_is_left

start "a server that dies is reported and ends all of it"
redis-cli -p "${redis_ports[1]}" SHUTDOWN NOSAVE >/dev/null 2>&1 || true
nothing_is_left
grep -q "error: server 2: it ended" "$output" || fail "the server is not named"

start "a proxy that dies is reported and ends all of it"
kill -KILL "$proxy_pid"
nothing_is_left
grep -q "error: proxy 1: it ended" "$output" || fail "the proxy is not named"

case="a port that is taken"
taken=$(free_port)
redis-server --port "$taken" --save "" --bind 127.0.0.1 >/dev/null 2>&1 &
occupant=$!
eventually "the port is taken" listens "$taken"
start "a port that is taken is said and another one is used" "$taken"
grep -q "port $taken is taken" "$output" || fail "nothing is said"
[ "$proxy_port" -ne "$taken" ] || fail "the proxy claims the taken port"
kill -TERM "$make_pid"
nothing_is_left
