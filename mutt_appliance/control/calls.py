"""From the bytes of an XML-RPC call to the bytes of its answer: parsing, dispatch, `system.*`, and who changed what."""

from __future__ import annotations

import inspect
import re
import xmlrpc.client
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault

from mutt_appliance.control.faults import Code, fault
from mutt_appliance.control.interface import SupervisorInterface
from mutt_appliance.control.own_interface import OwnInterface
from mutt_appliance.control.peers import Peer
from mutt_appliance.telemetry.logs import get_logger

if TYPE_CHECKING:
    from mutt_appliance.supervisor.loop import Supervisor

log = get_logger("control.calls")

# Calls whose name begins otherwise only look.
CHANGING = re.compile(r"\.(start|stop|signal|clear|shutdown|restart|reload$|scale|send)")
# XML knows no other control characters; a log line may have them.
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
TYPE_NAMES = {
    "str": "string",
    "int": "int",
    "bool": "boolean",
    "float": "double",
    "list": "array",
    "dict": "struct",
}


class NotACallError(ValueError):
    """The body is no XML-RPC call."""


class Calls:
    """The methods of `supervisor.*`, `mutt.*` and `system.*` by name."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._interface = SupervisorInterface(supervisor)
        self._methods: dict[str, Callable[..., Any]] = {
            **_methods_of("supervisor", self._interface),
            **_methods_of("mutt", OwnInterface(supervisor)),
            "system.listMethods": self._list_methods,
            "system.methodHelp": self._method_help,
            "system.methodSignature": self._method_signature,
        }

    def answer(self, peer: Peer, body: bytes) -> bytes:
        """The answer to the call in `body`; raises NotACallError."""
        # A document type is where the known attacks on XML parsers begin; no call has one.
        if b"<!" in body:
            raise NotACallError("declarations are not accepted in a call")
        try:
            parsed, name = xmlrpc.client.loads(body)
        except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, AttributeError) as error:
            raise NotACallError(f"no XML-RPC call: {error}") from error
        if name is None:
            raise NotACallError("no XML-RPC call: it names no method")
        params: tuple[Any, ...] = parsed
        try:
            result = (
                self._multicall(peer, *params)
                if name == "system.multicall"
                else self._call(peer, name, params)
            )
        except Fault as error:
            return xmlrpc.client.dumps(error, methodresponse=True).encode()
        except TypeError as error:
            return xmlrpc.client.dumps(fault(Code.INCORRECT_PARAMETERS, error), methodresponse=True).encode()
        except Exception as error:
            # A fault of our own: the caller is told so, instead of finding the connection closed.
            log.exception("control call failed", method=name)
            told = fault(Code.FAILED, f"{name}: {type(error).__name__}; see the supervisor's log")
            return xmlrpc.client.dumps(told, methodresponse=True).encode()
        return xmlrpc.client.dumps((_clean(result),), methodresponse=True).encode()

    def main_log_path(self) -> Path:
        """Path of the supervisor's own log; raises Fault."""
        return self._interface.main_log_path()

    def log_path(self, name: str) -> Path:
        """Path of a process's log; raises Fault."""
        return self._interface.log_path(name)

    def _call(self, peer: Peer, name: str, params: Sequence[Any]) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise fault(Code.UNKNOWN_METHOD, name[:80])
        try:
            inspect.signature(method).bind(*params)
        except TypeError as error:
            raise fault(Code.INCORRECT_PARAMETERS, f"{name}: {error}") from error
        if CHANGING.search(name):
            told = [str(value)[:80] for value in params]
            log.info("control call", method=name, params=told, uid=peer.uid, user=peer.name, pid=peer.pid)
        return method(*params)

    def _multicall(self, peer: Peer, calls: list[dict[str, Any]]) -> list[Any]:
        """Several calls in one; each result, or the fault of each."""
        results: list[Any] = []
        for one in calls:
            try:
                name, params = one["methodName"], one.get("params", [])
                if name == "system.multicall":
                    raise fault(Code.INCORRECT_PARAMETERS, "system.multicall may not call itself")
                results.append(self._call(peer, name, params))
            except Fault as error:
                results.append({"faultCode": error.faultCode, "faultString": error.faultString})
            except (KeyError, TypeError, AttributeError):
                wrong = fault(Code.INCORRECT_PARAMETERS, "each call is a struct of methodName and params")
                results.append({"faultCode": wrong.faultCode, "faultString": wrong.faultString})
        return results

    def _list_methods(self) -> list[str]:
        """Names of all methods."""
        return sorted([*self._methods, "system.multicall"])

    def _method_help(self, name: str) -> str:
        """What a method does."""
        return inspect.getdoc(self._method(name)) or ""

    def _method_signature(self, name: str) -> list[str]:
        """Types of a method: that of its result, then those of its parameters."""
        signature = inspect.signature(self._method(name))
        kinds = [signature.return_annotation, *(p.annotation for p in signature.parameters.values())]
        return [TYPE_NAMES.get(re.split(r"[\[ ]", str(kind))[0], "string") for kind in kinds]

    def _method(self, name: str) -> Callable[..., Any]:
        method = self._multicall if name == "system.multicall" else self._methods.get(name)
        if method is None:
            raise fault(Code.SIGNATURE_UNSUPPORTED, name[:80])
        return method


def _methods_of(namespace: str, interface: object) -> dict[str, Callable[..., Any]]:
    """The interface's methods that are named in the protocol's own way, as `supervisor.getState`."""
    exposed: dict[str, str] = interface.EXPOSED  # type: ignore[attr-defined]
    return {f"{namespace}.{name}": getattr(interface, attribute) for name, attribute in exposed.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value
