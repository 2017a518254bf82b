"""Settings of the section Appliance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("appliance")


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_capitals)]


class ApplianceSettings(Section):
    """The appliance as a whole: processes, folders, logs, supervision."""

    ingestor_workers: int = setting(1, "Ingestor processes", "processes", ge=1, le=64)
    alerter_workers: int = setting(1, "Alerter processes", "processes", ge=1, le=64)
    forwarder_workers: int = setting(
        1,
        "Moogsoft forwarder processes; 0 keeps alerts queued in Redis and forwards nothing",
        "processes",
        ge=0,
        le=64,
    )
    bind_address: str = setting("0.0.0.0", "Address the HTTP ports listen on", min_length=1)  # noqa: S104
    mutt_data_dir: Path = setting(
        Path("/var/lib/mutt"), "Folder for what must survive a restart (embedded stores)"
    )
    dlq_archive_dir: Path | None = setting(
        None,
        "Folder for dead letters that are too many for their queue (unset: dlq-archive in MUTT_DATA_DIR)",
    )
    mutt_runtime_dir: Path = setting(
        Path("/run/mutt"),
        "Folder for sockets, the pid file, metrics and health of the processes",
    )
    log_level: LogLevel = setting("INFO", "Log level (DEBUG/INFO/WARNING/ERROR)")
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "json, console, or auto: console on a terminal, json elsewhere"
    )
    log_repeat_limit: int = setting(
        20,
        "Lines that one process writes of one warning or error within a minute, beside the first of each reason; "
        "then one line says how many more there were; 0 writes all",
        "lines",
        ge=0,
    )
    liveness_timeout: float = setting(
        30.0,
        "A process that has not beaten for N seconds is ended (SIGABRT, then SIGKILL) and started again",
        "seconds",
        ge=1,
        le=3600,
    )
    start_timeout: float = setting(
        60.0, "Time a process has to report that it serves (seconds)", "seconds", ge=1, le=3600
    )
    drain_timeout: float = setting(
        20.0,
        "Time a process has to settle what it holds on SIGTERM (seconds); then SIGKILL",
        "seconds",
        ge=0.1,
        le=600,
    )
    restart_backoff_base: float = setting(
        0.25,
        "First delay before a failed process is started again (seconds)",
        "seconds",
        gt=0,
        le=60,
    )
    restart_backoff_max: float = setting(
        15.0,
        "Longest delay before a failed process is started again (seconds)",
        "seconds",
        gt=0,
        le=600,
    )
    restart_fatal_after: int = setting(
        8, "Failures in a row after which a process is FATAL", "failures", ge=1, le=100
    )
    restart_fatal_retry: float = setting(
        60.0, "A FATAL process is tried again every N seconds", "seconds", ge=1, le=3600
    )

    tls_expiry_warn_days: int = setting(
        30,
        "A certificate that ends within N days is warned of in the log and by mutt-ctl doctor",
        "days",
        ge=0,
        le=3650,
    )
    disk_warn_free_percent: float = setting(
        10.0,
        "Below this share of free space (percent) of MUTT_DATA_DIR, AUDIT_ARCHIVE_DIR or DLQ_ARCHIVE_DIR there is a "
        "warning; 0 turns it off",
        "percent",
        ge=0,
        le=90,
    )
    dynamic_config_enabled: bool = setting(
        True,
        "Let some settings be changed while MUTT runs (page Configuration, API): the value from the environment "
        "is then their default",
    )

    @property
    def dead_letter_archive(self) -> Path:
        """Folder for dead letters that are too many for their queue."""
        return self.dlq_archive_dir or self.mutt_data_dir / "dlq-archive"
