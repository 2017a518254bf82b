"""OpenTelemetry's own variables (pure). They are the standard's and no settings of ours: OTEL_* as
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ has them.

One thing differs: where none of them asks for traces there are none, while the standard would send them to a
collector on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, cast
from urllib.parse import unquote

PREFIX: Final = "OTEL_"
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""May hold a key of the collector, so they are treated as secrets; the first that is set counts."""
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"
EXPORTERS: Final = ("otlp", "console")

Exporter = Literal["otlp", "console"]


class OtelError(Exception):
    """A variable that cannot be used; the text names it and the way out, and no header."""


def otel_variables(merged: Mapping[str, str]) -> dict[str, str]:
    """Those of `merged` that are OpenTelemetry's and set."""
    return {name: value for name, value in merged.items() if name.startswith(PREFIX) and value}


def exporters_of(variables: Mapping[str, str]) -> tuple[Exporter, ...]:
    """Where traces go, as far as MUTT knows it; nowhere unless a variable asks for it."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    given = variables.get("OTEL_TRACES_EXPORTER")
    if given is None:
        return ("otlp",) if any(variables.get(name) for name in ENDPOINTS) else ()
    return tuple(cast(Exporter, name) for name in _names(given) if name in EXPORTERS)


def otel_warnings(variables: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """What will not do what its author meant; `environ` is that of the process."""
    warnings = [
        f"OTEL_TRACES_EXPORTER={name}: is not in MUTT: choose otlp, console or none"
        for name in _names(variables.get("OTEL_TRACES_EXPORTER", ""))
        if name not in (*EXPORTERS, "none")
    ]
    exporters = exporters_of(variables)
    protocol = next((variables[name] for name in PROTOCOLS if variables.get(name)), PROTOCOL)
    if "otlp" in exporters and protocol != PROTOCOL:
        warnings.append(
            f"{PROTOCOLS[1]}={protocol}: MUTT speaks {PROTOCOL} alone: name the port of the collector that "
            "takes it, usually 4318"
        )
    warnings += [
        f"{name}: may hold a secret, and other processes can read it in the environment: "
        "put it into MUTT_SECRETS_FILE as OTEL_EXPORTER_OTLP_HEADERS=…"
        for name in HEADERS
        if environ.get(name)
    ]
    try:
        parse_headers(headers_of(variables))
    except OtelError as error:
        warnings.append(str(error))
    return warnings


def headers_of(variables: Mapping[str, str], secret: str = "") -> str:
    """The text of the headers; `secret`, that of MUTT_SECRETS_FILE, wins."""
    return secret or next((variables[name] for name in HEADERS if variables.get(name)), "")


def parse_headers(text: str) -> dict[str, str]:
    """Headers of `name=value,name=value`, values percent-encoded. Raises OtelError, which shows none of it.

    By ourselves, because the SDK writes what it cannot read into the log.
    """
    headers: dict[str, str] = {}
    for number, part in enumerate(filter(None, (each.strip() for each in text.split(","))), 1):
        name, equals, value = (unquote(each.strip()) for each in part.partition("="))
        well = name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable()
        if not equals or not well or not value.isascii():
            raise OtelError(
                f"{HEADERS[1]}: entry {number} is not of the form name=value: "
                "separate entries by commas, and percent-encode what is not a letter or a digit"
            )
        headers[name.lower()] = value.strip()
    return headers


def _names(text: str) -> list[str]:
    return [name for name in (each.strip().lower() for each in text.split(",")) if name]
