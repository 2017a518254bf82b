"""A box: a real systemd as PID 1, on a throw-away copy of this machine's files, with its own network.

Everything written inside is in memory and gone with the box. It needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from tests.support.waiting import wait_until

BOOT_SECS = 60.0
STOP_SECS = 20.0
COMMAND_SECS = 60.0
CGROUP_ROOTS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"))
BOOT_SCRIPT = Path(__file__).with_name("box_boot.sh")
ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "SYSTEMD_PAGER=",
    "TERM=dumb",
)


class Box:
    """A context manager; `run` calls a program inside, as root or as `user`.

    `read_only` shows folders of this machine inside, by the path that they have there; of the rest,
    only what is on the root file system and not below /tmp or /run is seen.
    """

    def __init__(self, read_only: Mapping[Path, Path] | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutt-box-"))
        self._binds = [f"--bind-ro={here}:{there}" for here, there in (read_only or {}).items()]
        self._name = f"muttbox{os.getpid()}"
        self._cgroups = [root / self._name for root in CGROUP_ROOTS if root.is_dir()]
        self._console = (self._folder.with_suffix(".log")).open("wb")
        self._outer: subprocess.Popen[bytes] | None = None
        self._init: psutil.Process | None = None

    def __enter__(self) -> Self:
        for group in self._cgroups:
            group.mkdir(exist_ok=True)
        self._outer = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
                *("--mount-proc", str(BOOT_SCRIPT), str(self._folder), self._name, *self._binds),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._join_cgroups,
        )
        try:
            self._init = wait_until(self._find_init, BOOT_SECS, "the box has a PID 1")
            wait_until(self._booted, BOOT_SECS, "the box has booted")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(self, *arguments: str | Path, user: str | None = None) -> list[str]:
        """How to run `arguments` inside the box from outside."""
        assert self._init is not None
        as_user = ("runuser", "-u", user, "--") if user else ()
        return [
            *("nsenter", "--target", str(self._init.pid), "--all", "env", "-i", "--chdir=/", *ENVIRONMENT),
            *as_user,
            *map(str, arguments),
        ]

    def run(
        self,
        *arguments: str | Path,
        user: str | None = None,
        check: bool = True,
        timeout_secs: float = COMMAND_SECS,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; AssertionError with what it printed when it fails and `check`."""
        done = subprocess.run(
            self.command(*arguments, user=user),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_secs,
        )
        if check and done.returncode:
            raise AssertionError(f"{arguments} gave {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def output(self, *arguments: str | Path, user: str | None = None) -> str:
        """What the program prints, without the end of the line."""
        return self.run(*arguments, user=user).stdout.strip()

    def start(self, *arguments: str | Path, user: str | None = None) -> subprocess.Popen[str]:
        """Start it and come back; the caller ends it, or the box does."""
        return subprocess.Popen(
            self.command(*arguments, user=user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def write(self, path: str, text: str) -> None:
        """Make a file inside."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, stdin=text)

    def show(self, name: str, unit: str = "mutt.service") -> str:
        """A property of a unit."""
        return self.output("systemctl", "show", "-P", name, unit)

    def journal(self, unit: str = "mutt.service") -> str:
        """What the unit and systemd said."""
        return self.output("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def close(self) -> None:
        """End it and everything in it, without ceremony: nothing of it is kept."""
        if self._outer is not None:
            if self._outer.poll() is None:
                # unshare --kill-child: its child is PID 1 of all the rest.
                self._outer.kill()
            self._outer.wait(STOP_SECS)
        self._console.close()
        for group in self._cgroups:
            wait_until(lambda group=group: _removed(group), STOP_SECS, f"{group} is empty")  # type: ignore[misc]
        shutil.rmtree(self._folder, ignore_errors=True)
        Path(self._console.name).unlink(missing_ok=True)

    def _join_cgroups(self) -> None:
        for group in self._cgroups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _find_init(self) -> psutil.Process | None:
        """Below unshare: nspawn, PID 1 of the outer namespace; below that the box's own PID 1."""
        assert self._outer is not None
        if self._outer.poll() is not None:
            raise AssertionError(f"the box did not boot:\n{Path(self._console.name).read_text()[-3000:]}")
        for process in psutil.Process(self._outer.pid).children(recursive=True):
            try:
                if _pids_by_namespace(process.pid)[2:] == ["1"]:
                    return process
            except (OSError, psutil.NoSuchProcess):
                continue
        return None

    def _booted(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")


def _pids_by_namespace(pid: int) -> Sequence[str]:
    """Process ids in the namespaces from ours inwards, ours left out after the first: NSpid of proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("NSpid:")).split()[1:]


def _removed(group: Path) -> bool:
    """Remove an empty cgroup and those below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return False
    return True
