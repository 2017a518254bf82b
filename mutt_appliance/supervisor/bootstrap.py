"""The first things a worker process does, and the last."""

from __future__ import annotations

import faulthandler
import functools
import importlib
import json
import os
import signal
import sys
import threading

from setproctitle import setproctitle

from mutt_appliance.config.faults import EXIT_CONFIG, ConfigError
from mutt_appliance.process import Child, ChildSpec
from mutt_appliance.secrets import Secrets, SecretsError
from mutt_appliance.supervisor.no_dump import leave_no_dump
from mutt_appliance.supervisor.parent_death import die_with_parent
from mutt_appliance.telemetry.logs import configure_logging, finish_logging, get_logger
from mutt_appliance.telemetry.metrics import enable_pool_metrics

log = get_logger("supervisor.bootstrap")
# Blocked by the supervisor around the spawn, so that none of them ends a child that has no handler yet.
HELD_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
TAKEN_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP})
MESSAGE_MAX_BYTES = 65536


def run_child(spec: ChildSpec, module: str) -> None:
    """Become the child `spec` and call `run(child)` of `module`; never returns.

    Exits with 0 when `run` returns, with 78 on a fault of the configuration or the secrets, else 1.
    """
    die_with_parent(spec.parent_pid, signal.SIGKILL)
    leave_no_dump()
    if spec.output is not None:
        for stream in (1, 2):
            os.dup2(spec.output.fileno(), stream)
        spec.output.close()
    setproctitle(f"mutt: {spec.name}")
    # On SIGABRT: every thread's stack to stderr.
    faulthandler.enable()
    configure_logging(
        spec.settings.log_level,
        spec.settings.log_format,
        repeat_limit=spec.settings.log_repeat_limit,
        priorities=spec.log_priorities,
        process=spec.name,
    )
    enable_pool_metrics(spec.settings.mutt_runtime_dir, spec.role, spec.index)
    child = Child(spec)
    threading.excepthook = functools.partial(_thread_failed, child)
    _handle_signals(child)
    try:
        importlib.import_module(module).run(child)
    except (ConfigError, SecretsError) as error:
        log.error("configuration cannot be used", error=str(error))
        _leave(child, EXIT_CONFIG)
    # Whatever went wrong in a role is logged here once, and the supervisor starts it again.
    except Exception:
        log.exception("process failed")
        _leave(child, 1)
    _leave(child, 0)


def _thread_failed(child: Child, what: threading.ExceptHookArgs) -> None:
    """No thread of a role ends by an error but by one that nobody foresaw: then the whole process begins anew.

    One that only lacks a thread would go on with old rules or settings, and look well. While it stops, what threads
    use is taken from them, and nobody needs them any more.
    """
    thread = what.thread.name if what.thread else "?"
    error = (what.exc_type, what.exc_value, what.exc_traceback)
    if child.stopping.is_set():
        log.debug("thread ended by an error while the process stops", thread=thread, exc_info=error)
        return
    log.error("process failed", thread=thread, exc_info=error)
    _leave(child, 1)


def _handle_signals(child: Child) -> None:
    """Take them one after the other in a thread of their own; in every other thread they stay blocked.

    A handler would interrupt whatever the main thread does, another handler as well. Both use locks (events, the
    log), and one that is held by what was interrupted would never be free again.
    """

    def loop() -> None:
        while True:
            if signal.sigwait(TAKEN_SIGNALS) == signal.SIGTERM:
                child.request_stop()
            else:
                _take_messages(child)
                child.request_reload()

    # Ctrl-C reaches the whole process group; the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN_SIGNALS)
    threading.Thread(target=loop, name="signals", daemon=True).start()


def _take_messages(child: Child) -> None:
    """Take what the supervisor sent before a SIGHUP: new secrets, and the number of the reload."""
    while True:
        try:
            packet = child.spec.channel.recv(MESSAGE_MAX_BYTES)
        except OSError:
            return
        if not packet:
            return
        message = json.loads(packet)
        if message.get("kind") == "secrets":
            child.secrets = Secrets(**message["values"])
        elif message.get("kind") == "reload":
            child.reload_round = int(message["round"])


def _leave(child: Child, code: int) -> None:
    """Exit at once: a thread of the role that still runs must not hold the process up."""
    child.close_tracing()
    finish_logging()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
