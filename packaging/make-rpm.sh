#!/bin/bash
# make-rpm.sh: dist/rpm/*.rpm out of the ready dist/mutt.
#   RELEASE=2              release number of the package
#   RPM_SIGN_KEY=name      sign with this key of gpg's
#   MUTT_BINARY, RPM_DIR   another executable, another folder
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(readlink -f "${MUTT_BINARY:-dist/mutt}")
out=${RPM_DIR:-dist/rpm}
release=${RELEASE:-1}
if ! [[ $release =~ ^[0-9][0-9A-Za-z.]*$ ]]; then
    echo "make rpm: RELEASE=$release: must begin with a digit and hold only digits, letters and dots" >&2
    exit 2
fi
if [ ! -x "$binary" ]; then
    echo "make rpm: $binary: there is no executable: make binary first" >&2
    exit 1
fi
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' mutt_appliance/__init__.py)
# Same input, same bytes: times of the last commit, where there is one.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/sources"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode=u+rw,go+r-w,a-st \
    --transform="s|^|mutt-$version/|" -czf "$work/sources/mutt-$version.tar.gz" \
    --exclude='*.py' --exclude=docs/pictures \
    systemd etc docs packaging/rpm LICENSE README.md CHANGELOG.md
cp --preserve=mode "$binary" "$work/sources/mutt"
touch -d "@$SOURCE_DATE_EPOCH" "$work/sources/mutt"
macros=()
if [ "$(rpm --eval '%{?_unitdir}')" = "" ]; then
    macros=("--load=packaging/rpm/macros.build")
fi
# A database of our own: that of a Debian machine may not even exist.
rpmbuild -bb --quiet "${macros[@]}" \
    --define "_topdir $work/top" --define "_sourcedir $work/sources" --define "_dbpath $work/db" \
    --define "_buildhost mutt.invalid" --define "use_source_date_epoch_as_buildtime 1" \
    --define "clamp_mtime_to_source_date_epoch 1" \
    --define "mutt_version $version" --define "mutt_release $release" packaging/rpm/mutt.spec
mkdir -p "$out"
for package in "$work"/top/RPMS/*/*.rpm; do
    if [ -n "${RPM_SIGN_KEY:-}" ]; then
        rpmsign --define "_dbpath $work/db" --define "_gpg_name $RPM_SIGN_KEY" \
            --define "__gpg $(command -v gpg)" --addsign "$package" >/dev/null
    fi
    cp "$package" "$out/"
    echo "make rpm: $out/${package##*/}"
done
