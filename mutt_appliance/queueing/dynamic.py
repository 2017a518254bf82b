"""Dynamic settings in Redis: written with a version, read by every process that uses one.

A hash has for each setting that was ever changed {"value": …, "version": n}, without a value once it was put
back to its default. Word of a change is quick; the look that every process takes twice a second is what makes it
certain, also for one that was frozen or had no connection when the word went round.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import redis
import redis.asyncio

from mutt_appliance.config import Settings
from mutt_appliance.config.dynamic import describe, effective
from mutt_appliance.queueing.changes import Change, ChangeListener
from mutt_appliance.queueing.client import RedisError
from mutt_appliance.queueing.keys import KeySpace
from mutt_appliance.queueing.scripts import script_source, text
from mutt_appliance.telemetry.logs import get_logger, set_log_level
from mutt_appliance.telemetry.metrics import settings_in_force

log = get_logger("queueing.dynamic")
# A value is to be in force everywhere within a second. The answer is a hash of a few dozen fields at most.
LOOK_SECS = 0.5
NO_VALUE = object()


@dataclass(frozen=True)
class Stored:
    """What is stored of a setting; without a value its default holds."""

    version: int = 0
    value: Any = NO_VALUE

    @property
    def changed(self) -> bool:
        """True if it has a value other than by default."""
        return self.value is not NO_VALUE

    @property
    def document(self) -> dict[str, Any]:
        """What the history keeps of it."""
        return {"value": self.value} if self.changed else {}


def stored_of(raw: bytes | str | None) -> Stored:
    """A field of the hash; one that cannot be read counts as not changed."""
    if raw is None:
        return Stored()
    try:
        document = orjson.loads(raw)
        return Stored(int(document["version"]), document.get("value", NO_VALUE))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return Stored()


def all_stored(answer: Mapping[Any, Any]) -> dict[str, Stored]:
    """The whole hash, by name."""
    return {text(name): stored_of(raw) for name, raw in answer.items()}


def values_of(stored: Mapping[str, Stored]) -> dict[str, Any]:
    """The values that were changed."""
    return {name: each.value for name, each in stored.items() if each.changed}


def documents(settings: Settings, stored: Mapping[str, Stored], names: Iterable[str]) -> list[dict[str, Any]]:
    """What API and command line tell of settings: what they are, what is in force, and why what is stored is not."""
    in_force, faults = settings, dict[str, str]()
    if settings.dynamic_config_enabled:
        in_force, faults = effective(settings, values_of(stored))
    return [
        {
            **asdict(describe(name)),
            "value": getattr(in_force, name),
            "default": getattr(settings, name),
            "changed": name in stored and stored[name].changed,
            "left_out": faults.get(name),
            "version": stored.get(name, Stored()).version,
        }
        for name in names
    ]


async def change(
    client: redis.asyncio.Redis, keys: KeySpace, name: str, value: Any, if_version: int | None
) -> tuple[Stored, Stored] | None:
    """Store a value, or NO_VALUE; returns (before, after), None when the version is another by now."""
    script = client.register_script(script_source("set_config"))
    fields = "{" if value is NO_VALUE else '{"value":' + orjson.dumps(value).decode() + ","
    answer: Any = await script(
        keys=[keys.config], args=[name, "" if if_version is None else if_version, fields]
    )
    if not answer:
        return None
    before, version = stored_of(answer[0] or None), int(answer[1])
    return before, Stored(version, value)


class LiveSettings:
    """The settings of a process as they are now; `current` may be read from any thread."""

    def __init__(self, settings: Settings, client: redis.Redis, keys: KeySpace) -> None:
        self._base = settings
        self._client = client
        self._keys = keys
        self._told: dict[str, str] = {}
        self._on_change: Callable[[], None] | None = None
        # Of two looks at once the later one must not be overtaken by the earlier.
        self._looking = threading.Lock()
        self._answer: Any = None
        self.current = settings
        settings_in_force().tell(settings)

    def refresh(self) -> None:
        """Read what was changed; what is wrong with it is logged and left out."""
        with self._looking:
            try:
                answer: Any = self._client.hgetall(self._keys.config)
            except (RedisError, OSError) as error:
                # The others of this process meet the same trouble and report it.
                log.debug("dynamic settings not read", error=str(error))
                return
            changed = answer != self._answer and self._take(answer)
        if changed and self._on_change is not None:
            self._on_change()

    def _take(self, answer: Mapping[Any, Any]) -> bool:
        """Put into force what Redis has; True if that is something else than before."""
        self._answer = answer
        made, faults = effective(self._base, values_of(all_stored(answer)))
        if faults != self._told:
            for name, fault in faults.items():
                log.warning("dynamic setting left out", setting=name, fault=fault)
            self._told = faults
        if made == self.current:
            return False
        before = self.current
        self.current = made
        settings_in_force().tell(made)
        if made.log_level != before.log_level:
            set_log_level(made.log_level)
        names = [name for name in type(made).model_fields if getattr(made, name) != getattr(before, name)]
        log.info("dynamic settings in force", **{name: getattr(made, name) for name in names})
        return True

    def start(
        self, stopping: threading.Event, others: Mapping[Change, Callable[[], None]] | None = None
    ) -> None:
        """Read them, and again at each word of a change and twice a second; `others` are told of their changes."""
        callbacks = dict(others or {})
        on_change = callbacks.pop("config", None)
        if self._base.dynamic_config_enabled:
            self.refresh()
            self._on_change = on_change
            callbacks["config"] = self.refresh
            threading.Thread(target=self._look, args=(stopping,), name="settings", daemon=True).start()
        if callbacks:
            ChangeListener(self._client, self._keys, callbacks, stopping).start()

    def _look(self, stopping: threading.Event) -> None:
        while not stopping.wait(LOOK_SECS):
            self.refresh()


Noted = Callable[[Stored, Stored], Awaitable[None]]


async def change_noted(
    client: redis.asyncio.Redis, keys: KeySpace, name: str, value: Any, if_version: int | None, note: Noted
) -> tuple[Stored, Stored] | None:
    """As `change`, and `note` it (before, after); what cannot be noted is taken back, and the error raised again."""
    answer = await change(client, keys, name, value, if_version)
    if answer is None:
        return None
    before, after = answer
    try:
        await note(before, after)
    except Exception:
        undone = await change(client, keys, name, before.value, after.version)
        log.error("a setting could not be noted in the history", setting=name, taken_back=undone is not None)
        raise
    return answer
