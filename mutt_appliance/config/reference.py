"""The settings as text: `mutt config show`, `docs/configuration.md` and the sample `etc/mutt.env`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.fields import FieldInfo

from mutt_appliance.config.declaring import SECTIONS, extra_of, variable_name
from mutt_appliance.config.describe import requirement
from mutt_appliance.config.loading import SECRET_NAMES
from mutt_appliance.config.settings import Settings

HEAD = """# Configuration

Every setting is an environment variable. `systemctl start mutt` takes them from `/etc/mutt/mutt.env`;
a variable in the environment wins over the file, an empty one counts as not set.
`mutt config check` names every fault at once, `mutt config show` prints what is in force.

Variables of OpenTelemetry (`OTEL_…`) stand in the same places; they are the standard's and not in this list:
[observability.md](observability.md).

This page is made by `mutt config docs` from the declarations that also check the values. Do not edit it.
"""

SECRETS = """
## Secrets in MUTT_SECRETS_FILE

`KEY=value` lines, mode 0600. Secrets are never taken from the environment. Missing API keys are made at first start.
In Vault and as systemd credentials they have the same names: [secrets](secrets.md).

| Name | Meaning |
|---|---|
| INGEST_API_KEY | Key that senders give in `X-API-KEY` (made if missing) |
| MOOG_API_KEY | Key, token or password that Moogsoft asks for; sent as MOOG_AUTH_SCHEME says (made if missing) |
| WEBUI_API_KEY | Key for the web UI and its API (made if missing) |
| REDIS_PASS | Password of an external Redis |
| DB_PASS | Password of an external PostgreSQL |
| REDIS_SENTINEL_PASS | Password of the Sentinels |
| each of the above with _NEXT | The value that follows it, while it is being changed: both are accepted or tried |
| OTEL_EXPORTER_OTLP_HEADERS | Headers for the collector of traces, such as `authorization=Bearer%20…` |
"""


def by_section() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    """(title, settings) of each section, in order of declaration."""
    for section, title in SECTIONS.items():
        yield title, [(n, i) for n, i in Settings.model_fields.items() if extra_of(i)["section"] == section]


def render_value(value: object) -> str:
    """A setting's value as it would stand in an env file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def configuration_page() -> str:
    """docs/configuration.md."""
    parts = [HEAD]
    for title, fields in by_section():
        parts.append(f"\n## {title}\n\n| Variable | Default | Must be | Meaning |\n|---|---|---|---|\n")
        for field, info in fields:
            default = render_value(info.default)
            parts.append(
                f"| {variable_name(field)} | {f'`{default}`' if default else 'unset'} "
                f"| {_cell(requirement(info))} | {_cell(info.description or '')} |\n"
            )
    parts.append(SECRETS)
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def show(settings: Settings) -> str:
    """All settings in force as KEY=value lines; a comment marks what differs from the default."""
    lines = []
    for title, fields in by_section():
        lines.append(f"# {title}")
        for field, info in fields:
            value = getattr(settings, field)
            changed = (
                "" if value == info.default else f"    # default: {render_value(info.default) or 'unset'}"
            )
            lines.append(f"{variable_name(field)}={render_value(value)}{changed}")
        lines.append("")
    where = f"Vault at {settings.vault_secrets_path}" if settings.vault_addr else "MUTT_SECRETS_FILE"
    lines.append("# Secrets (values are never shown)")
    lines += [f"# {name}=(in {where})" for name in SECRET_NAMES]
    return "\n".join(lines) + "\n"


def sample_env_file() -> str:
    """etc/mutt.env: every setting, commented out, with its meaning."""
    lines = [
        "# MUTT settings, made by `mutt config sample`. Uncomment what you change; `mutt config check` tries it.",
        "# Secrets do not belong here: they are in MUTT_SECRETS_FILE.",
        "",
    ]
    for title, fields in by_section():
        lines += [f"# --- {title}", ""]
        for field, info in fields:
            lines.append(f"# {info.description}. Must be {requirement(info)}.")
            lines.append(f"#{variable_name(field)}={render_value(info.default)}")
            lines.append("")
    return "\n".join(lines)
