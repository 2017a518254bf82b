"""Which key of Redis belongs to which declared family."""

from __future__ import annotations

import re

import pytest

from bench.soak.families import FAMILIES, count_families, family_of
from mutt_appliance.config import Settings
from mutt_appliance.queueing import keys
from mutt_appliance.queueing.keys import KeySpace

SPACE = KeySpace(Settings())


@pytest.mark.parametrize(
    ("key", "family"),
    [
        (SPACE.ingest_queue, "mutt:ingest_queue"),
        (SPACE.dedup(29), "mutt:dedup:{n}"),
        (SPACE.events.workers, "mutt:processing:alerter:workers"),
        (SPACE.events.processing("alerter-a1-0"), "mutt:processing:alerter:{worker}"),
        (SPACE.alerts.heartbeat("moog-a1-0"), "mutt:heartbeat:moog:{worker}"),
        (SPACE.unhandled("core-1", "ab12"), "mutt:unhandled:{host}:{hash}"),
        (SPACE.unhandled_triggered("core-1", "ab12"), "mutt:unhandled:triggered:{host}:{hash}"),
        (SPACE.activity("hits", "1h", 9), "mutt:hits:{window}:{n}"),
        (SPACE.replay("moog") + ":lock", "mutt:replay:{queue}:lock"),
        (SPACE.outcomes("ingestor", "success") + ":5m:7", "mutt:slo:{component}:{outcome}:{window}:{n}"),
    ],
)
def test_a_key_of_the_key_space_is_of_its_family(key: str, family: str) -> None:
    assert family_of(key) == family


@pytest.mark.parametrize(
    "key", ["mutt:leak:1", "mutt:dedup:now", "mutt:ingest_queue:2", "other", "mutt:dlq:x"]
)
def test_a_key_that_is_not_declared_is_of_none(key: str) -> None:
    assert family_of(key) is None


def test_keys_are_counted_and_the_unknown_are_named() -> None:
    counts, unknown = count_families(["mutt:dedup:1", "mutt:shards", "mutt:dedup:2", "mutt:new:thing"])
    assert counts == {"mutt:dedup:{n}": 2, "mutt:shards": 1}
    assert unknown == ("mutt:new:thing",)


def test_every_family_stands_in_the_header_of_the_keys() -> None:
    assert keys.__doc__ is not None
    header = keys.__doc__
    for family in FAMILIES:
        stem = re.split(r"[{]", family)[0].removesuffix(":lock")
        if family.endswith((":workers", ":suspects", ":lock", ":auto")):
            assert family.rpartition(":")[2] in header, family
            stem = stem.rpartition(":")[0]
        assert stem in header, family


def test_every_family_of_the_header_is_known() -> None:
    assert keys.__doc__ is not None
    table = keys.__doc__.partition("Scripts touch")[0]
    named = re.findall(r"^ {4}(mutt:\S+)", table, re.MULTILINE)
    assert len(named) > 25
    for name in set(named) - {"mutt:processing:alerter", "mutt:changes"}:
        example = name.replace("{n}", "1").replace("{queue}", "moog").rstrip(",")
        example = re.sub(r"\{?(\w+)(?:\|\w+)+\}?", r"\1", example)
        assert family_of(re.sub(r"[{}]", "", example)) is not None, name
