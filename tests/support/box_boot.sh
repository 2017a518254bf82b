#!/bin/bash
# box_boot.sh FOLDER NAME [OPTION OF NSPAWN...]: systemd as PID 1 over a throw-away overlay of this machine's own /.
# Runs as PID 1 of a process and mount namespace of its own, so that all of it ends with this process.
set -euo pipefail
folder=$1 name=$2
shift 2
mount -t tmpfs -o size=3g,mode=755 tmpfs "$folder"
mkdir "$folder"/{upper,work,root}
root=$folder/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
: >"$root/etc/machine-id"
rm -f "$root/.dockerenv" "$root/usr/sbin/policy-rc.d"
# Nothing of this machine's own services; its journal stays its own.
rm -rf "$root"/etc/systemd/system/*.wants "$root/var/log/journal"
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/usr/lib/systemd/system-preset" "$root/etc/rpm" "$root/etc/yum.repos.d"
printf '[Journal]\nStorage=volatile\nForwardToSyslog=no\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/box.conf"
# As on Red Hat's family: bash is sh, packages enable nothing, rpm's database is in /var/lib/rpm.
ln -sfn bash "$root/usr/bin/sh"
rm -f "$root"/usr/lib/systemd/system-preset/*
echo 'disable *' >"$root/usr/lib/systemd/system-preset/99-box.preset"
echo '%_dbpath /var/lib/rpm' >"$root/etc/rpm/macros"
mkdir -p "$root/etc/dnf/vars"
echo 8 >"$root/etc/dnf/vars/releasever"
exec systemd-nspawn --quiet --directory="$root" --machine="$name" --boot --register=no --keep-unit \
    --private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe "$@" -- \
    systemd.unit=multi-user.target systemd.mask=timers.target systemd.mask=getty.target
