"""The machine: clock, disks, memory, kernel settings, folder for unpacking, programs of embedded mode."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mutt_appliance.doctor.database import OLDEST as OLDEST_POSTGRES
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.programs import ask
from mutt_appliance.doctor.redis_store import OLDEST as OLDEST_REDIS
from mutt_appliance.supervisor.programs import (
    ProgramError,
    find_postgres_folder,
    find_redis_server,
    postgres_major_version,
)
from mutt_appliance.telemetry.disks import kept_folders, nearest

GIB = 1 << 30
FREE_PERCENT = 10.0
MEMORY_NEEDED_BYTES = 512 << 20
BACKLOG_NEEDED = 1024  # what the appliance asks listen(2) for
TIMEX_BYTES = 512  # struct timex of adjtimex(2) is 208 bytes on 64-bit machines
TIME_ERROR = 5  # <sys/timex.h>: the clock is not synchronised
UNPACK_FOLDER = Path("/run/mutt-unpack")


def check_clock(patient: Patient) -> Iterator[Finding]:
    """Whether the kernel's clock is kept by NTP, as adjtimex(2) says."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    yield judge_clock_state(state)


def judge_clock_state(state: int) -> Finding:
    """`state` is what adjtimex(2) returns."""
    if state < 0:
        return Finding(
            "clock.synchronised", "n/a", "the kernel does not say whether the clock is synchronised"
        )
    if state == TIME_ERROR:
        return Finding(
            "clock.synchronised",
            "warning",
            "the clock is not synchronised",
            "systemctl enable --now chronyd (in a container: on its host)",
        )
    return Finding("clock.synchronised", "ok", "the clock is synchronised")


def check_disks(patient: Patient) -> Iterator[Finding]:
    """Free space where MUTT, its stores and rsyslog write."""
    settings = patient.settings
    places = {**kept_folders(settings), "runtime": settings.mutt_runtime_dir, "log": Path("/var/log")}
    for name, folder in places.items():
        there = nearest(folder)
        try:
            space = os.statvfs(there)
        except OSError as error:
            yield Finding(f"disk.{name}", "warning", f"{there}: {error.strerror}", "run this as root")
            continue
        size, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
        yield judge_disk(
            f"disk.{name}",
            folder,
            size,
            free,
            read_only=bool(space.f_flag & os.ST_RDONLY),
            least_percent=settings.disk_warn_free_percent,
        )


def judge_disk(
    identity: str,
    folder: Path,
    size: int,
    free: int,
    *,
    read_only: bool,
    least_percent: float = FREE_PERCENT,
) -> Finding:
    """`size` and `free` in bytes; `least_percent` of it should be free."""
    if read_only:
        return Finding(identity, "error", f"{folder} is mounted read-only", "mount it for writing")
    share = free / size if size else 1.0
    seen = f"{folder}: {free / GIB:.1f} GiB free, {share:.0%}"
    # A small tmpfs such as /run never has a gibibyte.
    if share * 100 < least_percent or (free < GIB and size >= 4 * GIB):
        return Finding(identity, "warning", seen, "make room: a full disk stops the stores")
    return Finding(identity, "ok", seen)


def check_memory(patient: Patient) -> Iterator[Finding]:
    """Free memory, and the kernel settings that Redis and a busy port need."""
    yield from judge_kernel(
        available_bytes=_available_bytes(),
        overcommit=_read("/proc/sys/vm/overcommit_memory"),
        huge_pages=_read("/sys/kernel/mm/transparent_hugepage/enabled"),
        somaxconn=_read("/proc/sys/net/core/somaxconn"),
        embedded=patient.settings.embedded,
    )


