"""Settings of the section Web UI."""

from __future__ import annotations

from pathlib import Path

from mutt_appliance.config.declaring import Section, settings_of

setting = settings_of("webui")


class WebuiSettings(Section):
    """Pages, API and service levels."""

    server_port_webui: int = setting(8090, "HTTP listen port", ge=1, le=65535)
    webui_tls_cert_path: Path | None = setting(
        None,
        "Certificate of the web UI with its chain, PEM; with it the web UI speaks HTTPS and nothing else",
    )
    webui_tls_key_path: Path | None = setting(
        None, "Private key of WEBUI_TLS_CERT_PATH, PEM without a passphrase"
    )
    webui_session_seconds: int = setting(
        8 * 3600,
        "A session of the web UI ends after N seconds without use",
        "seconds",
        ge=60,
        le=30 * 86400,
    )
    webui_cookie_secure: bool = setting(
        False,
        "Mark the session cookie Secure: for a web UI behind a proxy that speaks TLS (it is marked by itself where "
        "MUTT speaks TLS)",
    )
    metrics_cache_ttl: float = setting(5, "Metrics cache TTL (seconds)", "seconds", ge=0, le=3600)
    audit_log_page_size: int = setting(50, "Default page size for audit logs", "rows", ge=1, le=200)
    prometheus_url: str = setting(
        "http://localhost:9090", "Prometheus base URL for SLOs", pattern=r"^https?://\S+$"
    )
    slo_ingestor_target: float = setting(
        0.995, "Share of requests that the ingestor is to answer with success", ge=0.5, le=0.99999
    )
    slo_forwarder_target: float = setting(
        0.99, "Share of requests to Moogsoft that are to succeed", ge=0.5, le=0.99999
    )
    slo_window_hours: int = setting(
        24, "Hours over which service levels are looked at", "hours", ge=1, le=720
    )
