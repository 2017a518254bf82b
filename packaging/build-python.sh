#!/bin/bash
# build-python.sh: a CPython for the release binary that needs no glibc newer than RHEL 8's 2.28.
#
# Prints the folder of the Python on its last line. It is built once, about 6 minutes on two cores, from
# the source packages of Debian that this machine's apt can reach, by zig's C compiler, which links
# against glibc 2.28 wherever it runs. What CPython needs beside glibc is linked in statically and hidden,
# so that it cannot clash with the copies that wheels bring.
#
#   PYTHON_BUILD_CACHE where it is kept: ${XDG_CACHE_HOME:-~/.cache}/mutt
set -euo pipefail

script=$(readlink -f "$0")
key=$(sha256sum "$script" | cut -c1-12)
cache=${PYTHON_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mutt}
home=$cache/python-$key
if [ -x "$home/bin/python3" ]; then
    echo "$home"
    exit 0
fi

ZIG_VERSION=0.17.1
TARGET=x86_64-linux-gnu.2.28
say() { echo "build-python: $*" >&2; }
die() {
    say "$*"
    exit 1
}
for tool in apt-get dpkg-source make patch perl xz; do
    command -v $tool >/dev/null || die "$tool is missing: run packaging/test-system.sh, or install dpkg-dev, make, patch, perl and xz-utils"
done
[ "$(uname -m)" = x86_64 ] || die "$(uname -m): only x86_64 is built"

work=$cache/build-$key
mkdir -p "$cache"
rm -rf "$work"
mkdir -p "$work"/{bin,src,build,deps/include,deps/lib,logs,apt/lists/partial,apt/cache/archives/partial}
deps=$work/deps

# Runs a step with its output in a log of its own; the log is shown when it fails.
step() {
    local name=$1
    shift
    say "$name"
    # Not inside `if`: bash would forget -e in all that the step calls.
    local status=0
    set +e
    (
        set -e
        "$@"
    ) >"$work/logs/$name.log" 2>&1
    status=$?
    set -e
    [ $status -eq 0 ] && return
    tail -n 30 "$work/logs/$name.log" >&2
    die "$name failed: the whole log is $work/logs/$name.log"
}

# --- the compiler
install_zig() {
    python3 -m venv "$work/zig"
    "$work/zig/bin/python" -m pip --disable-pip-version-check install -q "ziglang==$ZIG_VERSION"
    local zig
    zig=$(echo "$work"/zig/lib/python3*/site-packages/ziglang/zig)
    wrapper() {
        {
            echo '#!/bin/sh'
            echo "ZIG_GLOBAL_CACHE_DIR='$work/zig/cache' ZIG_LOCAL_CACHE_DIR='$work/zig/cache'"
            echo 'export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR'
            echo "exec '$zig' $2 \"\$@\""
        } >"$work/bin/$1"
        chmod 755 "$work/bin/$1"
    }
    wrapper cc "cc -target $TARGET -Wno-error=date-time"
    wrapper c++ "c++ -target $TARGET -Wno-error=date-time"
    wrapper ar ar
    wrapper ranlib ranlib
}
step zig install_zig
export CC=$work/bin/cc CXX=$work/bin/c++ AR=$work/bin/ar RANLIB=$work/bin/ranlib

