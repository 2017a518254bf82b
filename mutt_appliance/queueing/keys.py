"""Every Redis key of the appliance.

    mutt:ingest_queue                 list    events, new ones at the left, consumed at the right
    mutt:dedup:{n}                    set     digests of event ids seen in window number n
    mutt:processing:alerter:{worker}  list    events a worker has claimed and not yet settled
    mutt:heartbeat:alerter:{worker}   string  lease token of the worker, expires without renewal
    mutt:processing:alerter           (with suffix :workers, :suspects)
        …:workers                     set     names of workers whose list the janitor looks at
        …:suspects                    hash    sha1 of an event -> workers that died while they held it
    mutt:alert_queue                  list    alerts for Moogsoft, consumed at the right
    mutt:processing:moog:{worker}, mutt:heartbeat:moog:{worker}, …:workers, …:suspects   as above
    mutt:retry:moog                   zset    alerts by the time (ms) of their next attempt
    mutt:rate_limit:moog              zset    requests that count for the rate limit, by the last time (µs)
                                              at which each may have arrived
    mutt:circuit:moog                 hash    failed requests in a row, whether the circuit is open, when to probe
    mutt:dlq:ingest|alerter|moog      list    dead letters, new ones at the left
    mutt:replay:{queue}               hash    how far the replay of all dead letters of a queue is
    mutt:replay:{queue}:lock          string  held by the process that does it
    mutt:load:{dump}:{place}          list or zset, what mutt-ctl queues load has read so far
    mutt:loaded:{dump}                string  a dump that was loaded
    mutt:replay:{queue}:auto          string  paces the replay that forwarders do by themselves, expires
    mutt:dlq_archive:lock             string  held by the process that archives dead letters, expires
    mutt:traced                       list    deliveries of traced alerts (mutt-ctl send), new ones at the left
    mutt:config                       hash    dynamic settings that were changed: value and version
    mutt:changes                      channel what changed, for who keeps a copy: rules, config
    mutt:session:{digest}             hash    a person signed in to the web UI, expires without use
    mutt:signin:{address}             string  wrong keys from an address in the last minutes
    mutt:unhandled:{host}:{hash}      string  count of unmatched events of one pattern of one host
    mutt:unhandled:triggered:{host}:{hash}    the same, after its meta-alert was sent
    mutt:metrics:{1m|1h|24h}:{n}      string  accepted events in window number n
    mutt:slo:{component}:{success|fail}:{5m|1h}:{n}
                                      string  requests of a component in window number n, for service levels
    mutt:hits:{1h|24h}:{n}            hash    events a rule handled in window number n, by the rule's id
    mutt:hosts:1h:{n}                 zset    hosts by their events in window number n
    mutt:patterns:1h:{n}              zset    hashes of patterns of unmatched events by their number
    mutt:samples:1h:{n}               hash    one such event for each of these patterns
    mutt:shards                       zset    numbers of the shards that were ever in use, by the time (s) an
                                              ingestor last had each in its configuration

Scripts touch several keys at once, so on Redis Cluster all of them need one hash tag, which `shard_tag` puts
in front of each. With REDIS_SHARDS=n all of this exists n times, each under a tag of its own. What is there
once for the whole appliance lies in shard 0, which is therefore called home: config, changes, sessions and
sign-ins, the rate limit, the circuit, replays, the counts of accepted events, and mutt:shards.
"""

from __future__ import annotations

from dataclasses import dataclass

from mutt_appliance.config import Settings

CLUSTER_HASH_TAG = "mutt"


def shard_tag(settings: Settings, shard: int) -> str:
    """Hash tag of a shard, empty for none: mutt, mutt-1, mutt-2, … or the same with REDIS_HASH_TAG.

    Shard 0 has none outside a Cluster without REDIS_HASH_TAG, so that its keys are what they always were.
    """
    tag = settings.redis_hash_tag or (CLUSTER_HASH_TAG if settings.redis_cluster_nodes else "")
    return tag if shard == 0 else f"{tag or CLUSTER_HASH_TAG}-{shard}"


