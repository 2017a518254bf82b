"""What lies in a dead letter queue: the item as it was, with the reason, the time and the attempts made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson


def now_rfc3339() -> str:
    """The present, UTC, with microseconds: 2026-11-24T02:00:00.000000Z."""
    # A quarter of the time of strftime, and this is asked for with every request.
    return datetime.now(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def dead_letter(
    payload: bytes | str, reason: str, attempts: int, source: str, failed_at: str | None = None
) -> bytes:
    """A dead letter as JSON; `payload` is kept as an object if it is JSON, else as text."""
    entry: dict[str, Any] = {
        "reason": reason,
        "failed_at": failed_at or now_rfc3339(),
        "attempts": attempts,
        "source": source,
        "payload": _payload(payload),
    }
    return orjson.dumps(entry)


def _payload(payload: bytes | str) -> Any:
    raw = payload.encode("utf-8", "replace") if isinstance(payload, str) else payload
    try:
        parsed = orjson.loads(raw)
        orjson.dumps([parsed])  # nested too deeply to be written again inside an entry: keep the text
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return raw.decode("utf-8", "replace")
    return parsed


def around_payload(reason: str, attempts: int, source: str) -> tuple[str, str]:
    """The text before and after a JSON payload that make it a dead letter (for use inside a script)."""
    head = {"reason": reason, "failed_at": now_rfc3339(), "attempts": attempts, "source": source}
    return orjson.dumps(head).decode()[:-1] + ',"payload":', "}"
