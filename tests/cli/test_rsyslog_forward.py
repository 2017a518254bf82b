"""The program as rsyslog sees it: a process with pipes, in front of a real HTTP server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mutt_appliance.cli.ingest_client import Answer, Verdict, judge
from mutt_appliance.cli.rsyslog_forward import DEFAULT_SECRETS_FILE, DEFAULT_URL
from mutt_appliance.config import Settings
from tests.support.ingest_stub import IngestStub, accept_and_hang_up, at_most, hang, status
from tests.support.waiting import wait_until

ANSWER_WITHIN_SECS = 20.0


class Program:
    """`mutt rsyslog-forward` with rsyslog's end of its pipes."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "stderr"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mutt_appliance", "rsyslog-forward", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            env={"PATH": os.environ["PATH"], "LANG": "C"},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        self._stdin.write(line.encode() + b"\n")
        self._stdin.flush()

    def hear(self) -> str:
        timer = threading.Timer(ANSWER_WITHIN_SECS, self._process.kill)
        timer.start()
        try:
            return self._stdout.readline().decode().rstrip("\n")
        finally:
            timer.cancel()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.hear()

    def transaction(self, *messages: str) -> list[str]:
        return [self.ask(line) for line in ("BEGIN TRANSACTION", *messages, "COMMIT TRANSACTION")]

    def end_of_file(self) -> int:
        self._stdin.close()
        return self._process.wait(ANSWER_WITHIN_SECS)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(ANSWER_WITHIN_SECS)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stdout.close()


def message(text: str) -> str:
    return json.dumps({"timestamp": "2026-11-24T01:02:03Z", "hostname": "core-1", "message": text})


@pytest.fixture
def stub() -> Iterator[IngestStub]:
    with IngestStub() as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text("test-ingest-key\n")
    return path


@pytest.fixture
def program(tmp_path: Path, stub: IngestStub, key_file: Path) -> Iterator[Program]:
    started = Program(
        tmp_path,
        *("--url", stub.url, "--api-key-file", str(key_file)),
        *("--give-up-after", "2", "--timeout", "1", "--batch-size", "3"),
    )
    assert started.hear() == "OK", "ready"
    yield started
    started.close()


def test_single_messages_are_confirmed_when_they_arrived(program: Program, stub: IngestStub) -> None:
    assert program.ask(message("one")) == "OK"
    assert stub.messages == ["one"]
    assert program.ask("a plain line") == "OK"
    assert stub.messages == ["one", "a plain line"]
    assert program.end_of_file() == 0


def test_a_transaction_is_posted_in_batches_at_its_commit(program: Program, stub: IngestStub) -> None:
    texts = [f"m{number}" for number in range(7)]
    answers = program.transaction(*map(message, texts))
    assert answers == ["OK", *["DEFER_COMMIT"] * 7, "OK"]
    assert stub.messages == texts
    assert stub.requests == [3, 3, 1]


