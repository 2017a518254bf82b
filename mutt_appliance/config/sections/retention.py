"""Settings of the section Audit log retention."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("retention")


class RetentionSettings(Section):
    """How long the audit log is kept, and where its archive is."""

    audit_retention_days: int = setting(
        90, "Audit months that ended more than N days ago are dropped; 0 keeps all", "days", ge=0
    )
    audit_archive_dir: Path | None = setting(
        None,
        "Folder that a month is exported to, and the file read back and checked, before it is dropped (unset: "
        "dropped without)",
    )
    audit_archive_format: Literal["ndjson.gz", "ndjson"] = setting(
        "ndjson.gz",
        "Form of these files, an object a line: compressed with gzip, or plain for a file system that compresses",
    )
    audit_partitions_ahead: int = setting(2, "Monthly partitions made ahead of time", "months", ge=1, le=24)
    maintenance_interval: float = setting(
        3600,
        "Time between two looks at partitions and retention (seconds)",
        "seconds",
        ge=1,
        le=86400,
    )
