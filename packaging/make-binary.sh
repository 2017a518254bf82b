#!/bin/bash
# make-binary.sh VENV: dist/mutt, one executable for glibc 2.28 and later, dist/mutt-ctl beside it, and its SBOM.
#
#   PYTHON_FOR_RELEASE   another Python than the release's own; the result then needs this machine's glibc, and
#                        the check of what it needs is left out. For a quick try: .venv/bin/python
#   SOURCE_DATE_EPOCH    date of the build: that of the last commit
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/$1
say() { echo "make binary: $*" >&2; }
work=$PWD/build/binary
mkdir -p "$work" dist

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
MUTT_BUILD_DATE=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
MUTT_COMMIT=$(git rev-parse HEAD 2>/dev/null || true)
# The same input shall give the same bytes: no order of hashes, no time but that of the commit, no locale.
export SOURCE_DATE_EPOCH MUTT_BUILD_DATE MUTT_COMMIT PYTHONHASHSEED=0 LC_ALL=C.UTF-8

if [ -n "${PYTHON_FOR_RELEASE:-}" ]; then
    python=$PYTHON_FOR_RELEASE
    say "with $($python --version) of this machine: not for release"
else
    if [ "$(. /etc/os-release && echo "${PLATFORM_ID:-}")" = platform:el8 ]; then
        base=$(command -v python3.12) || { say "python3.12 is missing: dnf install python3.12-devel"; exit 1; }
    else
        base=$(packaging/build-python.sh | tail -n 1)/bin/python3
    fi
    # Built anew only when the Python or the pins change.
    key=$({ echo "$base"; cat requirements/release.lock packaging/make-binary.sh; } | sha256sum | cut -c1-12)
    site=$work/venv-$key
    if [ ! -e "$site/.complete" ]; then
        say "packages for $($base --version)"
        rm -rf "$site"
        "$base" -m venv "$site"
        version=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        # Chosen for RHEL 8, not for this machine: pip would take wheels for a newer glibc. What is source only is
        # Python only.
        "$site/bin/python" -m pip --disable-pip-version-check -q install --require-hashes --no-deps \
            --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
            --platform manylinux_2_12_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64 \
            --python-version "$version" --implementation cp --prefer-binary \
            --target "$site/lib/python$version/site-packages" --upgrade -r requirements/release.lock
        touch "$site/.complete"
    fi
    python=$site/bin/python
fi

say "freezing"
rm -f dist/mutt
PYTHONPATH=$PWD/packaging "$python" -m PyInstaller --noconfirm --log-level WARN --distpath dist \
    --workpath "$work/pyinstaller" packaging/onefile.spec
ln -sfn mutt dist/mutt-ctl
if [ -z "${PYTHON_FOR_RELEASE:-}" ]; then
    "$venv/bin/python" packaging/elf_gate.py dist/mutt
fi
"$venv/bin/python" packaging/sbom.py dist/mutt dist/mutt.cdx.json
say "dist/mutt: $(($(stat -c %s dist/mutt) / 1000000)) MB, sha256 $(sha256sum dist/mutt | cut -c1-16)…"
