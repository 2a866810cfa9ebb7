# Conclave's recipes. Without just: `sh deploy/bootstrap.sh RECIPE [ARGS...]`.
# Arguments go through to the program behind the recipe: `just test -k dispatcher -x`;
# "$@" keeps an argument with blanks in one piece
set positional-arguments

python := justfile_directory() / ".venv/bin/python"

# .venv's programs come first (conclave, nats-server, pytest, ruff, uv ...)
export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export VIRTUAL_ENV := justfile_directory() / ".venv"

[private]
default:
    @just --justfile "{{ justfile() }}" --list --unsorted

# set up .venv for this machine (NVIDIA GPU or not); seconds when nothing changed
[group('set-up')]
setup:
    @sh deploy/bootstrap.sh --prepare
    @"{{ python }}" deploy/setup/install.py

# the same before other recipes, silent when there is nothing to do
[private]
ready:
    @sh deploy/bootstrap.sh --prepare
    @"{{ python }}" deploy/setup/install.py --quiet

# make the locks again from pyproject.toml (--upgrade: newest versions)
[group('set-up')]
lock *args: ready
    "{{ python }}" deploy/setup/lock.py "$@"

# do the locks follow from pyproject.toml, pin everything by hash, and name no place?
[group('set-up')]
audit: ready
    "{{ python }}" deploy/setup/lock.py --check

# remove .venv and what tools left behind
[group('set-up')]
clean:
    rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
    rm -rf tests/contract/.fuzz tests/contract/node_modules tests/synadia/sdk/.venv
    rm -rf tests/bench/rivals/.venvs
    rm -rf tests/clients/.build tests/clients/node/node_modules
    find . -name __pycache__ -type d -prune -exec rm -rf {} +

# the main job: five councils of vLLM agents answer; own text: just demo TASK="..." ROLE=QA
[group('run')]
[script('sh')]
demo *args: ready
    # TASK="..." becomes --task "...", ROLE=QA --role QA and so on; flags pass as they are
    for word in "$@"; do
        shift
        case $word in
            TASK=* | ROLE=* | MODEL=* | ENGINE=*)
                flag=$(printf %s "${word%%=*}" | tr A-Z a-z)
                set -- "$@" "--$flag" "${word#*=}" ;;
            *) set -- "$@" "$word" ;;
        esac
    done
    exec conclave demo "$@"

# everything on this machine until Ctrl-C: nats-server, core actors, Ray, agents
[group('run')]
up *args: ready
    @exec conclave up "$@"

# ask a running Conclave: just ask "Which ...?" --role QA
[group('run')]
ask *args: ready
    @exec conclave ask "$@"

# format, and repair what can be repaired without a decision
[group('check')]
fmt: ready
    ruff format
    ruff check --fix

# ruff, broad rule set
[group('check')]
lint: ready
    ruff check
    ruff format --check

# mypy, strict on the four packages
[group('check')]
types: ready
    mypy

# write the contract as the code has it into deploy/contract (--release: freeze it as well)
[group('check')]
contract *args: ready
    @python deploy/contract/write.py "$@"

# everything that reads the code without running it
[group('check')]
check: lint types
    pytest -q tests/unit/test_imports.py

# the tests
[group('test')]
test *args: ready
    pytest "$@"

# the tests without those that take long or need the engine
[group('test')]
test-fast *args: ready
    pytest -m "not slow and not vllm" "$@"

# clients in Node, Go, C, shell, Python and the Synadia SDK on a running system; installs what they need
[group('test')]
test-clients *args: ready
    pytest tests/clients tests/synadia "$@"

# fuzz the message boundary with atheris: half a minute, or as libFuzzer's flags say
[group('test')]
fuzz *args: ready
    @test -d tests/contract/.fuzz || python -m pip install --quiet --target tests/contract/.fuzz \
        --require-hashes --requirement tests/contract/requirements-fuzz.txt
    @PYTHONPATH=tests/contract/.fuzz:. python tests/contract/fuzz.py "$@"

# the benchmarks that take minutes, or those named, then tests/bench/results/REPORT.md
[group('test')]
[script('sh')]
bench *args: ready
    python tests/bench/run.py "$@" && code=0 || code=$?
    python tests/bench/report.py
    exit $code

# all benchmarks at all their sizes, then the report: hours
[group('test')]
bench-full *args: ready
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" bench --full "$@"

# every protocol on closed questions at equal budgets, and one planted broken seat
[group('test')]
bench-protocols *args: ready
    python tests/bench/run.py protocols broken_seat "$@"

# the whole system in virtual time: just sim, just sim seeds=100000, just sim seed=107
[group('test')]
sim *args: ready
    python tests/simulation/run.py "$@"

# the fault table: nothing lost, doubled or late; recorded: just faults campaign kills=1000
[group('test')]
faults *args: ready
    python tests/faults/run.py "$@"

# load and a fault every minute: is everything flat? just soak minutes=30
[group('test')]
soak *args: ready
    python tests/faults/soak.py "$@"

# a burst of ten times what can be done: shed in time, nothing accepted lost or late
[group('test')]
overload *args: ready
    python tests/faults/overload.py "$@"

# train the bundled model
[group('model')]
train-nano *args: ready
    python deploy/models/train.py "$@"

# examine the bundled model
[group('model')]
eval-nano *args: ready
    python deploy/models/eval.py "$@"
