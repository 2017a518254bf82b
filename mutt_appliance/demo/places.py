"""Where a demonstration lives: its folder, its ports, its settings."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutt_appliance.config import Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.config.loading import SECRET_NAMES
from mutt_appliance.supervisor.pidfile import running_pid

LOOPBACK: Final = "127.0.0.1"
RECEIVER_PORT: Final = 8099
# What listens, by its setting, as it is called in the list of addresses.
PORTS: Final[dict[str, str]] = {
    "server_port_ingestor": "events in",
    "server_port_webui": "web UI",
    "metrics_port_alerter": "alerter metrics",
    "health_port_alerter": "alerter health",
    "metrics_port_moog": "forwarder metrics",
    "health_port_moog": "forwarder health",
}
FOLDER_PREFIX: Final = "mutt-demo-"
# Tried after $TMPDIR: everybody may enter these.
SHARED_FOLDERS: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the folder inside gets a random name


class FolderError(Exception):
    """No folder for the demonstration; the text names it and the way out."""


@dataclass(frozen=True)
class Places:
    """Folder, ports (by setting) and remarks about ports that had to be others than usual."""

    folder: Path
    ports: Mapping[str, int]
    receiver_port: int
    remarks: tuple[str, ...]

    @property
    def env_file(self) -> Path:
        """Settings of the appliance, for `mutt --env-file`."""
        return self.folder / "mutt.env"

    @property
    def secrets_file(self) -> Path:
        """API keys, made for this demonstration."""
        return self.folder / "mutt.secrets"

    @property
    def log_file(self) -> Path:
        """What the appliance logs."""
        return self.folder / "mutt.log"

    def url(self, field: str, path: str) -> str:
        """Address of `path` on the port of a setting."""
        return f"http://{LOOPBACK}:{self.ports[field]}{path}"


def choose_places(folder: Path) -> Places:
    """Ports that are free at the moment: the usual ones where possible."""
    ports: dict[str, int] = {}
    remarks = []
    taken: set[int] = set()
    wanted = {field: int(Settings.model_fields[field].default) for field in PORTS}
    for field, usual in {**wanted, "receiver": RECEIVER_PORT}.items():
        port = usual if is_free(usual) else free_port(taken | set(wanted.values()))
        taken.add(port)
        ports[field] = port
        if port != usual:
            remarks.append(f"port {usual} is in use: {PORTS.get(field, 'Moogsoft stand-in')} is on {port}")
    receiver = ports.pop("receiver")
    return Places(folder, ports, receiver, tuple(remarks))


def is_free(port: int) -> bool:
    """True when nobody listens on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """A port that nobody listens on, and none of `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def make_folder() -> Path:
    """A new folder that the user of root's embedded servers can enter. Raises FolderError."""
    candidates = dict.fromkeys((Path(tempfile.gettempdir()), *SHARED_FOLDERS))
    for parent in candidates:
        if os.geteuid() == 0 and not open_to_all(parent):
            continue
        try:
            folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent))
        except OSError:
            continue
        folder.chmod(0o755)
        return folder
    names = ", ".join(str(path) for path in candidates)
    raise FolderError(f"no folder can be made in {names}: name one with --dir")


def use_folder(folder: Path) -> Path:
    """A folder the user named, made if need be. Raises FolderError."""
    path = folder.absolute()
    if (path / "mutt.env").exists() and not (path / "mutt.log").exists():
        raise FolderError(f"{path}: holds a mutt.env that is not of a demonstration: name another folder")
    try:
        if running_pid(path / "run") is not None:
            raise FolderError(f"{path}: a demonstration runs there: end it, or name another folder")
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(0o755)
    except OSError as error:
        raise FolderError(f"{path}: cannot be used: {error.strerror}: name another folder") from error
    return path


def open_to_all(path: Path) -> bool:
    """True when any user may enter `path` and every folder above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def settings_of(places: Places, rate: int) -> dict[str, str]:
    """Variables of the appliance: small, quick to retry, on the loopback address only."""
    values: dict[str, object] = {
        "bind_address": LOOPBACK,
        **places.ports,
        "mutt_data_dir": places.folder / "data",
        "mutt_runtime_dir": places.folder / "run",
        "mutt_secrets_file": places.secrets_file,
        "log_format": "json",
        "alerter_workers": 2,
        "moog_webhook_url": f"http://{LOOPBACK}:{places.receiver_port}/moog",
        "moog_webhook_timeout": 1,
        "moog_retry_base_delay": 0.5,
        "moog_retry_max_delay": 4,
        "moog_rate_limit": max(50, 2 * rate),
        "unhandled_threshold": max(5, rate // 2),
    }
    return {variable_name(field): str(value) for field, value in values.items()}


def env_text(variables: Mapping[str, str]) -> str:
    """The env file."""
    head = "# Settings of a demonstration (mutt demo). Try: mutt --env-file THIS_FILE rules list\n"
    return head + "".join(f"{name}={_quoted(value)}\n" for name, value in variables.items())


def _quoted(value: str) -> str:
    """As dotenv reads it: a folder's name may hold anything."""
    if all(character.isalnum() or character in "/._:-" for character in value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what would configure another appliance."""
    ours = {variable_name(field) for field in Settings.model_fields} | set(SECRET_NAMES) | {"MUTT_ENV_FILE"}
    return {name: value for name, value in environ.items() if name not in ours and name != "NOTIFY_SOCKET"}
