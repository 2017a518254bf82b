"""A demonstration from beginning to end. Whatever happens, it leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets as random_source
import shutil
import signal
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console
from rich.live import Live

from mutt_appliance.config import load
from mutt_appliance.demo import report
from mutt_appliance.demo.appliance import Appliance, ApplianceError
from mutt_appliance.demo.ledger import Account, read_audited, read_dead, read_unhandled
from mutt_appliance.demo.messages import MessageMaker
from mutt_appliance.demo.observer import Observer, Snapshot
from mutt_appliance.demo.places import (
    Places,
    choose_places,
    clean_environment,
    env_text,
    make_folder,
    settings_of,
    use_folder,
)
from mutt_appliance.demo.receiver import Receiver
from mutt_appliance.demo.sample_rules import load_samples
from mutt_appliance.demo.traffic import Traffic
from mutt_appliance.demo.view import View
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.shards import blocking_shards
from mutt_appliance.secrets import load_secrets_file
from mutt_appliance.store.errors import StoreUnavailable
from mutt_appliance.store.pool import Database

FRAME_SECS: Final = 0.5
PROGRESS_SECS: Final = 2.0
RULES_TIMEOUT_SECS: Final = 30.0
# Longest way of an alert: every retry, and the time that the last request hangs.
SETTLE_TIMEOUT_SECS: Final = 40.0
QUIET_LOOKS: Final = 2
# Nothing was on its way for so many looks and something is missing still: it will not turn up.
GIVE_UP_LOOKS: Final = 10
T = TypeVar("T")


class InterruptedStartError(Exception):
    """Ctrl-C before there was anything to count."""


@dataclass(frozen=True)
class Options:
    """What the command line said. `seconds` None: until Ctrl-C; `terminal`: live view, else plain lines."""

    seconds: float | None
    rate: int
    terminal: bool
    keep: bool
    folder: Path | None


class Stop:
    """Ctrl-C once: stop and count. Twice: stop at once."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.at_once = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.at_once if self.wanted.is_set() else self.wanted).set()


