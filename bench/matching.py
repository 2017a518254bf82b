"""Matching alone: how its cost grows with the number of rules, and what a loop over `re` costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Series, in_turns
from bench.report import Figure
from bench.run import Run
from bench.traffic import Traffic, events, plain_patterns, traffic
from mutt_appliance.rules.ruleset import RuleSet

FEW, SOME, MANY = 10, 1_000, 10_000
MESSAGES = 4_000
# The loops are slow: a share of the messages that is matched as often as the whole.
MESSAGES_OF_LOOP = 400
# Short measurements in quick alternation: whatever else the machine does then meets all of them.
ROUNDS_PER_ROUND = 8

Item = tuple[str, int | None, str | None]


def bench(run: Run) -> list[Figure]:
    """Cost of one event in microseconds of processor time, at three sizes and beside two loops."""
    progress = run.about("matching")
    runs: list[Callable[[], float]] = []
    matched: dict[int, int] = {}
    for size in (FEW, SOME, MANY):
        progress(f"compiling {size:,} rules")
        source = traffic(size)
        rules, items = RuleSet(source.rules), _items(source)
        matched[size] = sum(
            rules.match(text, text.encode(), severity, oid) is not None for text, severity, oid in items
        )
        runs.append(_one_pass(rules, items))
        if size == SOME:
            few = items[:MESSAGES_OF_LOOP]
            loops = [_loop(plain_patterns(source.rules, only_re=only_re), few) for only_re in (True, False)]
    few_cost, some_cost, many_cost, re_cost, plain_cost = in_turns(
        run.rounds * ROUNDS_PER_ROUND, [*runs, *loops]
    )
    share = matched[MANY] / MESSAGES
    return [
        _compared(
            "matcher_scale_ratio", f"matching, {MANY:,} rules", many_cost, few_cost, f"{FEW} rules", share
        ),
        Figure(
            "matcher_vs_re_ratio",
            f"matching, {SOME:,} rules",
            _cost(some_cost),
            re_cost.median / some_cost.median,
            f"loop over re {_cost(re_cost)}",
            _noise(some_cost, re_cost),
        ),
        Figure(
            None,
            f"matching, {SOME:,} rules",
            _cost(some_cost),
            plain_cost.median / some_cost.median,
            f"loop, contains by `in` {_cost(plain_cost)}",
            _noise(some_cost, plain_cost),
        ),
    ]


def _items(source: Traffic) -> list[Item]:
    return [
        (event["message"], event["syslog_severity"], event.get("trap_oid"))
        for event in events(source, MESSAGES)
    ]


def _one_pass(rules: RuleSet, items: Sequence[Item]) -> Callable[[], float]:
    """Microseconds an event, with the encoding of the message as the alerter does it."""
    match = rules.match

    def measure() -> float:
        started = time.thread_time()
        for text, severity, oid in items:
            match(text, text.encode("utf-8", "replace"), severity, oid)
        return (time.thread_time() - started) / len(items) * 1e6

    return measure


def _loop(patterns: Sequence[tuple[str, Any]], items: Sequence[Item]) -> Callable[[], float]:
    """Microseconds an event of a loop that tries one rule after the other."""

    def measure() -> float:
        started = time.thread_time()
        for text, _, oid in items:
            first_match(patterns, text, oid)
        return (time.thread_time() - started) / len(items) * 1e6

    return measure


def first_match(patterns: Sequence[tuple[str, Any]], text: str, oid: str | None) -> int | None:
    """Place of the first of `plain_patterns` that matches."""
    lower = text.lower()
    for place, (kind, pattern) in enumerate(patterns):
        if kind == "contains":
            if pattern in lower:
                return place
        elif kind == "regex":
            if pattern.search(text):
                return place
        elif oid is not None and oid.startswith(pattern):
            return place
    return None


def _compared(key: str, name: str, ours: Series, other: Series, other_name: str, share: float) -> Figure:
    return Figure(
        key,
        name,
        _cost(ours),
        ours.median / other.median,
        f"{other_name} {_cost(other)}",
        f"{share:.0%} of the messages matched; {_noise(ours, other)}",
    )


def _cost(series: Series) -> str:
    return f"{series.median:,.2f} µs/event"


def _noise(ours: Series, reference: Series) -> str:
    return f"spread {ours.spread:.0%}, reference {reference.spread:.0%}"
