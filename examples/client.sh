#!/bin/sh
# Creates a message over REST and reads it. Retries are idempotent: each call has its own key.
#
#   sh examples/client.sh http://127.0.0.1:8001 'my password'
#
# Needs curl and jq.
set -eu

url=$1 text=$2

call() { # PATH FIELDS
    curl --silent --show-error --fail-with-body --retry 5 --max-time 10 \
        --header 'Content-Type: application/json' --header "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
        --data "$2" "$url/api/v1/$1"
}

message=$(call create_message "$(jq --null-input --arg text "$text" '{text: $text, ttl: 3600}')")
call view_message "$(printf '%s' "$message" | jq '{id, access_token}')" | jq --raw-output .text
