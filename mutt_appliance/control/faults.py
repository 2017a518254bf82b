"""supervisord's faults, with its numbers and its form of text (`BAD_NAME: alerter:9`)."""

from __future__ import annotations

import enum
from xmlrpc.client import Fault


class Code(enum.IntEnum):
    """Fault codes of supervisord's XML-RPC interface (`supervisor.xmlrpc.Faults`)."""

    UNKNOWN_METHOD = 1
    INCORRECT_PARAMETERS = 2
    BAD_ARGUMENTS = 3
    SIGNATURE_UNSUPPORTED = 4
    SHUTDOWN_STATE = 6
    BAD_NAME = 10
    BAD_SIGNAL = 11
    NO_FILE = 20
    FAILED = 30
    ABNORMAL_TERMINATION = 40
    SPAWN_ERROR = 50
    ALREADY_STARTED = 60
    NOT_RUNNING = 70
    SUCCESS = 80
    CANT_REREAD = 92


def fault(code: Code, about: object = None) -> Fault:
    """The fault to raise for `code`; `about` names the thing."""
    return Fault(int(code), code.name if about is None else f"{code.name}: {about}")
