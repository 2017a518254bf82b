"""The faults are those of the supervisor package."""

from __future__ import annotations

from supervisor.xmlrpc import Faults, RPCError

from mutt_appliance.control.faults import Code, fault


def test_codes_are_supervisords() -> None:
    assert {code.name: int(code) for code in Code} == {
        name: value for name, value in vars(Faults).items() if name in Code.__members__
    }


def test_texts_are_supervisords() -> None:
    theirs = RPCError(Faults.BAD_NAME, "alerter:9")
    ours = fault(Code.BAD_NAME, "alerter:9")
    assert (ours.faultCode, ours.faultString) == (theirs.code, theirs.text)
