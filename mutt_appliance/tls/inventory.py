"""Every certificate that settings name, and what our doors and our webhook client are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.config.faults import Fault
from mutt_appliance.tls.files import (
    PemFile,
    check_key,
    ends_of,
    pem_file,
    read_certificates,
)
from mutt_appliance.tls.live import ClientFiles, DoorFiles, InUse


@dataclass(frozen=True)
class Entry:
    """One certificate file: its label in the metric, the settings of its path and of its key, and whether it is used.

    `own_door`: clients of ours look at its names.
    """

    label: str
    field: str
    key_field: str = ""
    used: Callable[[Settings], bool] = lambda _: True
    own_door: bool = False


def _redis(settings: Settings) -> bool:
    return settings.redis_tls_enabled and not settings.redis_on_socket


def _database(settings: Settings) -> bool:
    return settings.db_tls_enabled and not settings.db_address.startswith(("/", "@"))


def _webhook(settings: Settings) -> bool:
    return settings.forwarder_workers > 0


INVENTORY = (
    Entry("ingest", "ingest_tls_cert_path", "ingest_tls_key_path", own_door=True),
    Entry("ingest_client_ca", "ingest_tls_client_ca_path"),
    Entry("webui", "webui_tls_cert_path", "webui_tls_key_path", own_door=True),
    Entry("moog_ca", "moog_tls_ca_cert_path", used=_webhook),
    Entry("moog_client", "moog_tls_client_cert_path", "moog_tls_client_key_path", used=_webhook),
    Entry("redis_ca", "redis_ca_cert_path", used=_redis),
    Entry("redis_client", "redis_client_cert_path", "redis_client_key_path", used=_redis),
    Entry("db_ca", "db_tls_ca_cert_path", used=_database),
    Entry("db_client", "db_tls_client_cert_path", "db_tls_client_key_path", used=_database),
    Entry("vault_ca", "vault_ca_cert_path", used=lambda settings: settings.vault_addr is not None),
)
# Clients of a store (and the supervisor, of Vault) read their files at each connection; one role tells of them.
STORE_LABELS = ("redis_ca", "redis_client", "db_ca", "db_client", "vault_ca")
# What a process of ours cannot start without.
OWN_LABELS = ("ingest", "ingest_client_ca", "webui", "moog_ca", "moog_client")


@dataclass(frozen=True)
class Found:
    """An entry that the settings use, with its files."""

    entry: Entry
    certificate: PemFile
    key: PemFile | None


def in_force(settings: Settings) -> list[Found]:
    """The certificate files that the settings use."""
    found = []
    for entry in INVENTORY:
        certificate = pem_file(settings, entry.field)
        if certificate is not None and entry.used(settings):
            key = pem_file(settings, entry.key_field) if entry.key_field else None
            found.append(Found(entry, certificate, key))
    return found


def refuse_unusable(settings: Settings) -> None:
    """Raise ConfigError with every file of ours that cannot be used: better at the start than in a process."""
    faults: list[Fault] = []
    for found in in_force(settings):
        if found.entry.label not in OWN_LABELS:
            continue
        try:
            first = read_certificates(found.certificate)[0]
            if found.key is not None:
                check_key(found.key, first, found.certificate)
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)


class StoreFiles:
    """The certificates of the connections to Redis and PostgreSQL, as the files are now."""

    def __init__(self, settings: Settings) -> None:
        self._files = [found for found in in_force(settings) if found.entry.label in STORE_LABELS]

    def in_use(self) -> Sequence[InUse]:
        """Those that can be read; without the others there is no connection, which says so itself."""
        return list(_readable(self._files))

    def reload(self) -> None:
        """Nothing is kept that could be old."""


def _readable(files: Iterable[Found]) -> Iterable[InUse]:
    for found in files:
        try:
            ends = ends_of(read_certificates(found.certificate))
        except ConfigError:
            continue
        yield InUse(found.entry.label, str(found.certificate), ends)


def ingest_door(settings: Settings) -> DoorFiles | None:
    """What the ingestor's door is made of; None for plain HTTP."""
    certificate, key = pem_file(settings, "ingest_tls_cert_path"), pem_file(settings, "ingest_tls_key_path")
    if certificate is None or key is None:
        return None
    client_ca = pem_file(settings, "ingest_tls_client_ca_path")
    return DoorFiles("ingest", certificate, key, client_ca, settings.ingest_client_auth)


def webui_door(settings: Settings) -> DoorFiles | None:
    """What the web UI's door is made of; None for plain HTTP."""
    certificate, key = pem_file(settings, "webui_tls_cert_path"), pem_file(settings, "webui_tls_key_path")
    return DoorFiles("webui", certificate, key) if certificate is not None and key is not None else None


def webhook_files(settings: Settings) -> ClientFiles:
    """What the webhook is trusted by, and shown."""
    return ClientFiles(
        "moog",
        pem_file(settings, "moog_tls_ca_cert_path"),
        pem_file(settings, "moog_tls_client_cert_path"),
        pem_file(settings, "moog_tls_client_key_path"),
    )
