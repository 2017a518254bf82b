"""The families of keys that `mutt_appliance/queueing/keys.py` declares."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# As in the header there; a key belongs to the first one that it fits.
FAMILIES = (
    "mutt:ingest_queue",
    "mutt:dedup:{n}",
    "mutt:processing:alerter:workers",
    "mutt:processing:alerter:suspects",
    "mutt:processing:alerter:{worker}",
    "mutt:heartbeat:alerter:{worker}",
    "mutt:alert_queue",
    "mutt:processing:moog:workers",
    "mutt:processing:moog:suspects",
    "mutt:processing:moog:{worker}",
    "mutt:heartbeat:moog:{worker}",
    "mutt:retry:moog",
    "mutt:rate_limit:moog",
    "mutt:circuit:moog",
    "mutt:dlq:{queue}",
    "mutt:replay:{queue}",
    "mutt:replay:{queue}:lock",
    "mutt:replay:{queue}:auto",
    "mutt:load:{dump}:{place}",
    "mutt:loaded:{dump}",
    "mutt:dlq_archive:lock",
    "mutt:traced",
    "mutt:config",
    "mutt:session:{digest}",
    "mutt:signin:{address}",
    "mutt:unhandled:triggered:{host}:{hash}",
    "mutt:unhandled:{host}:{hash}",
    "mutt:metrics:{window}:{n}",
    "mutt:slo:{component}:{outcome}:{window}:{n}",
    "mutt:hits:{window}:{n}",
    "mutt:hosts:{window}:{n}",
    "mutt:patterns:{window}:{n}",
    "mutt:samples:{window}:{n}",
    "mutt:shards",
)
# What stands for a part of the key: words have no colon, numbers only digits.
_PARTS = {"{n}": r"\d+", "{queue}": "(?:ingest|alerter|moog)", "{window}": r"\d+[mh]"}
_ANY = "[^:]+"


def _pattern(family: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{\w+\})", family)
    return re.compile("".join(_PARTS.get(p, _ANY) if p.startswith("{") else re.escape(p) for p in pieces))


_PATTERNS = [(family, _pattern(family)) for family in FAMILIES]


def family_of(key: str) -> str | None:
    """The family of a key, None for one that is not declared."""
    return next((family for family, pattern in _PATTERNS if pattern.fullmatch(key)), None)


def count_families(keys: Iterable[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """(how many keys there are of each family, the keys of none)."""
    counts: Counter[str] = Counter()
    unknown = []
    for key in keys:
        family = family_of(key)
        if family is None:
            unknown.append(key)
        else:
            counts[family] += 1
    return dict(counts), tuple(sorted(unknown))
