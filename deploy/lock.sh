#!/bin/sh
# Writes requirements.lock and requirements-dev.lock: exact versions, hashes of every published file, for every
# supported Python and system, and no address of the registry they came from.
# Usage: deploy/lock.sh [--upgrade]   (without it, versions stay unless pyproject.toml demands otherwise)
set -eu
cd "$(dirname "$0")/.."

lock() {
    output=$1
    shift
    .venv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --group build --no-strip-extras --no-header --no-annotate --output-file "$output" "$@" >/dev/null
}

lock requirements.lock "$@"
# The same versions and more: what the tests run with is what people run.
lock requirements-dev.lock --extra dev --constraint requirements.lock
if grep -nE '://|^--|^ *#' requirements.lock requirements-dev.lock; then
    echo "The lines above do not belong in a lock: an address, an option or a comment." >&2
    exit 1
fi
