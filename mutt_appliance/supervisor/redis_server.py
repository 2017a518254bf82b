"""The embedded Redis: private socket, append-only file, never evicts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.supervisor.folders import hold, make_private_folder
from mutt_appliance.supervisor.placement import runnable_redis
from mutt_appliance.supervisor.probes import redis_question
from mutt_appliance.supervisor.programs import VERSION_TIMEOUT_SECS, ProgramError, RunAs, find_redis_server
from mutt_appliance.supervisor.servers import Program

FIRST_WITH_AOF_FOLDER = 7


def redis_program(settings: Settings, user: RunAs) -> Program:
    """The program to supervise; makes its folders. Raises ProgramError."""
    folder = settings.mutt_data_dir / "redis"
    socket_path = Path(settings.redis_address)
    make_private_folder(folder, user)
    make_private_folder(socket_path.parent, user)
    found = find_redis_server(settings.embedded_redis_server)
    program = runnable_redis(found, settings.mutt_data_dir, user)
    _refuse_downgrade(program, folder)
    lock = settings.mutt_data_dir / "redis.lock"
    return Program(
        arguments=[program, *redis_options(settings, folder, socket_path)],
        user=user,
        folder=folder,
        question=redis_question(socket_path),
        prepare=lambda: [hold(lock)],
    )


def redis_options(settings: Settings, folder: Path, socket_path: Path) -> list[str]:
    """Command line of redis-server.

    The append-only file is the truth, so there are no snapshots beside it; queues are never
    evicted: a full Redis refuses writes and the ingestor answers 503.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": settings.embedded_redis_appendfsync,
        "save": "",
        "maxmemory": settings.embedded_redis_maxmemory,
        "maxmemory-policy": "noeviction",
        "lazyfree-lazy-expire": "yes",
        "daemonize": "no",
        "supervised": "no",
        "logfile": "",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def _refuse_downgrade(program: Path, folder: Path) -> None:
    """Redis 6 does not see the files of Redis 7 and would start empty."""
    if not (folder / "appendonlydir").is_dir():
        return
    answer = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_SECS, check=False
    )
    match = re.search(r"v=(\d+)\.", answer.stdout)
    if match and int(match.group(1)) < FIRST_WITH_AOF_FOLDER:
        raise ProgramError(
            f"{program}: is Redis {match.group(1)}, but {folder} was written by Redis {FIRST_WITH_AOF_FOLDER} or "
            "later, which it cannot read: install that version again, or name it in EMBEDDED_REDIS_SERVER"
        )
