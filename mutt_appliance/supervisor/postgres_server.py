"""The embedded PostgreSQL: private socket, made at first start."""

from __future__ import annotations

import signal
from pathlib import Path

from mutt_appliance.config import Settings
from mutt_appliance.supervisor.folders import hold, make_private_folder, remove_folder
from mutt_appliance.supervisor.placement import runnable_postgres
from mutt_appliance.supervisor.probes import postgres_question
from mutt_appliance.supervisor.programs import RunAs, find_postgres_folder
from mutt_appliance.supervisor.servers import Program

# For the supervisor's probe, a psql of the operator, the migrator, autovacuum's neighbours.
SPARE_CONNECTIONS = 20
ROLES_BESIDE_POOLS = 2


def postgres_programs(settings: Settings, user: RunAs) -> tuple[Program | None, Program]:
    """(initdb if there is no cluster yet, the server); makes their folders. Raises ProgramError."""
    data = settings.mutt_data_dir / "postgres"
    new = settings.mutt_data_dir / "postgres.new"
    sockets = Path(settings.db_address)
    lock = settings.mutt_data_dir / "postgres.lock"
    make_private_folder(sockets, user)
    version = _version_of(data)
    found = find_postgres_folder(settings.embedded_postgres_bin_dir, version)
    programs = runnable_postgres(found, settings.mutt_data_dir, user)

    def prepare_initdb() -> list[int]:
        descriptor = hold(lock)
        remove_folder(new)
        make_private_folder(new, user)
        return [descriptor]

    def finish_initdb() -> None:
        # Under its name only when complete: an initdb that was killed leaves nothing half done.
        new.rename(data)

    def prepare_server() -> list[int]:
        descriptor = hold(lock)
        make_private_folder(data, user)
        # We hold the lock, so nobody runs. After a crash the pid in these files may be that of another process.
        for leftover in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)
        return [descriptor]

    initdb = Program(
        arguments=[programs / "initdb", *initdb_options(settings, new)],
        user=user,
        folder=settings.mutt_data_dir,
        abort_signal=signal.SIGTERM,
        prepare=prepare_initdb,
        finish=finish_initdb,
    )
    server = Program(
        arguments=[programs / "postgres", *postgres_options(settings, data, sockets)],
        user=user,
        folder=settings.mutt_data_dir,
        question=postgres_question(sockets / f".s.PGSQL.{settings.db_port}", settings.db_user),
        stop_signal=signal.SIGINT,
        abort_signal=signal.SIGQUIT,
        prepare=prepare_server,
    )
    return (None if version else initdb), server


def initdb_options(settings: Settings, folder: Path) -> list[str]:
    """Command line of initdb. Whoever may enter the socket's folder, which is private, is let in."""
    return [
        *("--pgdata", str(folder)),
        *("--username", settings.db_user),
        *("--encoding", "UTF8", "--locale", "C", "--auth", "trust"),
        "--no-instructions",
    ]


def postgres_options(settings: Settings, data: Path, sockets: Path) -> list[str]:
    """Command line of postgres."""
    processes = settings.ingestor_workers + settings.alerter_workers + settings.forwarder_workers
    connections = settings.db_pool_max_conn * (processes + ROLES_BESIDE_POOLS) + SPARE_CONNECTIONS
    quoted_sockets = str(sockets).replace('"', '""')
    options = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{quoted_sockets}"',
        "unix_socket_permissions": "0700",
        "port": str(settings.db_port),
        "max_connections": str(connections),
        "shared_buffers": "128MB",
        "jit": "off",
        "ssl": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_destination": "stderr",
        "logging_collector": "off",
        # Our own log adds time and process.
        "log_line_prefix": "",
        "cluster_name": "mutt",
    }
    return ["-D", str(data), *(part for name, value in options.items() for part in ("-c", f"{name}={value}"))]


def _version_of(data: Path) -> str | None:
    """Major version that made the cluster, None if there is none."""
    try:
        return (data / "PG_VERSION").read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