async def demonstrate(options: Options, console: Console) -> int:
    """Run it; 0 when every event is accounted for, 1 when one is lost or the appliance failed.

    Raises ConfigError, FolderError, RefusedRequestError, ResourceError, RuleFilesError, SecretsError, OSError.
    """
    stop = Stop()
    folder = use_folder(options.folder) if options.folder else make_folder()
    try:
        return await Session(options, console, stop, choose_places(folder)).run()
    except InterruptedStartError:
        console.print("stopped before it began")
        return 0
    except (ApplianceError, RedisError, StoreUnavailable) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        if options.keep or options.folder:
            console.print(f"kept: {folder}", highlight=False, soft_wrap=True)
        else:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class Session:
    """One demonstration in its folder."""

    def __init__(self, options: Options, console: Console, stop: Stop, places: Places) -> None:
        self._options = options
        self._console = console
        self._stop = stop
        self._places = places
        places.env_file.write_text(env_text(settings_of(places, options.rate)), encoding="utf-8")
        self._settings = load({}, places.env_file).settings
        self._secrets = load_secrets_file(places.secrets_file)
        self._shards = blocking_shards(self._settings, self._secrets, "demo")
        self._database = Database(self._settings, self._secrets, "mutt demo")
        self._receiver = Receiver(self._secrets.moog_api_key, places.receiver_port)
        self._appliance = Appliance(places, clean_environment(os.environ))
        self._observer = Observer(places, self._shards, self._receiver)
        self._maker = MessageMaker(random_source.token_hex(4))
        url = places.url("server_port_ingestor", "/ingest")
        self._traffic = Traffic(url, self._secrets.ingest_api_key, options.rate, self._maker)
        self._rules = 0
        self._before = 0
        self._started = 0.0
        self._seconds = 0.0

    async def run(self) -> int:
        """Start, show, stop, count."""
        self._receiver.start()
        try:
            await self._begin()
            account = await self._show()
            self._say("stopping the appliance")
            await self._appliance.stop()
        finally:
            await self._appliance.stop(at_once=self._stop.at_once.is_set())
            await asyncio.to_thread(self._receiver.stop)
            self._database.close()
            for shard in self._shards:
                shard.client.close()
        if account is None:
            self._say("stopped at once; nothing was counted")
            return 0
        self._say("\n" + report.summary(account, self._seconds))
        return 0 if account.well else 1

    async def _begin(self) -> None:
        """Appliance up, rules in force."""
        for remark in self._places.remarks:
            self._say(remark)
        self._say(f"starting Redis, PostgreSQL and MUTT below {self._places.folder}")
        self._say(f"their log is {self._places.log_file}")
        await self._or_stop(self._appliance.start())
        self._rules = await asyncio.to_thread(load_samples, self._database)
        self._appliance.reload()
        await self._or_stop(self._rules_in_force())
        self._before = (await asyncio.to_thread(self._unhandled)).total()
        self._say(report.introduction(self._places, self._rules, self._options.rate))

    async def _rules_in_force(self) -> None:
        deadline = time.monotonic() + RULES_TIMEOUT_SECS
        while await asyncio.to_thread(self._observer.rules_seen) < self._rules:
            if time.monotonic() > deadline:
                raise ApplianceError(
                    f"the {self._rules} sample rules are not in force after {RULES_TIMEOUT_SECS:.0f} s: "
                    f"see {self._places.log_file}"
                )
            await asyncio.sleep(0.1)

    async def _show(self) -> Account | None:
        """Traffic until the end, then what became of it; None after a second Ctrl-C."""
        self._started = time.monotonic()
        traffic = asyncio.create_task(self._traffic.run())
        try:
            with self._screen() as screen:
                await self._watch(screen, traffic)
                self._traffic.stop()
                self._seconds = time.monotonic() - self._started
                return await self._settle(screen, traffic)
        finally:
            traffic.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await traffic

    def _screen(self) -> Screen:
        return Screen(self._console, self._places, terminal=self._options.terminal)

    async def _watch(self, screen: Screen, traffic: asyncio.Task[None]) -> None:
        seconds = self._options.seconds
        words = "Ctrl-C stops" if seconds is None else f"of {report.clock(seconds)}"
        while not self._stop.wanted.is_set():
            elapsed = time.monotonic() - self._started
            if seconds is not None and elapsed >= seconds:
                return
            if traffic.done():
                traffic.result()
            self._check_appliance()
            screen.show(await self._look(), words)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wanted.wait(), FRAME_SECS)

    async def _settle(self, screen: Screen, traffic: asyncio.Task[None]) -> Account | None:
        """Wait until nothing is on its way, then count; count again while something is missing."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_SECS
        quiet = 0
        while not self._stop.at_once.is_set():
            self._check_appliance()
            snapshot = await self._look()
            screen.show(snapshot, "the last events settle")
            depths = snapshot.depths
            on_the_way = depths is None or depths.events or depths.alerts or not traffic.done()
            quiet = 0 if on_the_way else quiet + 1
            late = time.monotonic() > deadline
            if quiet >= QUIET_LOOKS or late:
                account = await asyncio.to_thread(self._account, snapshot)
                if account.well or late or quiet >= GIVE_UP_LOOKS:
                    return account
            await asyncio.sleep(FRAME_SECS)
        return None

    def _check_appliance(self) -> None:
        if not self._appliance.running:
            raise ApplianceError(f"the appliance ended by itself: see {self._places.log_file}")

    async def _look(self) -> Snapshot:
        elapsed = time.monotonic() - self._started
        return await asyncio.to_thread(self._observer.look, self._appliance.states, elapsed)

    def _account(self, snapshot: Snapshot) -> Account:
        counters = self._unhandled()
        return Account(
            sent=self._traffic.sent,
            audited=read_audited(self._database, self._maker.prefix),
            unhandled=counters.total() - self._before,
            patterns=len(counters),
            dead=read_dead(self._shards, self._maker.prefix),
            delivered=frozenset(self._receiver.delivered),
            deliveries=self._receiver.deliveries,
            retried=snapshot.counters.retried,
            waiting_events=snapshot.depths.events if snapshot.depths else 0,
            waiting_alerts=snapshot.depths.alerts if snapshot.depths else 0,
        )

    def _unhandled(self) -> Counter[str]:
        return read_unhandled(self._shards)

    async def _or_stop(self, work: Awaitable[T]) -> T:
        """The result of `work`, unless Ctrl-C comes first."""
        task = asyncio.ensure_future(work)
        wanted = asyncio.ensure_future(self._stop.wanted.wait())
        await asyncio.wait((task, wanted), return_when=asyncio.FIRST_COMPLETED)
        wanted.cancel()
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        raise InterruptedStartError

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Screen:
    """The live view on a terminal, or a line every two seconds."""

    def __init__(self, console: Console, places: Places, *, terminal: bool) -> None:
        self._console = console
        self._places = places
        self._live = Live(console=console, screen=True, auto_refresh=False) if terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, snapshot: Snapshot, words: str) -> None:
        """A new frame, or a line if it is time for one."""
        if self._live is not None:
            self._live.update(View(snapshot, self._places, words), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + PROGRESS_SECS
            self._console.print(report.progress(snapshot), markup=False, highlight=False, soft_wrap=True)
