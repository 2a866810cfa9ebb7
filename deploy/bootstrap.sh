#!/bin/sh
# The door for a machine that has Python >= 3.11 (with venv) and sh, and nothing else:
#
#   sh deploy/bootstrap.sh RECIPE [ARGS...]     the same as `just RECIPE [ARGS...]`
#   sh deploy/bootstrap.sh                      lists the recipes
#
# It makes .venv in the checkout, puts uv and just into it (exact versions, checked by hash) and
# calls just. Nothing is installed outside .venv. CONCLAVE_PYTHON names the Python to use.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
venv=$root/.venv
marker=$venv/.conclave # holds the checkout's path: says that this .venv is ours, and not moved
tools=$root/deploy/setup/requirements-tools.txt
unset PYTHONHOME

die() {
    printf 'bootstrap: %s\n' "$@" >&2
    exit 1
}

# step NAME TEXT COMMAND...: one line with the time; on failure the end of the log.
step() {
    name=$1 text=$2 began=$(date +%s)
    shift 2
    printf '  %-9s %s' "$name" "$text"
    if "$@" >"$venv/bootstrap.log" 2>&1; then
        printf '  %d s\n' "$(($(date +%s) - began))"
        return
    fi
    printf '  FAILED\n' >&2
    tail -n 12 "$venv/bootstrap.log" | sed 's/^/    | /' >&2
    die "the step '$name' failed; the whole log: $venv/bootstrap.log" "$advice"
}

# Sets $python to the first usable interpreter, or says what is wrong with each.
find_python() {
    refused=''
    set -- python3 python3.14 python3.13 python3.12 python3.11 python
    [ -z "${CONCLAVE_PYTHON-}" ] || set -- "$CONCLAVE_PYTHON" # that one or none
    for python in "$@"; do
        path=$(command -v "$python") || continue
        version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
            continue
        case $version in
            3.1[1-4].*) "$python" -c 'import ensurepip, venv' 2>/dev/null && return
                why="$version, but without venv (Debian, Ubuntu: apt install python${version%.*}-venv)" ;;
            *) why="$version" ;;
        esac
        refused="$refused
  $path is $why"
    done
    die "no usable Python: 3.11 to 3.14 with venv is needed.${refused:-
  (there is no ${CONCLAVE_PYTHON:-python3} that starts)}" "Install one, or name it: CONCLAVE_PYTHON=/path/to/python3.12 sh deploy/bootstrap.sh ..."
}

# A .venv of ours that was moved or broken is made anew; one that is not ours is never removed.
if [ -e "$venv" ] && ! { [ -f "$marker" ] && [ "$(cat "$marker")" = "$root" ] &&
    "$venv/bin/python" -c 'import ensurepip, venv' 2>/dev/null; }; then
    [ -f "$marker" ] || die "$venv exists and was not made by this script." \
        "Move it away (or remove it) and try again: set-up would replace what is in it."
    echo "  .venv     belongs to another place or Python: made anew"
    rm -rf "$venv"
fi

if [ ! -e "$venv" ]; then
    find_python
    mkdir "$venv"
    printf '%s\n' "$root" >"$marker"
    advice="Is the disk full? Does '$python -m venv /tmp/x' work?"
    step python "$version ($path): .venv" "$python" -m venv "$venv"
fi

stamp=$(cksum <"$tools")
if [ "$(cat "$venv/.tools" 2>/dev/null)" != "$stamp" ]; then
    advice="The package registry must be reachable (pip's own configuration is used: PIP_INDEX_URL, PIP_CERT, PIP_PROXY ...)."
    step tools 'uv and just into .venv' env PIP_USER=0 "$venv/bin/python" -m pip install \
        --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$tools"
    printf '%s\n' "$stamp" >"$venv/.tools"
fi

[ "${1-}" = --prepare ] && exit # only .venv and the tools: what `just setup` asks for

PATH=$venv/bin:$PATH
export PATH
exec "$venv/bin/just" --justfile "$root/justfile" --working-directory "$root" "$@"
