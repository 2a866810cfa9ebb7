#!/usr/bin/env bash
# A council's client in nothing but bash, over a TCP socket in NATS's text protocol; for servers
# without password and TLS.
#
#   client.sh ask '{"task_description": "How do we retry payments?", "role": "DEV"}'
#   client.sh call deliberation.list '{"limit": 5}'           any request
#   client.sh call --msgpack deliberation.list '\x81\xa5limit\x05'     its bytes, as printf has them;
#                                                             the reply comes in hexadecimal
#   client.sh watch 'deliberation.>'                          events, until Ctrl-C
#   client.sh decode FILE...                                  stored messages in JSON (needs jq)
#
# Every line it prints is a subject and a message. Exit codes: 1 refused, 2 nobody answered.
set -uo pipefail
export LC_ALL=C # ${#text} counts bytes, as NATS does

url=${NATS_URL:-nats://127.0.0.1:4222}
address=${url#nats://}
inbox=_INBOX.$$.$RANDOM$RANDOM

send() { printf "$@" >&3; }

# Connect, or return 1. Subscriptions are named by what they are for.
open() {
    { exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || return 1
    IFS= read -r _ <&3 || return 1 # INFO {...}
    send 'CONNECT {"verbose":false,"headers":true,"no_responders":true,"name":"bash"}\r\n'
    send 'SUB %s reply\r\n' "$inbox"
}

# request SUBJECT MESSAGE: publish it, to be answered on the inbox.
request() { send 'PUB %s %s %d\r\n%s\r\n' "$1" "$inbox" ${#2} "$2"; }

# Read one message into $subject, $sid, $headers and $body ($file: as it is, binary); 1: cut off.
receive() {
    local line size head=0 file=${1:-}
    while IFS= read -r line <&3; do
        line=${line%$'\r'}
        case $line in
            PING) send 'PONG\r\n' ;;
            PONG) echo watching >&2 ;; # the server has heard of all subscriptions
            -ERR*) echo "$line" >&2 ;;
            MSG\ * | HMSG\ *)
                set -f -- $line
                subject=$2 sid=$3 size=${!#} headers='' body=''
                if [ "$1" = HMSG ]; then
                    head=$(($# - 1)) head=${!head}
                    headers=$(head -c "$head" <&3)
                fi
                if [ -n "$file" ]; then
                    head -c $((size - head)) <&3 >"$file"
                else
                    body=$(head -c $((size - head)) <&3)
                fi
                IFS= read -r _ <&3 # the line's end
                return 0 ;;
        esac
    done
    return 1
}

header() { sed -n "s/^$1: *//p" <<<"$headers" | tr -d '\r'; }

# Print the reply that came; tell by the exit code whether it is one.
reply() {
    if [[ $headers == 'NATS/1.0 503'* ]]; then
        echo "$1: nobody listens there" >&2
        return 2
    fi
    printf '%s %s\n' "$1" "$body"
    local number
    number=$(header Nats-Service-Error-Code)
    [ -z "$number" ] && return 0
    echo "refused: $number $(header Nats-Service-Error)" >&2
    return 1
}

call() {
    request "$1" "${2-}"
    receive || return 2
    reply "$1"
}

call_msgpack() {
    local file head
    file=$(mktemp)
    printf 'NATS/1.0\r\nContent-Type: application/msgpack\r\n\r\n' >"$file"
    head=$(($(wc -c <"$file")))
    printf "$2" >>"$file"
    send 'HPUB %s %s %d %d\r\n' "$1" "$inbox" "$head" $(($(wc -c <"$file")))
    cat "$file" >&3
    send '\r\n'
    receive "$file" || return 2
    body=$(od -An -v -tx1 "$file" | tr -d ' \n')
    rm -f "$file"
    reply "$1"
}

# The outcome when it is there, also while the system behind NATS is coming back.
wait_for() {
    local result
    while :; do
        if open; then
            call deliberation.wait "{\"task_id\": \"$1\"}" 2>/dev/null
            result=$?
            [ $result != 2 ] && return $result
        fi
        sleep 0.2
    done
}

# Print the acknowledgement, all progress and the outcome of one deliberation.
ask() {
    local request=$1 task_id result
    if [[ $request =~ \"task_id\":\ *\"([A-Za-z0-9_-]+)\" ]]; then
        task_id=${BASH_REMATCH[1]}
    else
        task_id=sh-$$-$RANDOM$RANDOM # one's own id: known before anything happens
        request="{\"task_id\": \"$task_id\", ${request#*\{}"
    fi
    send 'SUB deliberation.progress.%s progress\r\n' "$task_id"
    for outcome in completed failed timeout cancelled; do
        send 'SUB deliberation.%s outcome-%s\r\n' "$outcome" "$outcome" # each a name of its own
    done
    request deliberation.request "$request"
    while receive; do
        case $sid in
            reply) reply deliberation.request || return ;;
            progress) printf '%s %s\n' "$subject" "$body" ;;
            outcome-*)
                if [[ $body == *"\"task_id\":\"$task_id\""* ]]; then
                    printf '%s %s\n' "$subject" "$body"
                    return 0
                fi ;;
        esac
    done
    wait_for "$task_id" # the connection was cut, and events pass by once
}

# Print what passes by on these subjects, for ever; what passes while it is cut off is missed.
watch() {
    while :; do
        for subject; do send 'SUB %s %s\r\n' "$subject" "$subject"; done
        send 'PING\r\n'
        while receive; do printf '%s %s\n' "$subject" "$body"; done
        until open; do sleep 0.2; done
    done
}

case ${1-} in
    decode)
        jq -r '"\(input_filename) \(tojson)"' "${@:2}" ;;
    ask | call | watch)
        open || { echo "no NATS at $url" >&2; exit 2; }
        if [ "${2-}" = --msgpack ]; then call_msgpack "$3" "$4"; else "$@"; fi ;;
    *)
        sed -n 's/^#   //p' "$0" ;;
esac
