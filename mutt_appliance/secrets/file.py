"""Secrets from a 0600 file of KEY=value lines; missing API keys are made and written there."""

from __future__ import annotations

import os
import secrets as random_source
import stat
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.errors import SecretsError

GENERATED = ("INGEST_API_KEY", "MOOG_API_KEY", "WEBUI_API_KEY")
KEY_BYTES = 32


def load_secrets_file(path: Path) -> Secrets:
    """Read the secrets, making the file and any missing API key first.

    Raises SecretsError when others may read the file, or when it cannot be read or written.
    """
    try:
        if path.exists():
            _refuse_if_readable_by_others(path)
        values = read_lines(path)
        missing = [name for name in GENERATED if not values.get(name)]
        if missing:
            made = {name: random_source.token_urlsafe(KEY_BYTES) for name in missing}
            _append(path, made)
            # Two appliances may start on one file at once: what the file says counts.
            values = read_lines(path)
    except OSError as error:
        raise SecretsError(
            f"MUTT_SECRETS_FILE={path}: cannot be used: {error.strerror}: make it readable and writable for the user "
            "that runs MUTT, mode 0600; commands are for that user and root"
        ) from error
    except UnicodeDecodeError as error:
        raise SecretsError(
            f"MUTT_SECRETS_FILE={path}: is not UTF-8 text: write KEY=value lines into it"
        ) from error
    return Secrets.of(values)


def read_secrets_file(path: Path) -> Secrets:
    """Read the secrets that are there; nothing is made or written. Raises SecretsError."""
    try:
        _refuse_if_readable_by_others(path)
        return Secrets.of(read_lines(path))
    except OSError as error:
        remedy = (
            "run this as root or as the user that runs MUTT"
            if isinstance(error, PermissionError)
            else "start MUTT once to make it, or name the right file"
        )
        raise SecretsError(f"MUTT_SECRETS_FILE={path}: cannot be read: {error.strerror}: {remedy}") from error
    except UnicodeDecodeError as error:
        raise SecretsError(
            f"MUTT_SECRETS_FILE={path}: is not UTF-8 text: write KEY=value lines into it"
        ) from error


def _refuse_if_readable_by_others(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SecretsError(
            f"MUTT_SECRETS_FILE={path}: mode {mode:04o} lets others read it: chmod 0600 {path}"
        )


def read_lines(path: Path) -> dict[str, str]:
    """KEY=value lines; the first value of each name, so that a key that another process added does not replace ours.

    Raises OSError and UnicodeDecodeError; a file that is not there has no lines.
    """
    if not path.exists():
        return {}
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        for name, value in _parse_line(line).items():
            if value:
                values.setdefault(name, value)
    return values


def _parse_line(line: str) -> dict[str, str]:
    return {k: v for k, v in dotenv_values(stream=StringIO(line), interpolate=False).items() if v}


def _append(path: Path, made: dict[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = _opened(path)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        if file.tell() > 0 and not path.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")
        file.write("".join(f"{name}={value}\n" for name, value in made.items()))


def _opened(path: Path) -> int:
    try:
        # O_EXCL follows no link, so that what is given away below is a file made here and nothing else.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, os.O_WRONLY | os.O_APPEND)
    if os.geteuid() == 0:
        # Made by a command of root before the first start, it must be the service's all the same.
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor
