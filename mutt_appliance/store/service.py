"""The one-shot role "migrator": ends with 0 when the database is ready for the others."""

from __future__ import annotations

import threading

from mutt_appliance.process import Child
from mutt_appliance.store.errors import SchemaError, Stopped, StoreUnavailable
from mutt_appliance.store.prepare import Prepared, prepare_database
from mutt_appliance.telemetry.logs import get_logger

log = get_logger("store.service")

# With an external database that is away, the ingestor must not wait long for us: the supervisor starts the
# other roles after our first failure and tries us again.
PATIENCE_SECS = 15.0
BEAT_SECS = 0.2
COMPONENT = "postgres"


def run(child: Child) -> None:
    """Prepare the database while beating; returns when it is ready or the child must stop.

    Exits with 1, the reason in the log, when the database cannot be reached or its schema cannot be mended.
    """
    outcome: list[Prepared | StoreUnavailable | SchemaError | Stopped] = []
    patience = min(PATIENCE_SECS, child.settings.start_timeout / 2)

    def work() -> None:
        try:
            outcome.append(
                prepare_database(
                    child.settings,
                    child.secrets,
                    f"mutt {child.name}",
                    patience_secs=patience,
                    stop=child.stopping,
                    report=lambda sentence: log.info("database", state=sentence),
                )
            )
        except (StoreUnavailable, SchemaError, Stopped) as error:
            outcome.append(error)

    child.health.set(COMPONENT, ok=False, detail="being prepared")
    # In a thread, because a migration may take longer than a child may be silent.
    thread = threading.Thread(target=work, name="migration", daemon=True)
    thread.start()
    while thread.is_alive():
        child.beat()
        # Leaving in the middle is safe: PostgreSQL rolls back what a lost session had begun.
        if child.stopping.wait(BEAT_SECS):
            return
    if not outcome:
        raise RuntimeError(
            "the migration ended by an error that is not the database's: see its traceback above"
        )
    result = outcome[0]
    if isinstance(result, Stopped):
        return
    if not isinstance(result, Prepared):
        child.health.set(COMPONENT, ok=False, detail=str(result))
        log.error("database is not ready", error=str(result))
        raise SystemExit(1)
    child.health.set(COMPONENT, ok=True, detail="migrated")
    log.info("database is ready", migrations=list(result.migrations), partitions=list(result.partitions))
    child.ready()
