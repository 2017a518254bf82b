"""The appliance itself: does it run, who holds its ports, may it open enough files."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import re
import resource
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from mutt_appliance.config import ConfigError
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.doctor.findings import Finding
from mutt_appliance.doctor.patient import Patient
from mutt_appliance.doctor.programs import ask
from mutt_appliance.telemetry.health import pool_health
from mutt_appliance.tls.files import PemFile, pem_file
from mutt_appliance.tls.own_doors import OWN_DOORS, open_own_door
from mutt_appliance.tls.trust import verify_message
from mutt_appliance.tracing.door import ANY_ADDRESS

PORTS = (
    "server_port_ingestor",
    "metrics_port_alerter",
    "health_port_alerter",
    "metrics_port_moog",
    "health_port_moog",
    "server_port_webui",
)
HEALTH_SECS = 2.0
OPEN_FILES_NEEDED = 4096
SOCKET_UNIT = "mutt.socket"


def check_runs(patient: Patient) -> Iterator[Finding]:
    """The main process and its control socket."""
    folder = patient.settings.mutt_runtime_dir
    if patient.pid == "unknown":
        yield Finding(
            "appliance.runs",
            "warning",
            f"{folder}/mutt.pid cannot be read",
            "run this as root, or as a member of the group mutt",
        )
        return
    if patient.pid is None:
        yield Finding(
            "appliance.runs", "warning", f"no appliance runs on {folder}", "systemctl start mutt, or mutt run"
        )
        return
    yield Finding("appliance.runs", "ok", f"process {patient.pid} runs on {folder}")
    path = folder / "control.sock"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(HEALTH_SECS)
            client.connect(str(path))
        yield Finding("appliance.control", "ok", f"{path} answers, mode {mode:04o}")
    except PermissionError:
        yield Finding(
            "appliance.control", "warning", f"{path}: permission denied", "join the group mutt, or be root"
        )
    except OSError as error:
        yield Finding(
            "appliance.control",
            "error",
            f"{path}: {error.strerror}",
            "see the log of the main process (journalctl -u mutt)",
        )


def check_ports(patient: Patient) -> Iterator[Finding]:
    """Each port: answered by MUTT while it runs, free while it does not."""
    held = socket_unit_ports() if patient.down else set()
    address = patient.settings.bind_address
    for field in PORTS:
        if field.endswith("_moog") and not patient.settings.forwarder_workers:
            continue
        port: int = getattr(patient.settings, field)
        identity, what = f"ports.{field}", f"{variable_name(field)}={port}"
        if not patient.down:
            yield _answered(patient, field, identity, what)
        elif port in held:
            yield Finding(identity, "ok", f"{what} is kept open by {SOCKET_UNIT}")
        else:
            yield free_or_taken(identity, what, address, port)


def _answered(patient: Patient, field: str, identity: str, what: str) -> Finding:
    settings, certificate_field = patient.settings, OWN_DOORS.get(field)
    if field == "server_port_ingestor" and settings.ingest_client_auth == "required":
        # Nobody without a sender's certificate gets an answer there; the processes have it in files, too.
        _, document = pool_health(settings.mutt_runtime_dir, "ingestor")
        return judge_health(identity, what, document)
    certificate = pem_file(settings, certificate_field) if certificate_field else None
    address = ANY_ADDRESS.get(settings.bind_address, settings.bind_address)
    return judge_health(identity, what, health(address, getattr(settings, field), certificate))


def judge_health(identity: str, what: str, answer: dict[str, object] | str) -> Finding:
    """`answer` is the document of GET /health, or in words why there is none."""
    if isinstance(answer, str):
        return Finding(
            identity, "error", f"{what}: {answer}", "see mutt-ctl status, and who listens: ss -ltnp"
        )
    if answer.get("status") == "ok":
        return Finding(identity, "ok", f"{what}: {answer.get('role', 'MUTT')} is well")
    troubles = "; ".join(_troubles(answer)) or str(answer.get("status"))
    return Finding(
        identity, "error", f"{what}: {answer.get('role', 'MUTT')}: {troubles}", "see mutt-ctl status"
    )


def _troubles(answer: dict[str, object]) -> Iterator[str]:
    processes = answer.get("processes")
    for name, process in processes.items() if isinstance(processes, dict) else ():
        components = process.get("components", {}) if isinstance(process, dict) else {}
        for component, state in components.items():
            if isinstance(state, dict) and state.get("ok") is False:
                yield f"{name}: {component}: {state.get('detail')}"


def health(address: str, port: int, certificate: PemFile | None = None) -> dict[str, object] | str:
    """The document of GET /health, or in words why there is none; `certificate` is what a TLS port shows."""
    try:
        with contextlib.closing(
            open_own_door(address, port, certificate, timeout_secs=HEALTH_SECS)
        ) as connection:
            connection.request("GET", "/health")
            document = json.loads(connection.getresponse().read(1 << 20))
    except (http.client.HTTPException, ValueError):
        return "something that is not MUTT listens there"
    except ConfigError as error:
        return str(error)
    except ssl.SSLError as error:
        return f"does not agree on TLS: {verify_message(error)}"
    except OSError as error:
        return f"does not answer: {error.strerror or error}"
    if not isinstance(document, dict) or "status" not in document:
        return "something that is not MUTT listens there"
    return document


def free_or_taken(identity: str, what: str, address: str, port: int) -> Finding:
    """Whether MUTT could listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                advice = f"end what listens there (ss -ltnp 'sport = :{port}'), or choose another port"
                return Finding(identity, "error", f"{what} is in use although MUTT does not run", advice)
            return Finding(
                identity, "error", f"{what} on {address}: {error.strerror}", "see BIND_ADDRESS and the port"
            )
    return Finding(identity, "ok", f"{what} is free")