def test_503_is_tried_again_until_it_is_taken(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [status(503, headers={"Retry-After": "1"}), status(500), status(429)]
    started = time.monotonic()
    assert program.ask(message("one")) == "OK"
    assert time.monotonic() - started >= 1, "Retry-After is kept"
    assert stub.messages == ["one"]
    assert len(stub.requests) == 4


def test_when_it_takes_too_long_rsyslog_is_told_to_send_again(program: Program, stub: IngestStub) -> None:
    stub.stop()
    answers = program.transaction(message("one"), message("two"))
    assert answers[:3] == ["OK", "DEFER_COMMIT", "DEFER_COMMIT"]
    assert "cannot be reached" in answers[3]
    stub.start()
    assert program.transaction(message("one"), message("two"))[-1] == "OK"
    assert stub.messages == ["one", "two"]
    assert "takes events again" in program.log.read_text()


def test_a_lost_answer_makes_no_second_event(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [accept_and_hang_up]
    assert program.transaction(message("one"), message("one"))[-1] == "OK"
    assert stub.messages == ["one", "one"], "two equal lines are two events"
    assert set(stub.times_seen.values()) == {2}, "each was sent twice under one id"


def test_a_transaction_repeated_by_rsyslog_keeps_its_event_ids(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [accept_and_hang_up] * 20
    texts = [message(f"m{number}") for number in range(3)]
    assert program.transaction(*texts)[-1].startswith("error: ")
    stub.behaviours.clear()
    assert program.transaction(*texts)[-1] == "OK"
    assert stub.messages == ["m0", "m1", "m2"]


def test_a_batch_that_had_arrived_is_not_sent_again(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [lambda handler, events: handler.answer(200, stub.accept(events)), *[status(503)] * 50]
    texts = [message(f"m{number}") for number in range(5)]
    assert program.transaction(*texts)[-1].startswith("error: ")
    stub.behaviours.clear()
    assert program.transaction(*texts)[-1] == "OK"
    assert set(stub.times_seen.values()) == {1}


def test_events_the_ingestor_refused_are_delivered_and_told(program: Program, stub: IngestStub) -> None:
    report = {"queued": 0, "duplicates": 0, "refused": [{"index": 0, "reason": "hostname: is missing"}]}
    stub.behaviours = [status(400, report)]
    assert program.ask('{"message":"no host"}') == "OK"
    assert (
        "1 of 1 events went to the ingestor's dead letter queue: hostname: is missing"
        in program.log.read_text()
    )


def test_a_wrong_key_is_never_confirmed_and_a_corrected_one_is_read(
    program: Program, stub: IngestStub, key_file: Path
) -> None:
    stub.api_key = "another-key"
    answer = program.ask(message("one"))
    assert answer.startswith("error: ")
    assert "refused the API key (401)" in answer
    key_file.write_text("another-key")
    assert program.ask(message("one")) == "OK"
    log = program.log.read_text()
    assert "another-key" not in log
    assert "test-ingest-key" not in log


def test_a_missing_key_file_fails_until_it_is_there(
    program: Program, stub: IngestStub, key_file: Path
) -> None:
    content = key_file.read_text()
    key_file.unlink()
    assert "cannot be read" in program.ask(message("one"))
    key_file.write_text(content)
    key_file.chmod(0o644)
    assert "chmod 0600" in program.ask(message("one"))
    key_file.chmod(0o600)
    assert program.ask(message("one")) == "OK"


def test_too_large_batches_are_halved(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [at_most(1)] * 5
    assert program.transaction(*(message(f"m{number}") for number in range(3)))[-1] == "OK"
    assert sorted(stub.messages) == ["m0", "m1", "m2"]
    assert stub.requests == [3, 1, 2, 1, 1]


def test_a_single_event_that_is_too_large_is_shortened(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [status(413)]
    assert program.ask(message("x" * 100_000)) == "OK"
    (event,) = stub.events.values()
    assert (event["message"], event["message_characters"]) == ("x" * 256, 100_000)


def test_an_ingestor_that_hangs_is_given_up(program: Program, stub: IngestStub) -> None:
    release = threading.Event()
    stub.behaviours = [hang(release)] * 5
    answer = program.ask(message("one"))
    release.set()
    assert "did not answer in time" in answer


def test_an_answer_of_something_else_is_no_delivery(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [status(200, ["welcome"])] * 50
    assert "not as MUTT does" in program.ask(message("one"))


def test_sigterm_ends_an_idle_program_cleanly(program: Program) -> None:
    program.ask(message("one"))
    program.signal(signal.SIGTERM)
    assert program.wait() == 0


def test_sigterm_inside_a_transaction_waits_for_its_commit(program: Program, stub: IngestStub) -> None:
    program.ask("BEGIN TRANSACTION")
    program.ask(message("one"))
    program.signal(signal.SIGTERM)
    assert program.ask("COMMIT TRANSACTION") == "OK"
    assert program.wait() == 0
    assert stub.messages == ["one"]


def test_sigterm_ends_the_wait_for_another_attempt(program: Program, stub: IngestStub) -> None:
    stub.behaviours = [status(503, headers={"Retry-After": "60"})] * 50
    program.tell(message("one"))
    wait_until(lambda: stub.requests, message="a first attempt")
    program.signal(signal.SIGTERM)
    assert program.hear().startswith("error: ")
    assert program.wait() == 0


def test_a_line_cut_off_by_the_end_of_rsyslog_is_not_sent(program: Program, stub: IngestStub) -> None:
    program._stdin.write(b'{"message":"cut')
    assert program.end_of_file() == 0
    assert stub.messages == []


def test_the_key_comes_from_the_secrets_file_and_none_is_made(tmp_path: Path, stub: IngestStub) -> None:
    secrets = tmp_path / "mutt.secrets"
    secrets.touch(mode=0o600)
    secrets.write_text("INGEST_API_KEY=test-ingest-key\n")
    program = Program(tmp_path, "--url", stub.url, "--secrets-file", str(secrets))
    try:
        assert program.hear() == "OK"
        assert program.ask(message("one")) == "OK"
        assert secrets.read_text() == "INGEST_API_KEY=test-ingest-key\n"
    finally:
        program.close()


class Spooling:
    """Starts programs one after the other on one spool file."""

    def __init__(self, folder: Path, stub: IngestStub, key_file: Path) -> None:
        self.spool = folder / "forward.spool"
        self._folder = folder
        self.arguments: tuple[str, ...] = (
            *("--url", stub.url, "--api-key-file", str(key_file), "--spool", str(self.spool)),
            *("--give-up-after", "0.5", "--timeout", "1"),
        )
        self.programs: list[Program] = []

    def start(self) -> Program:
        program = Program(self._folder, *self.arguments)
        self.programs.append(program)
        assert program.hear() == "OK"
        return program


@pytest.fixture
def spooling(tmp_path: Path, stub: IngestStub, key_file: Path) -> Iterator[Spooling]:
    starter = Spooling(tmp_path, stub, key_file)
    yield starter
    for program in starter.programs:
        program.close()


def test_what_rsyslog_gave_up_with_its_end_is_delivered_by_the_next_run(
    spooling: Spooling, stub: IngestStub
) -> None:
    program = spooling.start()
    stub.behaviours = [accept_and_hang_up]
    assert program.ask(message("before")) == "OK"
    stub.stop()
    assert program.transaction(message("one"), message("two"))[-1].startswith("error: ")
    program.ask("BEGIN TRANSACTION")
    program.ask(message("never committed"))
    assert program.end_of_file() == 0
    assert spooling.spool.stat().st_mode & 0o777 == 0o600
    stub.start()
    program = spooling.start()
    assert stub.messages == ["before", "one", "two", "never committed"]
    assert not spooling.spool.exists()
    assert program.transaction(message("one"), message("two"))[-1] == "OK"
    assert stub.messages == ["before", "one", "two", "never committed"], "rsyslog's repetition is known"
    assert program.end_of_file() == 0


def test_a_spool_that_cannot_be_delivered_yet_goes_with_the_next_batch(
    spooling: Spooling, stub: IngestStub
) -> None:
    stub.stop()
    program = spooling.start()
    program.ask(message("one"))
    program.end_of_file()
    program = spooling.start()
    assert spooling.spool.exists()
    stub.start()
    assert program.ask(message("two")) == "OK"
    assert stub.messages == ["one", "two"]
    assert not spooling.spool.exists()


def test_the_end_of_rsyslog_is_noticed_while_waiting_for_another_attempt(
    spooling: Spooling, stub: IngestStub
) -> None:
    stub.behaviours = [status(503, headers={"Retry-After": "60"})] * 100
    program = spooling.start()
    program.tell(message("one"))
    wait_until(lambda: stub.requests, message="a first attempt")
    assert program.end_of_file() == 0
    assert b'"one\\"' in spooling.spool.read_bytes()


def test_bytes_that_are_no_utf8_survive_the_spool(spooling: Spooling, stub: IngestStub) -> None:
    stub.stop()
    program = spooling.start()
    program._stdin.write(b"caf\xe9\n")
    program._stdin.flush()
    assert program.hear().startswith("error: ")
    program.end_of_file()
    stub.start()
    spooling.start()
    assert stub.messages == ["caf\ufffd"]


def test_a_damaged_spool_is_put_aside_and_told(spooling: Spooling, stub: IngestStub) -> None:
    spooling.spool.write_text("{nonsense\n")
    program = spooling.start()
    assert "is damaged: moved to" in program.log.read_text()
    assert spooling.spool.with_name("forward.spool.unreadable").exists()
    assert program.ask(message("one")) == "OK"


def test_a_spool_without_a_folder_is_told_and_does_not_stop_the_messages(
    spooling: Spooling, stub: IngestStub
) -> None:
    missing = Spooling(spooling.spool.parent, stub, spooling.spool.parent / "key")
    missing.arguments = (*missing.arguments, "--spool", "/nonexistent/mutt.spool")
    program = missing.start()
    assert "has no folder" in program.log.read_text()
    assert program.ask(message("one")) == "OK"
    program.close()


@pytest.mark.parametrize("url", ["ftp://host/x", "nonsense", "http://user:secret@host/ingest"])
def test_a_useless_url_is_a_usage_error(tmp_path: Path, url: str) -> None:
    program = Program(tmp_path, "--url", url)
    assert program.wait() == 2
    assert "secret" not in program.log.read_text()
    program.close()


def cpu_seconds(*arguments: str) -> float:
    """Processor time of a Python program: unlike the clock, hardly changed by what else the machine does."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status_word, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status_word)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_it_starts_quickly() -> None:
    """rsyslog's worker waits for the start."""
    forwarder = min(cpu_seconds("-m", "mutt_appliance", "rsyslog-forward") for _ in range(3))
    bare = min(cpu_seconds("-c", "pass") for _ in range(3))
    assert forwarder - bare < 0.2, "it imports something heavy"
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, mutt_appliance.cli.rsyslog_forward; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not {"pydantic", "aiohttp", "structlog", "redis", "asyncio"} & set(loaded)


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = Settings()
    assert settings.mutt_secrets_file == DEFAULT_SECRETS_FILE
    assert f"http://127.0.0.1:{settings.server_port_ingestor}/ingest" == DEFAULT_URL


@pytest.mark.parametrize("number", [301, 400, 403, 404, 408, 429, 500, 502, 503, 504])
def test_without_the_ingestors_own_words_nothing_is_delivered(number: int) -> None:
    assert judge(Answer(number, b"<html>proxy</html>")).verdict is Verdict.RETRY
