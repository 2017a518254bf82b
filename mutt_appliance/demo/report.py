"""What a demonstration prints: addresses, lines of progress, the summary (pure)."""

from __future__ import annotations

import shlex

from mutt_appliance import __version__
from mutt_appliance.demo.ledger import Account
from mutt_appliance.demo.observer import Snapshot
from mutt_appliance.demo.places import LOOPBACK, PORTS, Places

PATHS = {
    "server_port_ingestor": "/ingest  /health  /metrics",
    "server_port_webui": "/  /health  /metrics",
    "metrics_port_alerter": "/metrics",
    "health_port_alerter": "/health",
    "metrics_port_moog": "/metrics",
    "health_port_moog": "/health",
}


def addresses(places: Places) -> list[tuple[str, str]]:
    """(what, where) of everything that can be looked at."""
    rows = [
        (what, f"http://{LOOPBACK}:{places.ports[field]}  {PATHS[field]}") for field, what in PORTS.items()
    ]
    return [
        *rows,
        ("Moogsoft stand-in", f"http://{LOOPBACK}:{places.receiver_port}/moog"),
        ("API keys", str(places.secrets_file)),
        ("settings", str(places.env_file)),
        ("log", str(places.log_file)),
    ]


def send_command(places: Places) -> str:
    """A shell command that sends an event; the key goes from its file to curl, and into no argument list."""
    secrets = shlex.quote(str(places.secrets_file))
    return (
        f"sed -n 's/^INGEST_API_KEY=/X-API-KEY: /p' {secrets} | curl -sS -H @- "
        f"{places.url('server_port_ingestor', '/ingest')} "
        '-d \'{"timestamp":"2026-11-24T12:00:00Z","hostname":"my-router",'
        '"message":"%LINK-3-UPDOWN: Interface Gi0/1, changed state to down","syslog_severity":3}\''
    )


def key_command(places: Places) -> str:
    """A shell command that prints the key for the web UI's sign-in page; it is printed nowhere else."""
    return f"sed -n 's/^WEBUI_API_KEY=//p' {shlex.quote(str(places.secrets_file))}"


def rules_command(places: Places) -> str:
    """How to use `mutt` on this appliance."""
    return f"mutt --env-file {shlex.quote(str(places.env_file))} rules list"


def introduction(places: Places, rules: int, rate: int) -> str:
    """Printed once when the appliance serves."""
    width = max(len(what) for what, _ in addresses(places))
    lines = [f"MUTT {__version__} demo: {rules} rules in force, {rate} events/s of sample traffic", ""]
    lines += [f"  {what:<{width}}  {where}" for what, where in addresses(places)]
    lines += ["", f"Sign in at {places.url('server_port_webui', '/')} with the key that this prints:"]
    lines += [f"  {key_command(places)}"]
    lines += ["Send an event yourself:", f"  {send_command(places)}"]
    lines += ["Look at the rules:", f"  {rules_command(places)}", ""]
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """mm:ss, or h:mm:ss."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def progress(snapshot: Snapshot) -> str:
    """One line of plain progress."""
    c, d = snapshot.counters, snapshot.depths
    queues = f"{d.events} events, {d.alerts} alerts" if d else "Redis is away"
    return (
        f"{clock(snapshot.elapsed_secs)}  ingested {c.ingested}  matched {c.matched}  unhandled {c.unhandled}  "
        f"forwarded {c.forwarded}  retried {c.retried}  dead {c.dead}  on the way: {queues}"
    )


def summary(account: Account, seconds: float) -> str:
    """The end: what became of everything, one line a count."""
    sent, audited = account.sent, account.audited
    rows: list[tuple[str, int, str]] = [
        ("offered", sent.offered, f"events of sample traffic in {seconds:.0f} s"),
        ("answered", sent.accepted, "with 2xx, each then in exactly one place"),
        ("refused", sent.refused, "with 400 and the reason (no hostname), kept as dead letters"),
        ("duplicates", sent.duplicates, "sent twice, recognised by their event_id, queued once"),
        ("audited", audited.events, "matched a rule: one row each in the audit log"),
        ("unhandled", account.unhandled, f"matched no rule: counted in {account.patterns} patterns"),
        ("meta-alerts", audited.meta_events, "patterns that reached UNHANDLED_THRESHOLD, reported once"),
        (
            "forwarded",
            len(audited.forwarded),
            "alerts for Moogsoft (the other audited events are logged only)",
        ),
        ("delivered", len(account.delivered & audited.forwarded), _delivered_words(account)),
        ("retried", account.retried, "attempts that failed and were made again (503, 429, timeouts)"),
        ("dead", sum(account.dead.reasons.values()), _reasons(account)),
        ("lost", account.lost_events + account.lost_alerts, _lost_words(account)),
    ]
    if sent.unanswered:
        rows.insert(2, ("unanswered", sent.unanswered, "the traffic ended before there was an answer"))
    if account.waiting_events or account.waiting_alerts:
        words = f"{account.waiting_events} events, {account.waiting_alerts} alerts: not settled in time"
        rows.insert(-1, ("waiting", account.waiting_events + account.waiting_alerts, words))
    width = max(len(f"{count:,}") for _, count, _ in rows)
    return "\n".join(
        ["Summary", *(f"  {name:<11} {count:>{width},}  {words}" for name, count, words in rows)]
    )


def _delivered_words(account: Account) -> str:
    again = account.deliveries - len(account.delivered)
    return "alerts that the webhook answered with 200" + (f" ({again} more than once)" if again else "")


def _reasons(account: Account) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in account.dead.reasons.most_common())
    return reasons or "no alert was given up"


def _lost_words(account: Account) -> str:
    parts = []
    if account.lost_events > 0:
        parts.append(f"{account.lost_events} events answered with 2xx are nowhere")
    elif account.lost_events < 0:
        parts.append(f"{-account.lost_events} events were counted twice")
    if account.lost_alerts:
        parts.append(f"{account.lost_alerts} alerts were neither delivered nor kept")
    if account.audited_twice:
        parts.append(f"{account.audited_twice} rows of the audit log are there twice")
    return "; ".join(parts) or "every answered event and every alert is accounted for"
