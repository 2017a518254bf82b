#!/bin/bash
# test-system.sh: Debian packages that the tests need beside the virtual environment.
set -euo pipefail
packages=()
need() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || packages+=("$2"); }
need redis-server redis-server
need redis-benchmark redis-tools
need rsyslogd rsyslog
need snmptrapd snmptrapd
need snmptrap snmp
need ip iproute2
need groff groff
need gpg gnupg
need systemd-nspawn systemd-container
need rpmbuild rpm
need dnf dnf
need createrepo_c createrepo-c
need rpmlint rpmlint
need dpkg-source dpkg-dev
need patch patch
need xz xz-utils
need chromium chromium
need promtool prometheus
need amtool prometheus-alertmanager
[ -e /usr/share/fonts/truetype/dejavu ] || packages+=(fonts-dejavu-core)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql)
[ ${#packages[@]} -eq 0 ] && exit 0
echo "make system: installing ${packages[*]}"
if ! command -v apt-get >/dev/null; then
    echo "make system: install by hand what provides: ${packages[*]}" >&2
    exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
# Servers are started by the tests, never by the packages.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
