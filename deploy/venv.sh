#!/bin/sh
# Makes .venv what the locks say, installing only when something changed.
# Usage: deploy/venv.sh run|dev   (run: what Bellhop needs; dev: that and the tools to work on it)
set -eu
cd "$(dirname "$0")/.."
kind=$1
case $kind in
    run) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "usage: deploy/venv.sh run|dev" >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Bellhop needs Python 3.11 or newer, and none was found. Install it (Debian: apt-get install python3),"
    say "or say where it is: make PYTHON=/path/to/python3 $kind"
    return 1
}

# Debian packs the part of venv that installs pip separately.
need_ensurepip() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! command -v apt-get >/dev/null; then
        say "$1 cannot make virtual environments: its module ensurepip is missing."
        say "Install the package your system keeps it in, then run this again."
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        say "$1 cannot make virtual environments. Run:  sudo apt-get install $package   and then this again."
        return 1
    fi
    say "Installing $package"
    export DEBIAN_FRONTEND=noninteractive
    apt_get() { apt-get -qq -o DPkg::Lock::Timeout=900 "$@" </dev/null >/dev/null; }
    { apt_get install --yes --no-install-recommends "$package" 2>/dev/null; } || {
        apt_get update
        apt_get install --yes --no-install-recommends "$package"
    }
}

# What the environment was made from.
wanted() {
    "$1" -c 'import sys; print(sys.version)'
    cat "$lock" pyproject.toml deploy/venv.sh | cksum
}

# An environment that was moved is of no use: its scripts hold absolute paths.
works() { .venv/bin/python -c 'import pip' 2>/dev/null && grep -qF "$PWD/.venv" .venv/bin/activate; }

if works && [ "$(cat ".venv/made-$kind" 2>/dev/null)" = "$(wanted .venv/bin/python)" ]; then
    exit 0
fi

if ! works; then
    python=$(find_python)
    need_ensurepip "$python"
    say "Making .venv with $python"
    "$python" -m venv --clear .venv
fi
say "Installing the pinned packages of $lock into .venv"
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" </dev/null; }
pip install -qq --root-user-action=ignore --require-hashes --no-deps -r "$lock"
pip install -qq --root-user-action=ignore --no-deps --no-build-isolation -e .
wanted .venv/bin/python >".venv/made-$kind"
