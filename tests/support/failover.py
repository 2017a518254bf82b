"""An appliance on Sentinels under a steady load, while its master is taken away again and again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.appliance import Appliance
from tests.support.ledger import Books, gather, held
from tests.support.load import DEVELOPMENT_HOST, RULES, Load
from tests.support.moogsoft import Moogsoft
from tests.support.redis_ha import Machine, RedisHa
from tests.support.rules import add_rules, reload_rules
from tests.support.servers import PostgresServer
from tests.support.waiting import wait_until

DATABASE = "mutt_db"
ANSWER_SECS = 60.0
DRAIN_SECS = 90.0
MOVE_SECS = 30.0
WHOLE_SECS = 60.0
QUICK = {
    "ALERTER_HEARTBEAT_INTERVAL": "1",
    "ALERTER_JANITOR_TIMEOUT": "5",
    "MOOG_HEARTBEAT_INTERVAL": "1",
    "MOOG_JANITOR_TIMEOUT": "5",
    "MOOG_RATE_LIMIT": "2000",
}


@dataclass(frozen=True)
class Trouble:
    """What happens to the master's machine, and how it comes back."""

    name: str
    strike: Callable[[RedisHa, Machine], None]
    heal: Callable[[Machine], None]


KILLED = Trouble("killed", lambda _, m: m.signal("redis", signal.SIGKILL), lambda m: m.start("redis"))
FROZEN = Trouble(
    "frozen", lambda _, m: m.signal("redis", signal.SIGSTOP), lambda m: m.signal("redis", signal.SIGCONT)
)
CUT_OFF = Trouble("cut off", lambda _, m: m.cut_off(), lambda m: m.mend())
PLANNED = Trouble("planned", lambda ha, _: ha.fail_over(), lambda _: None)


@dataclass
class Scene:
    """Everything of one run; `pauses` has the longest pause of ingest of each failover, in seconds."""

    appliance: Appliance
    ha: RedisHa
    postgres: PostgresServer
    moogsoft: Moogsoft
    load: Load | None = None
    moves: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def fail(self, trouble: Trouble) -> None:
        """Strike the master; wait until another one has taken over and events are accepted; heal."""
        assert self.load is not None
        load, old = self.load, self.ha.master()
        struck = time.monotonic()
        trouble.strike(self.ha, old)
        wait_until(lambda: self.ha.master() is not old, MOVE_SECS, f"a master after {trouble.name}")
        self.moves.append(time.monotonic() - struck)
        moved = time.monotonic()
        # The backlog of the senders goes first; a second of answers shows that ingest is back for good.
        wait_until(
            lambda: load.answered_at and load.answered_at[-1] > moved + 1.0,
            MOVE_SECS,
            f"answers after {trouble.name}: {self.appliance.log_tail()}",
        )
        self.pauses.append(load.longest_pause(struck))
        trouble.heal(old)

    def finish(self) -> Books:
        """No more load; wait until all is answered and worked off, stop the appliance, open the books."""
        assert self.load is not None
        self.load.finish(ANSWER_SECS)
        with self.ha.client(self.ha.master(), user="admin") as client:
            wait_until(
                lambda: not held(client), DRAIN_SECS, f"queues are empty: {held(client)}", interval_secs=0.25
            )
            books = gather(self.load.offered, client, self.postgres, DATABASE, self.moogsoft)
        books.stepped_back = True
        return books


@contextmanager
def scene(settings: Mapping[str, str], load_seed: int) -> Iterator[Scene]:
    """The stores, an appliance with `settings` and its load."""
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.close)
        postgres.start()
        ha = stack.enter_context(RedisHa())
        moogsoft = stack.enter_context(Moogsoft())
        folder = Path(tempfile.mkdtemp(prefix="mutt-a-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        _write_secrets(folder / "mutt.secrets", ha.secrets)
        appliance = stack.enter_context(
            Appliance(
                {
                    **ha.settings,
                    "DB_HOST": postgres.address,
                    "DB_PORT": str(postgres.port),
                    "DB_NAME": DATABASE,
                    "MOOG_WEBHOOK_URL": moogsoft.url,
                    **QUICK,
                    **settings,
                },
                folder=folder,
            )
        )
        appliance.start_and_wait()
        add_rules(postgres, DATABASE, RULES)
        postgres.execute(f"INSERT INTO development_hosts (hostname) VALUES ('{DEVELOPMENT_HOST}')", DATABASE)
        reload_rules(appliance)
        made = Scene(appliance, ha, postgres, moogsoft)
        made.load = stack.enter_context(
            Load(appliance.url(), appliance.api_key, batches_per_sec=18, seed=load_seed)
        )
        yield made


def _write_secrets(path: Path, secrets: Mapping[str, str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in secrets.items())