@dataclass(frozen=True)
class WorkQueue:
    """The keys of one stage: where work comes from, where it lies while worked on, where it dies."""

    source: str
    processing_prefix: str
    heartbeat_prefix: str
    dead: str

    def processing(self, worker: str) -> str:
        """List of what `worker` holds."""
        return f"{self.processing_prefix}:{worker}"

    def heartbeat(self, worker: str) -> str:
        """Lease of `worker`."""
        return f"{self.heartbeat_prefix}:{worker}"

    @property
    def workers(self) -> str:
        """Names of the workers that have a list."""
        return f"{self.processing_prefix}:workers"

    @property
    def suspects(self) -> str:
        """Items that were held by a worker when it died."""
        return f"{self.processing_prefix}:suspects"

    def is_processing_list(self, key: str) -> bool:
        """True for a worker's list, False for the two bookkeeping keys beside it."""
        return key not in (self.workers, self.suspects)


class KeySpace:
    """All keys of one shard, under its hash tag if it has one."""

    def __init__(self, settings: Settings, shard: int = 0) -> None:
        name = shard_tag(settings, shard)
        tag = f"{{{name}}}" if name else ""
        self.ingest_queue = tag + settings.ingest_queue_name
        self.ingest_dead = tag + settings.ingest_dlq_name
        self.alert_queue = tag + settings.alert_queue_name
        self.retry = tag + settings.moog_retry_set_name
        self.traced = tag + "mutt:traced"
        self.config = tag + "mutt:config"
        self.changes = tag + "mutt:changes"
        self.shards = tag + "mutt:shards"
        self.circuit = tag + "mutt:circuit:moog"
        self.archive_lock = tag + "mutt:dlq_archive:lock"
        self._activity_prefix = tag + "mutt"
        self._session_prefix = tag + "mutt:session"
        self._signin_prefix = tag + "mutt:signin"
        self.rate_limit = tag + settings.moog_rate_limit_key
        self.metrics_prefix = tag + settings.metrics_prefix
        self._dedup_prefix = tag + settings.ingest_dedup_prefix
        self._unhandled_prefix = tag + settings.unhandled_prefix
        self.events = WorkQueue(
            source=self.ingest_queue,
            processing_prefix=tag + settings.alerter_processing_list_prefix,
            heartbeat_prefix=tag + settings.alerter_heartbeat_prefix,
            dead=tag + settings.alerter_dlq_name,
        )
        self.alerts = WorkQueue(
            source=self.alert_queue,
            processing_prefix=tag + settings.moog_processing_list_prefix,
            heartbeat_prefix=tag + settings.moog_heartbeat_prefix,
            dead=tag + settings.moog_dlq_name,
        )

    def activity(self, what: str, window: str, number: int) -> str:
        """Counts of `what` (hits, hosts, patterns, samples) in a window ("1h", "24h")."""
        return f"{self._activity_prefix}:{what}:{window}:{number}"

    def outcomes(self, component: str, outcome: str) -> str:
        """Prefix of the counters of a component's requests that ended as success or fail."""
        return f"{self._activity_prefix}:slo:{component}:{outcome}"

    def replay(self, queue: str) -> str:
        """Progress of the replay of a dead letter queue; with `:lock` who does it, with `:auto` its pace."""
        return f"{self._activity_prefix}:replay:{queue}"

    def staged(self, dump: str, place: str) -> str:
        """Items of a dump that go to `place` when all of them are read."""
        return f"{self._activity_prefix}:load:{dump}:{place}"

    def loaded(self, dump: str) -> str:
        """Mark of a dump that was loaded."""
        return f"{self._activity_prefix}:loaded:{dump}"

    def session(self, digest: str) -> str:
        """A session of the web UI, by the digest of its token."""
        return f"{self._session_prefix}:{digest}"

    def signin_failures(self, address: str) -> str:
        """Count of wrong keys from an address."""
        return f"{self._signin_prefix}:{address}"

    def dedup(self, window_number: int) -> str:
        """Set of event ids first seen in the given window."""
        return f"{self._dedup_prefix}:{window_number}"

    def unhandled(self, hostname: str, pattern_hash: str) -> str:
        """Counter of unmatched events of one pattern."""
        return f"{self._unhandled_prefix}:{hostname}:{pattern_hash}"

    def unhandled_triggered(self, hostname: str, pattern_hash: str) -> str:
        """The counter's name once its meta-alert was sent."""
        return f"{self._unhandled_prefix}:triggered:{hostname}:{pattern_hash}"
