"""Syslog severities: numbers 0 to 7 and their names (RFC 5424, section 6.2.1, and the usual short forms)."""

from __future__ import annotations

SEVERITY_NAMES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
_NUMBER_OF = {
    **{name: number for number, name in enumerate(SEVERITY_NAMES)},
    "emerg": 0,
    "panic": 0,
    "crit": 2,
    "err": 3,
    "warn": 4,
    "info": 6,
}


def parse_severity(value: object) -> int | None:
    """Severity as a number from 0 (emergency) to 7 (debug); None stays None.

    Takes a number, a number as text, or a name in any case. Raises ValueError that says what is allowed.
    """
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _NUMBER_OF:
            return _NUMBER_OF[text]
        if text.isascii() and text.isdigit() and len(text) == 1:
            value = int(text)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 7:
        return value
    raise ValueError(
        f"{_shown(value)} is not a severity: give 0 to 7 or one of {', '.join(sorted(_NUMBER_OF))}"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
