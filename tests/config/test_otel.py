"""What the OTEL_ variables ask for, as far as MUTT decides it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutt_appliance.config.loading import load, merged_variables
from mutt_appliance.config.otel import OtelError, exporters_of, headers_of, otel_variables, parse_headers
from mutt_appliance.config.reference import show

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "mutt"}, ()),
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console",)),
        ({"OTEL_TRACES_EXPORTER": " OTLP , console"}, ("otlp", "console")),
        ({"OTEL_TRACES_EXPORTER": "none", **ENDPOINT}, ()),
        ({"OTEL_TRACES_EXPORTER": "zipkin", **ENDPOINT}, ()),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_TRACES_EXPORTER": "otlp", **ENDPOINT}, ()),
        ({"OTEL_SDK_DISABLED": "false", **ENDPOINT}, ("otlp",)),
    ],
)
def test_there_are_traces_where_a_variable_asks_for_them(
    variables: dict[str, str], exporters: tuple[str, ...]
) -> None:
    assert exporters_of(variables) == exporters


def test_they_stand_in_the_env_file_or_the_environment_which_wins(tmp_path: Path) -> None:
    env_file = tmp_path / "mutt.env"
    env_file.write_text("OTEL_TRACES_EXPORTER=otlp\nOTEL_SERVICE_NAME=file\nLOG_LEVEL=INFO\n")
    merged = merged_variables({"OTEL_SERVICE_NAME": "environment", "OTEL_TRACES_SAMPLER": ""}, env_file)
    assert otel_variables(merged) == {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": "environment"}


def test_what_will_not_work_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    variables = {
        "FORWARDER_WORKERS": "0",
        "OTEL_TRACES_EXPORTER": "otlp,jaeger",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization: secret-word",
    }
    env_file = tmp_path / "empty"
    env_file.touch()
    loaded = load(variables, env_file)
    exporter, protocol, place, form = loaded.warnings
    assert "OTEL_TRACES_EXPORTER=jaeger: is not in MUTT: choose otlp, console or none" in exporter
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: MUTT speaks http/protobuf alone" in protocol
    assert "put it into MUTT_SECRETS_FILE" in place
    assert "entry 1 is not of the form name=value" in form
    assert "secret-word" not in "".join(loaded.warnings) + show(loaded.settings)


def test_headers_are_percent_encoded_and_their_names_are_in_lower_case() -> None:
    text = "Authorization=Bearer%20abc%3D%3D, x-tenant = 7 ,,empty="
    assert parse_headers(text) == {"authorization": "Bearer abc==", "x-tenant": "7", "empty": ""}
    assert parse_headers("") == {}


@pytest.mark.parametrize("text", ["novalue", "a=1,secret", "bad name=1", "a=x%0D%0AX-Evil: 1", "a=%C3%BC"])
def test_what_is_no_header_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(OtelError, match=r"entry \d is not of the form name=value") as caught:
        parse_headers(text)
    assert "secret" not in str(caught.value)


def test_the_secrets_file_wins_and_headers_for_traces_win_over_those_for_all() -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2"}
    assert headers_of(variables, "c=3") == "c=3"
    assert headers_of(variables) == "b=2"
