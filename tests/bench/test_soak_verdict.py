"""What grows, and what only moves."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.soak.samples import ProcessSample, Sample
from bench.soak.verdict import Facts, Verdict, trend

EVERY_SECS = 5.0
SAMPLES = 361
FACTS = Facts(
    capacity=1000.0,
    rate=500.0,
    accepted=900_000,
    alerts=90_000,
    audit_rows=90_000,
    audit_bytes=90_000_000,
    done={"reload": 7},
    troubles=(),
)


def process(number: int, **fields: float) -> ProcessSample:
    """A process that moves a little around 80 MB, the same each time."""
    noise = random.Random(number).gauss(0, 0.3)
    whole = ProcessSample(
        pid=7, members=1, memory_mb=80 + noise, fds=40 + number % 3, threads=12, cpu_secs=number / 2
    )
    return replace(whole, **fields)  # type: ignore[arg-type]


def run(
    at: Callable[[int], ProcessSample] = process,
    *,
    name: str = "alerter:0",
    unknown: tuple[str, ...] = (),
    waiting: int = 0,
) -> Verdict:
    """Half an hour of one process; the last sample has `unknown` keys."""
    samples = [
        Sample(
            at_secs=number * EVERY_SECS,
            processes={name: at(number)},
            families={"mutt:dedup:{n}": 2},
            unknown_keys=unknown if number == SAMPLES - 1 else (),
            redis_used_mb=50.0,
            audit_rows=number * 250,
            events_waiting=waiting,
            alerts_waiting=0,
        )
        for number in range(SAMPLES)
    ]
    return Verdict(samples, FACTS)


def growing(mb_per_hour: float) -> Callable[[int], ProcessSample]:
    """An alerter whose memory grows at this rate."""

    def at(number: int) -> ProcessSample:
        usual = process(number)
        return replace(usual, memory_mb=usual.memory_mb + mb_per_hour * number * EVERY_SECS / 3600)

    return at


def test_an_appliance_that_only_moves_has_no_fault() -> None:
    verdict = run()
    assert verdict.faults == ()
    assert abs(verdict.processes[0].document["slope_mb_per_hour"]) < 1


def test_memory_that_grows_is_told_with_its_slope() -> None:
    (fault,) = run(growing(20)).faults
    assert fault.startswith("alerter:0: memory grows by ")
    assert 17 < float(fault.split()[4]) < 23


def test_a_slope_within_the_bound_is_no_growth() -> None:
    assert run(growing(3)).faults == ()


def test_what_grew_in_the_first_half_only_is_a_warm_up() -> None:
    def at(number: int) -> ProcessSample:
        return process(number, memory_mb=80 + min(number, SAMPLES // 2) / 5)

    assert run(at).faults == ()


def test_half_a_megabyte_that_stays_is_not_taken_for_growth() -> None:
    def at(number: int) -> ProcessSample:
        usual = process(number)
        return replace(usual, memory_mb=usual.memory_mb + (0.5 if number > SAMPLES * 3 / 4 else 0.0))

    assert run(at).faults == ()


@pytest.mark.parametrize(("field", "word"), [("fds", "descriptors"), ("threads", "threads")])
def test_descriptors_and_threads_that_rise_are_not_constant(field: str, word: str) -> None:
    (fault,) = run(lambda number: process(number, **{field: 40 + number // 15})).faults
    assert fault.startswith(f"alerter:0: {word} are not constant: 52-64")


def test_descriptors_that_come_and_go_may_not_become_more() -> None:
    def forwarder(leak: int) -> Callable[[int], ProcessSample]:
        return lambda number: process(
            number, fds=50 + random.Random(number).randrange(40) + number // 15 * leak
        )

    assert run(forwarder(leak=0), name="forwarder:0").faults == ()
    (fault,) = run(forwarder(leak=1), name="forwarder:0").faults
    assert fault.startswith("forwarder:0: descriptors rise: never below 6")


def test_a_postgresql_may_open_files_but_not_have_ever_more_processes() -> None:
    assert run(lambda number: process(number, fds=100 + number), name="postgres").faults == ()
    (fault,) = run(lambda number: process(number, threads=9 + number // 15), name="postgres").faults
    assert fault.startswith("postgres: threads rise")


def test_a_process_that_was_started_again_is_told() -> None:
    verdict = run(lambda number: process(number, pid=7 + number // 200))
    assert verdict.faults == ("alerter:0: was another process 1 times",)


def test_an_undeclared_key_is_named() -> None:
    (fault,) = run(unknown=("mutt:leak:1",)).faults
    assert fault.startswith("Redis: mutt:leak:1 is no key that is declared")


def test_a_queue_that_is_never_short_is_a_fault() -> None:
    assert run(waiting=900).faults == ()
    (fault,) = run(waiting=1500).faults
    assert "1,500 events" in fault


def test_troubles_of_the_run_are_faults() -> None:
    verdict = Verdict(run().samples, replace(FACTS, troubles=("sender: 1 x connection lost",)))
    assert verdict.faults == ("sender: 1 x connection lost",)


def test_the_table_and_the_json_line_say_the_same() -> None:
    verdict = run(growing(20))
    table, document = verdict.table(), json.loads(verdict.json_line())
    assert next(line for line in table.splitlines() if line.startswith("alerter:0")).endswith("FAULT")
    assert f"FAULT {verdict.faults[0]}" in table
    assert document["faults"] == list(verdict.faults)
    assert document["processes"]["alerter:0"]["threads"] == [12, 12]
    # Half a second of every five.
    assert document["processes"]["alerter:0"]["cpu_percent"] == 10.0
    assert document["redis_keys"] == {"mutt:dedup:{n}": [2, 2]}
    assert "\n" not in verdict.json_line()


def test_a_short_run_has_no_slope_but_a_result() -> None:
    verdict = Verdict(run(growing(1000)).samples[:5], FACTS)
    assert verdict.faults == ()
    assert json.loads(verdict.json_line())["processes"]["alerter:0"]["slope_mb_per_hour"] is None


def test_a_line_has_its_slope_and_no_error() -> None:
    line = trend([(second, 3 + 2 * second) for second in map(float, range(20))])
    assert line is not None
    assert line.per_hour == pytest.approx(7200)
    assert line.error == pytest.approx(0, abs=1e-6)
