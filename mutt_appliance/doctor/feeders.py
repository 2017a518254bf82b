"""What stands in front: rsyslog, snmptrapd, and the SELinux port that rsyslog may connect to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.programs import Answer, ask, find

RSYSLOG_FILES = (Path("/etc/rsyslog.conf"), Path("/etc/rsyslog.d"))
MODULE_FOLDERS = tuple(
    Path(folder)
    for folder in ("/usr/lib64/rsyslog", "/usr/lib/rsyslog", *map(str, Path("/usr/lib").glob("*/rsyslog")))
)
SNMPTRAPD_FILES = (Path("/etc/snmp/snmptrapd.conf"), Path("/etc/snmp/snmptrapd.conf.d"))
SELINUX_ENFORCE = Path("/sys/fs/selinux/enforce")
SYSLOG_PORT_TYPE = "syslogd_port_t"
OUR_TRAP_WORD = "MUTT-TRAP"
SAMPLES = "/usr/share/mutt/etc"


@dataclass(frozen=True)
class Hook:
    """The part of rsyslog's configuration that hands events to MUTT; `mode` is that of its file."""

    path: Path
    text: str
    module: str
    mode: int

    def option(self, name: str) -> str | None:
        """Value of a parameter such as serverport, None if it is not there."""
        match = re.search(rf'\b{re.escape(name)}\s*=\s*"([^"]*)"', self.text, re.IGNORECASE)
        return match.group(1) if match else None


def find_hook(files: tuple[Path, ...] = RSYSLOG_FILES) -> Hook | None:
    """Our output in rsyslog's configuration: omhttp to /ingest, or omprog with rsyslog-forward.

    Raises PermissionError for a file that this user may not read and that could be ours.
    """
    unreadable: PermissionError | None = None
    for path in _files(files, "*.conf"):
        try:
            text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
        except PermissionError as error:
            unreadable = error
            continue
        mode = path.stat().st_mode & 0o777
        if re.search(r'type\s*=\s*"omhttp"', text) and "ingest" in text:
            return Hook(path, text, "omhttp", mode)
        if re.search(r'type\s*=\s*"omprog"', text) and "rsyslog-forward" in text:
            return Hook(path, text, "omprog", mode)
    if unreadable is not None:
        raise unreadable
    return None


def speaks_tls(hook: Hook) -> bool:
    """True when the output goes to https, or to another host, which we do not know."""
    if hook.module == "omhttp":
        return hook.option("usehttps") == "on" or hook.option("server") not in ("127.0.0.1", "localhost")
    return bool(re.search(r"--url[ =](?!http://(127\.0\.0\.1|localhost)[:/])", hook.text))