def check_socket_unit(patient: Patient) -> Iterator[Finding]:
    """systemd keeps the port open that the ingestor has."""
    ports = socket_unit_ports()
    wanted = patient.settings.server_port_ingestor
    if not ports:
        yield Finding("systemd.socket", "n/a", f"{SOCKET_UNIT} is not active here")
    elif wanted in ports:
        yield Finding("systemd.socket", "ok", f"{SOCKET_UNIT} listens on port {wanted}")
    else:
        listed = ", ".join(map(str, sorted(ports)))
        yield Finding(
            "systemd.socket",
            "error",
            f"{SOCKET_UNIT} listens on {listed}, but SERVER_PORT_INGESTOR={wanted}",
            f"systemctl edit {SOCKET_UNIT}: [Socket], an empty ListenStream=, then ListenStream={wanted}",
        )


def socket_unit_ports() -> set[int]:
    """Ports of mutt.socket while it is active."""
    answer = ask("systemctl", "show", SOCKET_UNIT, "--property=ActiveState,Listen")
    return ports_of_unit(answer.text) if answer and answer.code == 0 else set()


def ports_of_unit(shown: str) -> set[int]:
    """Ports in what `systemctl show` prints of a socket unit; none if it is not active."""
    if "ActiveState=active" not in shown:
        return set()
    return {int(port) for port in re.findall(r"^Listen=\S*?:?(\d+) \(Stream\)", shown, re.MULTILINE)}


def check_open_files(patient: Patient) -> Iterator[Finding]:
    """The limit of open files of the running appliance, or of this session."""
    whose, limit = "this session", resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if isinstance(patient.pid, int):
        try:
            text = Path(f"/proc/{patient.pid}/limits").read_text(encoding="ascii")
        except OSError:
            text = ""
        match = re.search(r"^Max open files\s+(\d+|unlimited)", text, re.MULTILINE)
        if match:
            whose = f"process {patient.pid}"
            limit = os.sysconf("SC_OPEN_MAX") if match[1] == "unlimited" else int(match[1])
    if limit < OPEN_FILES_NEEDED:
        yield Finding(
            "limits.open_files",
            "warning",
            f"{whose} may open {limit} files",
            f"LimitNOFILE=65536 in the unit, or ulimit -n {OPEN_FILES_NEEDED} before mutt run",
        )
    else:
        yield Finding("limits.open_files", "ok", f"{whose} may open {limit} files")
