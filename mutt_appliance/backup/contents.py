"""What a backup holds, and what its manifest says (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mutt_appliance import __version__

FORMAT: Final = "mutt-backup"
FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SETTINGS: Final = "dynamic_settings.json"
HISTORY: Final = "config_audit_log"
# Tables that a restore only adds to: who changed what, and which months are in which files.
KEPT: Final = (HISTORY, "audit_archives")
AUDIT: Final = "event_audit_log"
AUDIT_FOLDER: Final = "audit/"


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text names what is in the way, and the way out."""


@dataclass(frozen=True)
class Table:
    """A table that people fill.

    `key` tells its rows apart. `entity` is what config_audit_log calls a row; of a row it has all but `unnoted`.
    """

    name: str
    key: str
    entity: str
    unnoted: frozenset[str]


_STAMPS: Final = frozenset({"id", "version", "created_at", "updated_at"})
# API keys are in it as what the database has of them: digests of 256 random bits, of no use without the key.
TABLES: Final = (
    Table("alert_rules", "id", "alert_rule", _STAMPS),
    Table("development_hosts", "hostname", "development_host", _STAMPS | {"hostname"}),
    Table("device_teams", "hostname", "device_team", _STAMPS | {"hostname"}),
    Table("api_keys", "name", "api_key", _STAMPS | {"name", "key_sha256", "created_by"}),
)


def member_of(table: str) -> str:
    """Name of the file in the backup that holds a table."""
    return f"{table}.ndjson"


@dataclass(frozen=True)
class Member:
    """A file in the backup; `rows` are its lines."""

    name: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and of which MUTT and schema it is; `migrations` are those the database had."""

    made_at: str
    host: str
    database: str
    migrations: tuple[str, ...]
    members: tuple[Member, ...]
    mutt_version: str = __version__
    format: str = FORMAT
    version: int = FORMAT_VERSION

    @property
    def with_audit(self) -> bool:
        """True if the audit log is in it."""
        return any(member.name.startswith(AUDIT_FOLDER) for member in self.members)


def manifest_from(document: Any) -> Manifest:
    """A manifest out of its JSON; raises BackupError."""
    try:
        if document["format"] != FORMAT:
            raise BackupError("it is no backup of MUTT")
        if int(document["version"]) > FORMAT_VERSION:
            raise BackupError(
                f"it is of format {document['version']}, made by MUTT {document['mutt_version']}: "
                "restore it with that version or a later one"
            )
        members = tuple(Member(**member) for member in document["members"])
        return Manifest(
            made_at=str(document["made_at"]),
            host=str(document["host"]),
            database=str(document["database"]),
            migrations=tuple(document["migrations"]),
            members=members,
            mutt_version=str(document["mutt_version"]),
            version=int(document["version"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(f"its {MANIFEST} is not one of a backup of MUTT") from error