def judge_kernel(
    *, available_bytes: int | None, overcommit: str, huge_pages: str, somaxconn: str, embedded: bool
) -> Iterator[Finding]:
    """The texts are those of the files below /proc and /sys, empty where there is none."""
    if available_bytes is not None:
        low = available_bytes < MEMORY_NEEDED_BYTES
        yield Finding(
            "memory.available",
            "warning" if low else "ok",
            f"{available_bytes / GIB:.1f} GiB of memory available",
            "stop what else runs here, or add memory" if low else "",
        )
    if somaxconn.isdigit() and int(somaxconn) < BACKLOG_NEEDED:
        yield Finding(
            "kernel.somaxconn",
            "warning",
            f"net.core.somaxconn = {somaxconn}: connections are refused in a burst",
            f"net.core.somaxconn = {BACKLOG_NEEDED} in /etc/sysctl.d/mutt.conf, then sysctl --system",
        )
    else:
        yield Finding("kernel.somaxconn", "ok", f"net.core.somaxconn = {somaxconn or 'unknown'}")
    if not embedded:
        return
    if overcommit == "1":
        yield Finding("kernel.overcommit", "ok", "vm.overcommit_memory = 1")
    else:
        yield Finding(
            "kernel.overcommit",
            "warning",
            f"vm.overcommit_memory = {overcommit or 'unknown'}: Redis may fail to rewrite its file",
            "vm.overcommit_memory = 1 in /etc/sysctl.d/mutt.conf, then sysctl --system",
        )
    if "[always]" in huge_pages:
        yield Finding(
            "kernel.huge_pages",
            "warning",
            "transparent huge pages are always on: Redis gets slow and large while it rewrites its file",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, and transparent_hugepage=madvise at boot",
        )
    else:
        yield Finding("kernel.huge_pages", "ok", "transparent huge pages are not forced on")


def check_unpacking(patient: Patient) -> Iterator[Finding]:
    """A one-file executable unpacks itself at each start, into a folder that must allow programs."""
    if not getattr(sys, "frozen", False):
        yield Finding("unpack.folder", "n/a", "this is not the one-file executable")
        return
    folder = UNPACK_FOLDER if os.access(UNPACK_FOLDER, os.W_OK) else Path(tempfile.gettempdir())
    yield judge_unpacking(folder, noexec=bool(os.statvfs(folder).f_flag & os.ST_NOEXEC))


def judge_unpacking(folder: Path, *, noexec: bool) -> Finding:
    """Whether programs of users may run from `folder`."""
    if noexec:
        return Finding(
            "unpack.folder",
            "error",
            f"{folder} is mounted noexec",
            f"join the group mutt, which may use {UNPACK_FOLDER}, or set TMPDIR to a folder that allows programs",
        )
    return Finding("unpack.folder", "ok", f"{folder} allows programs")


def check_programs(patient: Patient) -> Iterator[Finding]:
    """The server programs of embedded mode."""
    settings = patient.settings
    if not settings.embedded:
        yield Finding("embedded.programs", "n/a", "REDIS_HOST or DB_HOST is set: the stores are external")
        return
    try:
        server = find_redis_server(settings.embedded_redis_server)
        answer = ask(str(server), "--version")
        match = re.search(r"v=(\d+\.\d+)", answer.text if answer else "")
        yield judge_program(
            "embedded.redis", str(server), match and match.group(1), OLDEST_REDIS, "dnf module enable redis:6"
        )
    except ProgramError as error:
        yield Finding("embedded.redis", "error", str(error), "dnf module enable redis:6; dnf install redis")
    data_version: str | None = None
    try:
        data_version = _read(str(settings.mutt_data_dir / "postgres" / "PG_VERSION")) or None
        folder = find_postgres_folder(settings.embedded_postgres_bin_dir, data_version)
        yield judge_program(
            "embedded.postgres",
            str(folder),
            postgres_major_version(folder),
            (OLDEST_POSTGRES,),
            "dnf module enable postgresql:15",
        )
    except ProgramError as error:
        yield Finding("embedded.postgres", "error", str(error), "dnf install postgresql-server")


def judge_program(
    identity: str, where: str, version: str | None, oldest: tuple[int, ...], enable: str
) -> Finding:
    """Whether a server program is new enough; RHEL 8 has older ones unless a module stream is enabled."""
    if version is None:
        return Finding(identity, "error", f"{where} does not say its version", "install it again")
    if tuple(map(int, version.split("."))) < oldest:
        wanted = ".".join(map(str, oldest))
        advice = f"{wanted} or later is needed: {enable} before the package is installed"
        return Finding(identity, "error", f"{where}: version {version} is too old", advice)
    return Finding(identity, "ok", f"{where}, version {version}")


def _available_bytes() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
