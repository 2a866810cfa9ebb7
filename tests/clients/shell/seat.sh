#!/bin/sh
# A seat in a council, held by a shell command: the prompt on stdin, the answer on stdout.
#
#   conclave seat --role DEV --name shell-guest --exec 'sh seat.sh'
#
# Where the answer must obey a JSON Schema (a ballot), that is in the environment; this one takes
# the first ranking that is allowed (with jq).
if [ -n "$CONCLAVE_RESPONSE_SCHEMA" ]; then
    printf %s "$CONCLAVE_RESPONSE_SCHEMA" |
        jq -c '.properties.ranking | {ranking: (.enum[0] // .items.enum), approve: []}'
else
    words=$(wc -w)
    echo "As $CONCLAVE_SEAT I have read $words words, and would answer with fewer."
fi