def without_comments(text: str) -> str:
    """The lines of a configuration that are in force."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def check_rsyslog(patient: Patient) -> Iterator[Finding]:
    """rsyslog is there, has our output, with a key and a queue that loses nothing."""
    if find("rsyslogd") is None:
        yield Finding(
            "rsyslog.installed",
            "n/a",
            "rsyslog is not installed here",
            "events may also come from other hosts; here: dnf install rsyslog",
        )
        return
    try:
        hook = find_hook()
    except PermissionError as error:
        yield Finding("rsyslog.hook", "warning", f"{error.filename} cannot be read", "run this as root")
        return
    if hook is None:
        yield Finding(
            "rsyslog.hook",
            "warning",
            "rsyslog hands nothing to MUTT",
            f"put one of {SAMPLES}/rsyslog.d into /etc/rsyslog.d and restart rsyslog (docs/rsyslog.md)",
        )
        return
    secure = patient.settings.ingest_tls_cert_path is not None
    yield from judge_hook(hook, patient.settings.server_port_ingestor, secure=secure)
    modules = [folder / f"{hook.module}.so" for folder in MODULE_FOLDERS]
    if not any(path.exists() for path in modules):
        yield Finding(
            "rsyslog.module",
            "error",
            f"{hook.module}.so is not there",
            "RHEL 8.2 and later have omhttp in the package rsyslog; else use the omprog file",
        )
    yield judge_syntax(ask("rsyslogd", "-N1"))


def judge_hook(hook: Hook, ingest_port: int, *, secure: bool = False) -> Iterator[Finding]:
    """Whether the output is set so that nothing is lost; `secure`: the ingestor of this machine speaks TLS."""
    yield Finding("rsyslog.hook", "ok", f"{hook.path} uses {hook.module}")
    if secure and not speaks_tls(hook):
        yield Finding(
            "rsyslog.tls",
            "error",
            f"{hook.path} sends http://, but INGEST_TLS_CERT_PATH is set: nothing arrives",
            'usehttps="on" (omhttp), --url https://… (omprog); docs/tls.md',
        )
    if hook.module == "omhttp":
        port = hook.option("serverport")
        if (
            port is not None
            and port != str(ingest_port)
            and hook.option("server") in ("127.0.0.1", "localhost")
        ):
            yield Finding(
                "rsyslog.port",
                "error",
                f"{hook.path} sends to port {port}, but SERVER_PORT_INGESTOR={ingest_port}",
                "make them the same",
            )
        if "CHANGE-ME" in hook.text:
            yield Finding(
                "rsyslog.key",
                "error",
                f"{hook.path} still has the placeholder of the API key: events are refused and lost",
                "put INGEST_API_KEY of the secrets file into httpheaders",
            )
        if hook.mode & 0o044:
            yield Finding(
                "rsyslog.private",
                "warning",
                f"{hook.path} holds the API key and has mode {hook.mode:04o}",
                f"chmod 0600 {hook.path}",
            )
        if hook.option("batch") == "on" and hook.option("retry.ruleset") is None:
            yield Finding(
                "rsyslog.batch",
                "error",
                'batch="on" without retry.ruleset: one 5xx answer drops the whole batch',
                'batch="off"',
            )
        if hook.option("errorfile") is None:
            yield Finding(
                "rsyslog.errorfile",
                "warning",
                "no errorfile: what is answered with 4xx leaves no trace",
                'errorfile="/var/log/mutt-omhttp-errors.log"',
            )
    if hook.option("action.resumeRetryCount") != "-1":
        yield Finding(
            "rsyslog.retry",
            "error",
            "action.resumeRetryCount is not -1: rsyslog gives events up while MUTT is away",
            'action.resumeRetryCount="-1"',
        )
    if hook.option("queue.filename") is None:
        yield Finding(
            "rsyslog.queue",
            "warning",
            "its queue is in memory only",
            'queue.type="LinkedList" queue.filename="mutt" queue.saveOnShutdown="on"',
        )
    else:
        yield Finding("rsyslog.queue", "ok", "its queue goes on to disk")


def judge_syntax(answer: Answer | None) -> Finding:
    """What `rsyslogd -N1` found."""
    if answer is None or answer.code == 0:
        return Finding("rsyslog.syntax", "ok", "rsyslogd -N1 finds no fault")
    faults = [line.strip() for line in answer.text.splitlines() if "error" in line.lower()]
    return Finding(
        "rsyslog.syntax",
        "warning",
        f"rsyslogd -N1: {faults[0] if faults else f'exit code {answer.code}'}",
        "run rsyslogd -N1 as root and correct what it names",
    )


def check_snmptrapd(patient: Patient) -> Iterator[Finding]:
    """snmptrapd writes the format that MUTT takes traps apart from."""
    if find("snmptrapd") is None:
        yield Finding(
            "snmptrapd.hook", "n/a", "snmptrapd is not installed here", "for traps: dnf install net-snmp"
        )
        return
    try:
        texts = [
            without_comments(path.read_text(encoding="utf-8", errors="replace"))
            for path in _files(SNMPTRAPD_FILES, "*.conf")
        ]
    except PermissionError as error:
        yield Finding("snmptrapd.hook", "warning", f"{error.filename} cannot be read", "run this as root")
        return
    if any(OUR_TRAP_WORD in text for text in texts):
        yield Finding("snmptrapd.hook", "ok", f"{SNMPTRAPD_FILES[0]} has the format of MUTT")
    else:
        yield Finding(
            "snmptrapd.hook",
            "warning",
            "snmptrapd is installed, but does not write the format of MUTT",
            f"see {SAMPLES}/snmp/snmptrapd.conf and docs/snmp-traps.md",
        )


def check_selinux(patient: Patient) -> Iterator[Finding]:
    """rsyslog may connect to the ingestor's port."""
    try:
        enforcing = SELINUX_ENFORCE.read_text(encoding="ascii").strip() == "1"
    except OSError:
        yield Finding("selinux.port", "n/a", "SELinux is not active here")
        return
    answer = ask("semanage", "port", "-l")
    yield judge_selinux(enforcing, answer, patient.settings.server_port_ingestor)


def judge_selinux(enforcing: bool, answer: Answer | None, port: int) -> Finding:
    """`answer` is that of `semanage port -l`, None where semanage is not installed."""
    if answer is None or answer.code != 0:
        advice = "run this as root" if answer else "dnf install policycoreutils-python-utils"
        return Finding("selinux.port", "warning", "the SELinux types of ports cannot be listed", advice)
    types = [name for name, ranges in port_types(answer.text) if any(a <= port <= b for a, b in ranges)]
    if SYSLOG_PORT_TYPE in types:
        return Finding("selinux.port", "ok", f"port {port} is {SYSLOG_PORT_TYPE}: rsyslog may connect")
    verb = "-m" if types else "-a"
    return Finding(
        "selinux.port",
        "error" if enforcing else "warning",
        f"port {port} is {', '.join(types) or 'of no type of its own'}: SELinux keeps rsyslog from connecting",
        f"semanage port {verb} -t {SYSLOG_PORT_TYPE} -p tcp {port}",
    )


def port_types(listing: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(type, ranges) of the TCP ports in what `semanage port -l` prints, but for the catch-all types."""
    for line in listing.splitlines():
        match = re.match(r"(\w+)\s+tcp\s+([\d, -]+)$", line.strip())
        if match is None or match.group(1) in ("unreserved_port_t", "reserved_port_t", "hi_reserved_port_t"):
            continue
        if match.group(1) == "ephemeral_port_t":
            continue
        ranges = []
        for part in match.group(2).split(","):
            first, _, last = part.strip().partition("-")
            ranges.append((int(first), int(last or first)))
        yield match.group(1), ranges


def _files(places: tuple[Path, ...], pattern: str) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob(pattern))
        elif place.is_file():
            yield place
