"""Server programs that their user cannot reach are copied to where it can.

A wheel may be installed below a private folder (a checkout in /root, a 0700 home), and root's
servers run as an unprivileged user.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mutt_appliance.supervisor.folders import PUBLIC_MODE, make_folder, remove_folder
from mutt_appliance.supervisor.programs import VERSION_TIMEOUT_SECS, ProgramError, RunAs

LEFT_OUT = ("include", "pginstall18", "__pycache__", "*.a", "*.pyc")


def runnable_redis(program: Path, data_dir: Path, user: RunAs) -> Path:
    """`program`, or a copy of it below `data_dir`, whichever `user` can run."""
    if runs(program, user):
        return program
    folder = _copy_folder(data_dir, "redis", program)
    copy = folder / program.name
    if not copy.exists():
        _copy(folder, lambda new: _copy_file(program, new / program.name))
    return _check(copy, program, user)


def runnable_postgres(folder: Path, data_dir: Path, user: RunAs) -> Path:
    """The bin folder `folder`, or that of a copy of its tree below `data_dir`, whichever `user` can run."""
    if runs(folder / "postgres", user):
        return folder
    tree = folder.parent
    target = _copy_folder(data_dir, "postgres", folder / "postgres")
    copy = target / tree.parent.name / tree.name / folder.name
    if not copy.exists():
        # Wheels keep shared libraries in a folder beside the package, found by a relative path.
        libraries = tree.parent.with_name(f"{tree.parent.name}.libs")

        def fill(new: Path) -> None:
            _copy_tree(tree, new / tree.parent.name / tree.name)
            if libraries.is_dir():
                _copy_tree(libraries, new / libraries.name)

        _copy(target, fill)
    _check(copy / "postgres", folder / "postgres", user)
    return copy


def runs(program: Path, user: RunAs) -> bool:
    """True when `user` can run `program`: reachable, executable, its libraries found."""
    try:
        answer = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=VERSION_TIMEOUT_SECS,
            check=False,
            cwd="/",
            **user.popen_arguments,  # type: ignore[call-overload]
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return bool(answer.returncode == 0)


def _copy_folder(data_dir: Path, kind: str, program: Path) -> Path:
    """Folder of the copy, named after the very file, so that another version is copied anew."""
    stat = program.stat()
    stamp = hashlib.sha256(f"{program}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:12]
    return data_dir / "embedded-bin" / f"{kind}-{stamp}"


def _copy(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder and give it its name when it is complete; older copies of the kind go."""
    make_folder(target.parent, PUBLIC_MODE)
    kind = target.name.partition("-")[0]
    new = target.with_name(f"new-{target.name}")
    remove_folder(new)
    make_folder(new, PUBLIC_MODE)
    fill(new)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    for old in target.parent.glob(f"{kind}-*"):
        remove_folder(old)
    new.rename(target)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    target.chmod(PUBLIC_MODE)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))


def _check(copy: Path, program: Path, user: RunAs) -> Path:
    if runs(copy, user):
        return copy
    raise ProgramError(
        f"{program}: cannot be run by the user {user.user or 'that runs MUTT'}, and neither can its copy {copy}: "
        "see that the folders above it let that user in and allow execution (no noexec mount), "
        "or install the server as a package of the system"
    )
