"""Folders of the appliance: who owns them, who can reach them, who holds them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.config.faults import ConfigError, Fault
from mutt_appliance.supervisor.log_file import LOG_FOLDER
from mutt_appliance.supervisor.programs import ProgramError, RunAs
from mutt_appliance.telemetry.health import health_folder
from mutt_appliance.telemetry.metrics import metrics_folder

PUBLIC_MODE = 0o755
OWN_MODE = 0o750
PRIVATE_MODE = 0o700


def make_runtime_folder(settings: Settings) -> None:
    """The runtime folder with one for logs; raises ConfigError."""
    runtime = settings.mutt_runtime_dir
    try:
        make_folder(runtime, PUBLIC_MODE)
        make_folder(runtime / LOG_FOLDER, OWN_MODE)
    except OSError as error:
        raise _unusable("MUTT_RUNTIME_DIR", runtime, error) from error


def make_telemetry_folders(settings: Settings, roles: Iterable[str]) -> None:
    """Empty folders for health and metrics; raises ConfigError.

    Only for who holds the pid file's lock: what is in them may belong to an appliance that runs.
    """
    runtime = settings.mutt_runtime_dir
    try:
        for folder in (health_folder(runtime), *(metrics_folder(runtime, role) for role in roles)):
            make_folder(folder, OWN_MODE)
            for leftover in folder.iterdir():
                if leftover.is_file():
                    leftover.unlink()
    except OSError as error:
        raise _unusable("MUTT_RUNTIME_DIR", runtime, error) from error


def make_data_folder(settings: Settings) -> None:
    """The data folder; raises ConfigError."""
    try:
        make_folder(settings.mutt_data_dir, PUBLIC_MODE)
    except OSError as error:
        raise _unusable("MUTT_DATA_DIR", settings.mutt_data_dir, error) from error


def make_folder(path: Path, mode: int) -> None:
    """Make `path` and its parents; `mode` is for `path` if it is new, whatever the umask."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir()
    path.chmod(mode)


def make_private_folder(path: Path, owner: RunAs) -> None:
    """A folder that only `owner` may enter; what another user left in it becomes the owner's.

    Raises ProgramError when it belongs to somebody else and we may not change that.
    """
    try:
        make_folder(path, PRIVATE_MODE)
        uid = os.geteuid() if owner.uid is None else owner.uid
        if path.stat().st_uid != uid:
            _give_all(path, owner)
        path.chmod(PRIVATE_MODE)
    except OSError as error:
        raise ProgramError(
            f"{path}: cannot be used by {owner.user or 'this user'}: {error.strerror}: "
            "give it to that user (chown -R), or choose another folder"
        ) from error


def _give_all(path: Path, owner: RunAs) -> None:
    """chown -R, through descriptors so that nobody can swap a folder for a link on the way."""
    if owner.uid is None or owner.gid is None:
        raise PermissionError(1, "it belongs to another user")
    for _, folders, files, descriptor in os.fwalk(path):
        os.chown(descriptor, owner.uid, owner.gid)
        for name in (*folders, *files):
            os.chown(name, owner.uid, owner.gid, dir_fd=descriptor, follow_symlinks=False)


def check_reachable(path: Path, variable: str, owner: RunAs) -> None:
    """Raise ProgramError, naming the folder to blame, unless `owner` can enter `path`."""
    for folder in (*reversed(path.parents), path):
        if not can(owner, "-x", folder):
            raise ProgramError(
                f"{variable}={path}: the user {owner.user}, who runs the embedded servers, cannot enter {folder}: "
                f"allow it (chmod o+x {folder}), or choose a folder that it can reach"
            )


def can(owner: RunAs, operation: str, path: Path) -> bool:
    """Ask the system whether `owner` may do `operation` (-x, -r, -w of test(1)) on `path`."""
    answer = subprocess.run(
        ["test", operation, str(path)],
        check=False,
        stdin=subprocess.DEVNULL,
        cwd="/",
        **owner.popen_arguments,  # type: ignore[call-overload]
    )
    return bool(answer.returncode == 0)


def hold(lock: Path) -> int:
    """Take the lock of a data folder; the descriptor is for the server that works on it.

    The server inherits the descriptor, and so do its own children: the lock is free again when the
    last of them is gone, however the one before us ended. Raises ProgramError while it is taken.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ProgramError(
            f"{lock}: is held by a server that still runs on this data{_holders(lock)}: "
            "it is waited for; end it if it belongs to no appliance"
        ) from error
    return descriptor


def _holders(path: Path) -> str:
    """Process ids with `path` open, as far as we may look."""
    target = path.stat()
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(os.path.samestat(fd.stat(), target) for fd in (entry / "fd").iterdir()):
                pids.append(entry.name)
        except OSError:
            continue
    pids = [pid for pid in pids if pid != str(os.getpid())]
    return f" (process {', '.join(pids)})" if pids else ""


def remove_folder(path: Path) -> None:
    """rm -r, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def _unusable(variable: str, path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        [
            Fault(
                variable,
                str(path),
                f"cannot be used: {error.strerror}",
                "choose a folder that the user who runs MUTT may write to",
            )
        ]
    )
