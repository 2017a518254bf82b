"""Secrets from systemd credentials (`LoadCredential=`, systemd.exec(5)): files in a folder for this service only.

One credential per secret, named like it (INGEST_API_KEY), or one called `mutt.secrets` with KEY=value
lines. systemd copies them as it starts the service, and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.errors import SecretsError
from mutt_appliance.secrets.file import read_lines

TOGETHER = "mutt.secrets"
# Where systemd keeps them while the service runs, for commands that root starts beside it.
OF_THE_SERVICE = Path("/run/credentials/mutt.service")


def credentials_folder(environ: Mapping[str, str], names: tuple[str, ...]) -> Path | None:
    """The folder of the credentials, None unless there is one with anything of ours in it."""
    given = environ.get("CREDENTIALS_DIRECTORY")
    if not given:
        return None
    try:
        ours = any((Path(given) / name).is_file() for name in (TOGETHER, *names))
    except PermissionError:
        # Another user's: then it is not for us.
        return None
    return Path(given) if ours else None


def read_credentials(folder: Path, names: tuple[str, ...]) -> Secrets:
    """The secrets in `folder`; one of its own name wins over a line of mutt.secrets. Raises SecretsError."""
    path = folder / TOGETHER
    try:
        values = read_lines(path)
        for name in names:
            path = folder / name
            if path.is_file():
                values[name] = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretsError(
            f"credential {path}: cannot be read: {error.strerror}: see LoadCredential= of the unit"
        ) from error
    except UnicodeDecodeError as error:
        raise SecretsError(
            f"credential {path}: is not UTF-8 text: write the value and nothing else"
        ) from error
    return Secrets.of(values)
