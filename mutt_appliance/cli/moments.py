"""Times as arguments of a command."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click


class Moment(click.ParamType[datetime, Any]):
    """A day or a time of ISO 8601; UTC where no zone is given."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The aware time."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value}: must be a time such as 2026-11-24, 2026-11-24T02:00 or 2026-11-24T02:00:00+01:00"
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