# --- the sources
own_apt() {
    local command=$1
    shift
    "$command" -qq -o Dir::Etc::sourcelist="$work/apt/sources.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
read_index() {
    local mirror
    mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+:\/\//) { print $i; exit } }' /etc/apt/sources.list)
    printf '%s\n' 'Types: deb-src' "URIs: $mirror" 'Suites: trixie trixie-updates bookworm bookworm-updates' \
        'Components: main' 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$work/apt/sources.sources"
    own_apt apt-get update
}
# unpack PACKAGE VERSIONS PATCHES: the newest version that begins with VERSIONS and that the mirror really has
# (its index may be ahead of its files), with those of Debian's patches whose name matches PATCHES.
unpack() {
    local package=$1 wanted=$2 patches=$3 version found=""
    cd "$work/src"
    for version in $(own_apt apt-cache showsrc --only-source "$package" | sed -n 's/^Version: //p' | sort -Vru); do
        [[ ${version#*:} == "$wanted"* ]] || continue
        if own_apt apt-get source --only-source --download-only "$package=$version"; then
            found=$version
            break
        fi
        echo "$package $version cannot be had, trying the one before it"
    done
    [ -n "$found" ] || return 1
    dpkg-source -q --skip-patches -x "${package}_${found#*:}.dsc" "$package"
    [ -n "$patches" ] || return 0
    cd "$package"
    local name
    for name in $(sed 's/#.*//' debian/patches/series | grep -E "$patches"); do
        patch -s -p1 <"debian/patches/$name"
    done
}
step index read_index
for package in zlib bzip2 xz-utils sqlite3; do
    step "source-$package" unpack $package '' ''
done
# Later ones come without a configure script.
step source-libffi unpack libffi 3.4.4 ''
step source-openssl unpack openssl '' '.'
step source-python unpack python3.13 '' '^CVE-'

# --- the libraries, static
flags="-O2 -g0 -fPIC -fvisibility=hidden"
jobs=-j$(nproc)
static=(--prefix="$deps" --disable-shared --enable-static --with-pic)
in_copy() {
    cp -a "$work/src/$1" "$work/build/$1"
    cd "$work/build/$1"
}
build_zlib() {
    in_copy zlib
    CFLAGS=$flags ./configure --prefix="$deps" --static
    make "$jobs" libz.a
    make install
}
build_bzip2() {
    in_copy bzip2
    make "$jobs" libbz2.a CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$flags -D_FILE_OFFSET_BITS=64"
    cp libbz2.a "$deps/lib"
    cp bzlib.h "$deps/include"
}
build_xz() {
    in_copy xz-utils
    ./configure "${static[@]}" --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-scripts \
        --disable-doc --disable-nls --enable-symbol-versions=no CFLAGS="$flags"
    make "$jobs"
    make install
}
build_libffi() {
    in_copy libffi
    ./configure "${static[@]}" --disable-docs --disable-multi-os-directory \
        CFLAGS="$flags -Wno-error=implicit-function-declaration"
    make "$jobs"
    make install
}
build_sqlite() {
    in_copy sqlite3
    ./configure "${static[@]}" --disable-readline --disable-tcl CFLAGS="$flags"
    make sqlite3.c sqlite3.h
    # shellcheck disable=SC2086
    "$CC" $flags -DSQLITE_THREADSAFE=1 -c sqlite3.c -o sqlite3.o
    "$AR" rcs "$deps/lib/libsqlite3.a" sqlite3.o
    cp sqlite3.h "$deps/include"
    find . -name sqlite3ext.h -exec cp {} "$deps/include" \; -quit
}
build_openssl() {
    in_copy openssl
    # The folder where RHEL keeps its certificates; no engines and providers to be loaded from files.
    # shellcheck disable=SC2086
    ./Configure linux-x86_64 --prefix="$deps" --libdir=lib --openssldir=/etc/pki/tls \
        no-shared no-module no-tests no-docs no-apps no-dso $flags
    make "$jobs" build_libs
    make install_dev
}
for library in zlib bzip2 xz libffi sqlite openssl; do
    step $library build_$library
done

# --- CPython
build_python() {
    cd "$work/src/python3.13"
    # zig's linker knows -soname but not its short form -h, and makes no library out of no object at all.
    sed -i -e 's/-Wl,-h\$(INSTSONAME)/-Wl,-soname,$(INSTSONAME)/' \
        -e 's/-Wl,-h\$@ \$^/-Wl,-soname,$@ $(srcdir)\/Modules\/no_code.c $^/' Makefile.pre.in
    : >Modules/no_code.c
    mkdir -p "$work/build/python"
    cd "$work/build/python"
    PKG_CONFIG_LIBDIR=$deps/lib/pkgconfig "$work/src/python3.13/configure" --prefix="$home" \
        --enable-shared --with-computed-gotos --with-ensurepip=install --disable-test-modules \
        --without-static-libpython --without-readline --with-openssl="$deps" --with-openssl-rpath=no \
        CPPFLAGS="-I$deps/include" LDFLAGS="-L$deps/lib -Wl,-Bsymbolic" LDFLAGS_NODIST="-Wl,-rpath,\\\$\$ORIGIN/../lib" \
        OPT='-DNDEBUG -O3 -g0 -Wall -fno-semantic-interposition -fno-plt' \
        BZIP2_CFLAGS="-I$deps/include" BZIP2_LIBS="-L$deps/lib -lbz2" \
        LIBLZMA_CFLAGS="-I$deps/include" LIBLZMA_LIBS="-L$deps/lib -llzma"
    make "$jobs"
    # Into a folder beside it, so that a broken build is never taken for a Python.
    make install DESTDIR="$work/stage"
}
check_python() {
    LD_LIBRARY_PATH=$work/stage$home/lib PYTHONHOME=$work/stage$home "$work/stage$home/bin/python3" -c '
import bz2, ctypes, lzma, multiprocessing.synchronize, sqlite3, ssl, sys, zlib
print(sys.version, ssl.OPENSSL_VERSION, sqlite3.sqlite_version, zlib.ZLIB_VERSION)'
}
step python build_python
step check check_python
# What was built from what, for the list of components.
(cd "$work/src" && for dsc in *.dsc; do echo "${dsc%.dsc}"; done) >"$work/stage$home/sources.txt"
rm -rf "$home"
mv "$work/stage$home" "$home"
rm -rf "$work"
say "done: $(LC_ALL=C "$home/bin/python3" --version) in $home"
echo "$home"
