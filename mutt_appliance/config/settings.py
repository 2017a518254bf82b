"""Every setting of the appliance, once: name, type, limits, default, meaning and section.

The environment variable of a setting is its name in capitals. The checks, `mutt config show`,
`docs/configuration.md` and the children's view of the configuration all come from this class, whose parts are in
`config/sections`. Durations carry their unit in the description; those without a unit in the name are seconds, as
the specification has it.
"""

from __future__ import annotations

from pydantic import field_validator

from mutt_appliance.config.addresses import Address, parse_address
from mutt_appliance.config.sections.alerter import AlerterSettings
from mutt_appliance.config.sections.appliance import ApplianceSettings
from mutt_appliance.config.sections.database import DatabaseSettings
from mutt_appliance.config.sections.embedded import EmbeddedSettings
from mutt_appliance.config.sections.forwarder import ForwarderSettings
from mutt_appliance.config.sections.ingestor import IngestorSettings
from mutt_appliance.config.sections.redis import RedisSettings
from mutt_appliance.config.sections.retention import RetentionSettings
from mutt_appliance.config.sections.secrets import SecretsSettings
from mutt_appliance.config.sections.webui import WebuiSettings

# Where Sentinels listen by default.
SENTINEL_PORT = 26379


# The fields of the last one come first.
class Settings(
    SecretsSettings,
    RetentionSettings,
    DatabaseSettings,
    RedisSettings,
    WebuiSettings,
    ForwarderSettings,
    AlerterSettings,
    IngestorSettings,
    EmbeddedSettings,
    ApplianceSettings,
):
    """The configuration of one appliance, checked and immutable; what concerns more than one section is here."""

    @field_validator(
        "required_message_fields",
        "moog_signature_fields",
        "redis_sentinels",
        "redis_cluster_nodes",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("redis_sentinels", "redis_cluster_nodes")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse_address(each, 1)
        return value

    @property
    def embedded(self) -> bool:
        """True when the appliance runs its own Redis and PostgreSQL."""
        external_redis = self.redis_host or self.redis_sentinels or self.redis_cluster_nodes
        return not external_redis and self.db_host is None

    @property
    def redis_address(self) -> str:
        """Host name, or path of the Unix socket, of a Redis that is always in one place (see `redis_where`)."""
        if self.embedded:
            return str(self.mutt_runtime_dir / "redis" / "redis.sock")
        return self.redis_host or "localhost"

    @property
    def redis_where(self) -> str:
        """Where Redis is, in words for messages."""
        if self.redis_sentinels:
            return f"{self.redis_sentinel_master} of the Sentinels {','.join(self.redis_sentinels)}"
        if self.redis_cluster_nodes:
            return f"the cluster of {','.join(self.redis_cluster_nodes)}"
        address = self.redis_address
        return address if address.startswith("/") else str(Address(address, self.redis_port))

    @property
    def redis_servers(self) -> tuple[Address, ...]:
        """Servers that the settings name: Redis itself, nodes of its cluster, or Sentinels. Not for a Unix socket."""
        if self.redis_sentinels:
            return tuple(parse_address(each, SENTINEL_PORT) for each in self.redis_sentinels)
        if self.redis_cluster_nodes:
            return tuple(parse_address(each, self.redis_port) for each in self.redis_cluster_nodes)
        return (Address(self.redis_address, self.redis_port),)

    @property
    def redis_on_socket(self) -> bool:
        """True when Redis is reached through a Unix socket, which needs no TLS."""
        return not (self.redis_sentinels or self.redis_cluster_nodes) and self.redis_address.startswith("/")

    @property
    def db_address(self) -> str:
        """Host name, or folder of the Unix socket, that clients connect to."""
        if self.embedded:
            return str(self.mutt_runtime_dir / "postgres")
        return self.db_host or "localhost"

    @property
    def db_hosts(self) -> tuple[Address, ...]:
        """Every server of DB_HOST, the folder of a Unix socket as its host. Raises ValueError for what is none."""
        if self.embedded:
            return (Address(self.db_address, self.db_port),)
        parts = [part.strip() for part in self.db_address.split(",")]
        return tuple(
            Address(part, self.db_port) if part.startswith(("/", "@")) else parse_address(part, self.db_port)
            for part in parts
        )
