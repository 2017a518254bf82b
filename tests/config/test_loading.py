"""From variables to settings, or to every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutt_appliance.config import ConfigError, Settings, load
from mutt_appliance.config.checks import unprotected
from mutt_appliance.config.declaring import variable_name

DOOR = {"INGEST_TLS_CERT_PATH": "/c", "INGEST_TLS_KEY_PATH": "/k"}
WEBHOOK = {"MOOG_WEBHOOK_URL": "https://moog.example.com/events"}

# Name and default of each variable in the specification's four tables. Vault and the stores' hosts are
# not among them: there the appliance has its own defaults (a secrets file, embedded stores).
SPECIFIED = {
    "SERVER_PORT_INGESTOR": 8080, "REDIS_PORT": 6379, "REDIS_TLS_ENABLED": True,
    "REDIS_CA_CERT_PATH": Path("/etc/mutt/certs/ca.pem"), "REDIS_MAX_CONNECTIONS": 20,
    "MAX_INGEST_QUEUE_SIZE": 1000000, "INGEST_QUEUE_NAME": "mutt:ingest_queue", "METRICS_PREFIX": "mutt:metrics",
    "VAULT_SECRET_ID_FILE": Path("/etc/mutt/secrets/vault_secret_id"), "VAULT_SECRETS_PATH": "secret/mutt",
    "VAULT_TOKEN_RENEW_THRESHOLD": 3600, "VAULT_RENEW_CHECK_INTERVAL": 300,
    "REQUIRED_MESSAGE_FIELDS": ("timestamp", "message", "hostname"), "METRICS_PORT_ALERTER": 8081,
    "HEALTH_PORT_ALERTER": 8082, "LOG_LEVEL": "INFO", "ALERT_QUEUE_NAME": "mutt:alert_queue",
    "ALERTER_PROCESSING_LIST_PREFIX": "mutt:processing:alerter", "ALERTER_HEARTBEAT_PREFIX": "mutt:heartbeat:alerter",
    "ALERTER_HEARTBEAT_INTERVAL": 10, "ALERTER_JANITOR_TIMEOUT": 30, "ALERTER_DLQ_NAME": "mutt:dlq:alerter",
    "ALERTER_MAX_RETRIES": 3, "BRPOPLPUSH_TIMEOUT": 5, "DB_PORT": 5432, "DB_NAME": "mutt_db",
    "DB_USER": "mutt_user", "DB_TLS_ENABLED": True, "DB_TLS_CA_CERT_PATH": None, "DB_POOL_MIN_CONN": 2,
    "DB_POOL_MAX_CONN": 10, "CACHE_RELOAD_INTERVAL": 300, "UNHANDLED_PREFIX": "mutt:unhandled",
    "UNHANDLED_THRESHOLD": 100, "UNHANDLED_EXPIRY_SECONDS": 86400, "UNHANDLED_DEFAULT_TEAM": "NETO",
    "ALERTER_QUEUE_WARN_THRESHOLD": 1000, "ALERTER_QUEUE_SHED_THRESHOLD": 2000, "ALERTER_SHED_MODE": "dlq",
    "ALERTER_DEFER_SLEEP_MS": 250, "METRICS_PORT_MOOG": 8083, "HEALTH_PORT_MOOG": 8084,
    "MOOG_PROCESSING_LIST_PREFIX": "mutt:processing:moog", "MOOG_DLQ_NAME": "mutt:dlq:moog",
    "MOOG_HEARTBEAT_PREFIX": "mutt:heartbeat:moog", "MOOG_HEARTBEAT_INTERVAL": 10, "MOOG_JANITOR_TIMEOUT": 30,
    "MOOG_WEBHOOK_TIMEOUT": 10, "MOOG_RATE_LIMIT": 50, "MOOG_RATE_PERIOD": 1,
    "MOOG_RATE_LIMIT_KEY": "mutt:rate_limit:moog", "MOOG_MAX_RETRIES": 5, "MOOG_RETRY_BASE_DELAY": 1.0,
    "MOOG_RETRY_MAX_DELAY": 60.0, "SERVER_PORT_WEBUI": 8090, "METRICS_CACHE_TTL": 5, "AUDIT_LOG_PAGE_SIZE": 50,
    "PROMETHEUS_URL": "http://localhost:9090",
}  # fmt: skip
NAMED_WITHOUT_DEFAULT = {
    "POD_NAME",
    "REDIS_HOST",
    "DB_HOST",
    "VAULT_ADDR",
    "VAULT_ROLE_ID",
    "MOOG_WEBHOOK_URL",
}


def faults(**variables: str) -> dict[str, str]:
    """The faults of a configuration by variable."""
    with pytest.raises(ConfigError) as caught:
        load({**WEBHOOK, **variables})
    return {fault.variable: str(fault) for fault in caught.value.faults}


@pytest.mark.parametrize("name", sorted(SPECIFIED))
def test_every_variable_of_the_specification_has_its_default(name: str) -> None:
    assert getattr(load(WEBHOOK).settings, name.lower()) == SPECIFIED[name]


def test_variables_without_a_default_are_known() -> None:
    known = {variable_name(field) for field in Settings.model_fields}
    assert known >= NAMED_WITHOUT_DEFAULT


def test_every_fault_is_told_at_once_with_variable_value_and_remedy() -> None:
    found = faults(MOOG_RATE_LIMIT="abc", ALERTER_SHED_MODE="drop", DB_PORT="0", ALERTER_JANITOR_TIMEOUT="5")
    assert set(found) == {"MOOG_RATE_LIMIT", "ALERTER_SHED_MODE", "DB_PORT", "ALERTER_JANITOR_TIMEOUT"}
    assert found["MOOG_RATE_LIMIT"].startswith(
        "MOOG_RATE_LIMIT=abc: must be a whole number of requests, 1 or more"
    )
    assert "one of dlq, defer" in found["ALERTER_SHED_MODE"]
    assert "1 to 65535" in found["DB_PORT"]
    assert "ALERTER_HEARTBEAT_INTERVAL=10" in found["ALERTER_JANITOR_TIMEOUT"]


@pytest.mark.parametrize("name", [variable_name(field) for field in Settings.model_fields])
def test_no_value_makes_loading_fail_without_naming_the_variable(name: str) -> None:
    for value in ("\x00", "ü" * 300, "-1", "1e999", "nan", "/", "{}"):
        try:
            load({**WEBHOOK, name: value})
        except ConfigError as error:
            assert {fault.variable for fault in error.faults}
            assert all(fault.problem for fault in error.faults)


@given(
    st.dictionaries(st.sampled_from([variable_name(f) for f in Settings.model_fields]), st.text(max_size=12))
)
def test_any_values_load_or_are_refused_with_reasons(variables: dict[str, str]) -> None:
    try:
        assert load({**WEBHOOK, **variables}).settings
    except ConfigError as error:
        assert error.faults


def test_the_environment_wins_over_the_file_and_an_empty_value_is_not_set(tmp_path: Path) -> None:
    env_file = tmp_path / "mutt.env"
    env_file.write_text("MOOG_RATE_LIMIT=7\nMOOG_RATE_PERIOD=3\nREDIS_HOST=\n# DB_HOST=x\n")
    settings = load({**WEBHOOK, "MOOG_RATE_LIMIT": "9"}, env_file).settings
    assert (settings.moog_rate_limit, settings.moog_rate_period, settings.redis_host) == (9, 3, None)
    assert settings.embedded


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load(WEBHOOK, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="MUTT_ENV_FILE"):
        load({**WEBHOOK, "MUTT_ENV_FILE": str(tmp_path)})


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MOOG_RATELIMIT", "MOOG_RATE_LIMIT"),
        ("ALERTER_BATCHSIZE", "ALERTER_BATCH_SIZE"),
        ("MUTT_DATADIR", "MUTT_DATA_DIR"),
    ],
)
def test_a_variable_that_is_nearly_ours_gets_a_warning_with_the_right_name(typo: str, meant: str) -> None:
    (warning,) = load({**WEBHOOK, typo: "1"}).warnings
    assert typo in warning
    assert meant in warning


def test_a_typo_is_told_beside_the_faults_it_may_be_the_cause_of() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"MOOG_WEBHOOK_URI": "http://a/b"})
    assert "MOOG_WEBHOOK_URL" in caught.value.warnings[0]


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert load({**WEBHOOK, "PATH": "/bin", "LANG": "C", "HTTP_PROXY": "x"}).warnings == ()


def test_a_secret_in_the_environment_is_refused_and_not_repeated() -> None:
    found = faults(DB_PASS="hunter2", MOOG_API_KEY="token-xyz")
    assert set(found) == {"DB_PASS", "MOOG_API_KEY"}
    assert "hunter2" not in str(found)
    assert "token-xyz" not in str(found)


def test_the_webhook_is_required_unless_nothing_is_forwarded() -> None:
    with pytest.raises(ConfigError, match="FORWARDER_WORKERS=0"):
        load({})
    assert load({"FORWARDER_WORKERS": "0"}).settings.moog_webhook_url is None


def test_a_password_in_the_webhook_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"MOOG_WEBHOOK_URL": "https://user:hunter2@moog.example.com/x"})
    assert "hunter2" not in str(caught.value)
    assert "MOOG_AUTH_SCHEME" in str(caught.value)


def test_two_roles_cannot_share_a_port_or_a_key() -> None:
    assert "SERVER_PORT_WEBUI" in faults(SERVER_PORT_WEBUI="8080")
    assert "MOOG_DLQ_NAME" in faults(MOOG_DLQ_NAME="mutt:dlq:alerter")


def test_one_store_host_moves_both_out_of_the_appliance() -> None:
    settings = load({**WEBHOOK, "DB_HOST": "db.example.com"}).settings
    assert (settings.embedded, settings.redis_address, settings.db_address) == (
        False,
        "localhost",
        "db.example.com",
    )


def test_sentinels_or_a_cluster_are_no_embedded_stores() -> None:
    sentinels = load({**WEBHOOK, "REDIS_SENTINELS": "s1:26379, s2:26379,s3"}).settings
    assert not sentinels.embedded
    assert sentinels.redis_where == "mymaster of the Sentinels s1:26379,s2:26379,s3"
    cluster = load({**WEBHOOK, "REDIS_CLUSTER_NODES": "c1:7000"}).settings
    assert not cluster.embedded
    assert cluster.redis_where == "the cluster of c1:7000"


def test_sentinels_speak_tls_as_redis_does_unless_told_otherwise() -> None:
    both = {**WEBHOOK, "REDIS_SENTINELS": "s1"}
    assert load(both).settings.redis_sentinels_over_tls
    assert not load({**both, "REDIS_TLS_ENABLED": "false"}).settings.redis_sentinels_over_tls
    assert not load({**both, "REDIS_SENTINEL_TLS_ENABLED": "false"}).settings.redis_sentinels_over_tls


@pytest.mark.parametrize(
    ("variable", "given"),
    [
        ("REDIS_SENTINELS", {"REDIS_HOST": "r1", "REDIS_SENTINELS": "s1"}),
        ("REDIS_CLUSTER_NODES", {"REDIS_SENTINELS": "s1", "REDIS_CLUSTER_NODES": "c1"}),
        ("REDIS_SENTINELS", {"REDIS_SENTINELS": "s1:many"}),
        ("REDIS_DB", {"REDIS_CLUSTER_NODES": "c1", "REDIS_DB": "2"}),
        ("REDIS_CLIENT_KEY_PATH", {"REDIS_HOST": "r1", "REDIS_CLIENT_KEY_PATH": "/x.key"}),
        ("REDIS_WAIT_REPLICAS", {"REDIS_WAIT_REPLICAS": "1"}),
        (
            "REDIS_WAIT_TIMEOUT_MS",
            {"REDIS_HOST": "r1", "REDIS_WAIT_REPLICAS": "1", "REDIS_WAIT_TIMEOUT_MS": "6000"},
        ),
    ],
)
def test_settings_of_redis_that_contradict_each_other_are_refused(
    variable: str, given: dict[str, str]
) -> None:
    assert list(faults(**given)) == [variable]


def test_a_runtime_folder_too_deep_for_sockets_is_refused() -> None:
    assert "too long" in faults(MUTT_RUNTIME_DIR="/" + "x" * 90)["MUTT_RUNTIME_DIR"]


@pytest.mark.parametrize(
    ("variables", "faulty", "told"),
    [
        ({"INGEST_TLS_CERT_PATH": "/c"}, "INGEST_TLS_KEY_PATH", "INGEST_TLS_CERT_PATH needs it"),
        ({"INGEST_TLS_KEY_PATH": "/k"}, "INGEST_TLS_CERT_PATH", "INGEST_TLS_KEY_PATH needs it"),
        ({"WEBUI_TLS_CERT_PATH": "/c"}, "WEBUI_TLS_KEY_PATH", "WEBUI_TLS_CERT_PATH needs it"),
        ({"MOOG_TLS_CLIENT_KEY_PATH": "/k"}, "MOOG_TLS_CLIENT_CERT_PATH", "MOOG_TLS_CLIENT_KEY_PATH needs it"),
        ({"INGEST_TLS_CLIENT_CA_PATH": "/a"}, "INGEST_TLS_CLIENT_CA_PATH", "without INGEST_TLS_CERT_PATH"),
        ({"INGEST_TLS_CLIENT_AUTH": "none"}, "INGEST_TLS_CLIENT_AUTH", "without INGEST_TLS_CERT_PATH"),
        ({**DOOR, "INGEST_TLS_CLIENT_AUTH": "optional"}, "INGEST_TLS_CLIENT_CA_PATH", "optional needs it"),
        ({**DOOR, "INGEST_TLS_CLIENT_AUTH": "yes"}, "INGEST_TLS_CLIENT_AUTH", "one of none, optional, required"),
        ({"MOOG_WEBHOOK_URL": "http://m/x", "MOOG_TLS_CA_CERT_PATH": "/a"}, "MOOG_TLS_CA_CERT_PATH", "https://"),
        ({**DOOR, "INGEST_TLS_KEY_PATH": "k"}, "INGEST_TLS_KEY_PATH", "absolute"),
    ],
)  # fmt: skip
def test_certificates_that_make_no_sense_are_faults(
    variables: dict[str, str], faulty: str, told: str
) -> None:
    assert told in faults(**variables)[faulty]


@pytest.mark.parametrize(
    ("variables", "auth"),
    [
        ({}, "none"),
        (DOOR, "none"),
        ({**DOOR, "INGEST_TLS_CLIENT_CA_PATH": "/a"}, "required"),
        ({**DOOR, "INGEST_TLS_CLIENT_CA_PATH": "/a", "INGEST_TLS_CLIENT_AUTH": "optional"}, "optional"),
    ],
)
def test_certificates_of_senders_are_required_where_their_authority_is_named(
    variables: dict[str, str], auth: str
) -> None:
    assert load({**WEBHOOK, **variables}).settings.ingest_client_auth == auth


AWAY = {"REDIS_HOST": "redis.example.net", "DB_HOST": "db.example.net"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (AWAY, []),
        ({**AWAY, "REDIS_TLS_ENABLED": "false"}, ["REDIS_TLS_ENABLED=false"]),
        ({**AWAY, "DB_TLS_ENABLED": "false"}, ["DB_TLS_ENABLED=false"]),
        ({"REDIS_HOST": "/run/r.sock", "DB_HOST": "@pg", "REDIS_TLS_ENABLED": "false", "DB_TLS_ENABLED": "false"}, []),
        ({"REDIS_HOST": "127.0.0.2", "DB_HOST": "localhost:5433,[::1]:5432", "REDIS_TLS_ENABLED": "false",
          "DB_TLS_ENABLED": "false"}, []),
        ({"DB_HOST": "localhost,db2.example.net:5433", "DB_TLS_ENABLED": "false"}, ["DB_TLS_ENABLED=false"]),
        ({"REDIS_SENTINELS": "127.0.0.1,s2.example.net", "DB_HOST": "/run", "REDIS_TLS_ENABLED": "false"},
         ["REDIS_TLS_ENABLED=false"]),
        ({"REDIS_SENTINELS": "s1.example.net", "DB_HOST": "/run", "REDIS_SENTINEL_TLS_ENABLED": "false"},
         ["REDIS_SENTINEL_TLS_ENABLED=false"]),
        ({"REDIS_CLUSTER_NODES": "r1.example.net:7000", "DB_HOST": "/run", "REDIS_TLS_ENABLED": "false"},
         ["REDIS_TLS_ENABLED=false"]),
        ({"MOOG_WEBHOOK_URL": "http://moog.example.net/x"}, ["MOOG_WEBHOOK_URL is http://"]),
        ({"MOOG_WEBHOOK_URL": "http://127.0.0.1:8099/x"}, []),
        ({**DOOR, "INGEST_TLS_CLIENT_CA_PATH": "/a", "INGEST_TLS_CLIENT_AUTH": "none"},
         ["INGEST_TLS_CLIENT_AUTH=none"]),
    ],
)  # fmt: skip
def test_what_goes_unprotected_over_a_network_is_told(variables: dict[str, str], told: list[str]) -> None:
    found = unprotected(load({**WEBHOOK, **variables}).settings)
    assert [remark[: len(start)] for remark, start in zip(found, told, strict=True)] == told


def test_no_setting_turns_the_verification_of_certificates_off() -> None:
    """Nothing but the switches that turn TLS off as a whole, and those are told."""
    switches = {
        field
        for field, info in Settings.model_fields.items()
        if info.annotation in (bool, bool | None)
        and ("tls" in field or "verif" in field or "insecure" in field)
    }
    assert switches == {"redis_tls_enabled", "redis_sentinel_tls_enabled", "db_tls_enabled"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db1", ["db1:5432"]),
        ("db1, db2:5433", ["db1:5432", "db2:5433"]),
        ("[2001:db8::1]:5433,2001:db8::2", ["[2001:db8::1]:5433", "[2001:db8::2]:5432"]),
        ("/run/postgresql,db1", ["/run/postgresql:5432", "db1:5432"]),
    ],
)
def test_the_database_may_be_several_hosts(text: str, expected: list[str]) -> None:
    settings = load({**WEBHOOK, "DB_HOST": text}).settings
    assert [str(each) for each in settings.db_hosts] == expected


@pytest.mark.parametrize("text", ["db1,", "db1:0", "db1:http", "[::1", "a b", ":5432"])
def test_a_database_host_that_is_none_is_refused(text: str) -> None:
    assert "write host or host:port" in faults(DB_HOST=text)["DB_HOST"]


def test_half_a_client_certificate_is_refused() -> None:
    found = faults(DB_HOST="db1", DB_TLS_CLIENT_CERT_PATH="/etc/c.pem")
    assert "set both or neither" in found["DB_TLS_CLIENT_KEY_PATH"]


def test_a_client_certificate_without_tls_is_refused() -> None:
    paths = {"DB_TLS_CLIENT_CERT_PATH": "/etc/c.pem", "DB_TLS_CLIENT_KEY_PATH": "/etc/c.key"}
    found = faults(DB_HOST="db1", DB_TLS_ENABLED="false", **paths)
    assert "DB_TLS_ENABLED=true" in found["DB_TLS_CLIENT_CERT_PATH"]


def test_vault_needs_a_role_id() -> None:
    assert "is not set, but VAULT_ADDR is" in faults(VAULT_ADDR="https://vault:8200")["VAULT_ROLE_ID"]


@pytest.mark.parametrize("address", ["http://vault:8200", "http://10.0.0.1:8200"])
def test_vault_without_tls_is_refused_unless_it_is_on_this_machine(address: str) -> None:
    assert "unencrypted" in faults(VAULT_ADDR=address, VAULT_ROLE_ID="r")["VAULT_ADDR"]
    local = {"VAULT_ADDR": "http://127.0.0.1:8200", "VAULT_ROLE_ID": "r", "MOOG_WEBHOOK_URL": "http://moog/"}
    assert load(local).settings.vault_addr == "http://127.0.0.1:8200"
