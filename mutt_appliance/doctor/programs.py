"""Programs of the system, asked in bounded time."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

PROGRAM_SECS = 2.5
SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Answer:
    """Exit code and everything that was printed."""

    code: int
    text: str


def find(program: str) -> str | None:
    """Full path of `program`; the folders for administrators are searched too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def ask(*command: str) -> Answer | None:
    """Run `command`; None when it is not there. Raises subprocess.TimeoutExpired."""
    program = find(command[0])
    if program is None:
        return None
    done = subprocess.run(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=system_environment(os.environ),
        timeout=PROGRAM_SECS,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode("utf-8", "replace"))


def system_environment(environ: os._Environ[str]) -> dict[str, str]:
    """The environment without what a one-file executable sets for its own libraries."""
    env = {**environ, "LC_ALL": "C"}
    env.pop("LD_LIBRARY_PATH", None)
    if original := env.pop("LD_LIBRARY_PATH_ORIG", ""):
        env["LD_LIBRARY_PATH"] = original
    return env
