"""Runs checks beside each other, each in bounded time; what goes wrong in one is a finding."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from mutt_appliance.doctor.findings import Check, Finding
from mutt_appliance.doctor.patient import Patient


def run_checks(
    checks: Sequence[Check], patient: Patient, timeout_secs: float
) -> list[tuple[Check, list[Finding]]]:
    """Every check with its findings, in the order given, after at most `timeout_secs`.

    The threads are daemons: one that hangs in the kernel must not hold the program up.
    """
    results: dict[int, list[Finding]] = {}

    def work(number: int, check: Check) -> None:
        try:
            results[number] = list(check.run(patient))
        # Whatever one check meets must not hide what the others found.
        except Exception as error:  # noqa: BLE001
            seen = f"the check itself failed: {type(error).__name__}: {error}"
            results[number] = [Finding(check.name, "error", seen, "report this as a fault of MUTT")]

    deadline = time.monotonic() + timeout_secs
    threads = [
        threading.Thread(target=work, args=(n, c), name=c.name, daemon=True) for n, c in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = Finding("", "warning", f"no answer within {timeout_secs:g} s", "try again with a longer --timeout")
    return [
        (
            check,
            results.get(number, [Finding(f"{check.name}.timeout", late.status, late.seen, late.advice)]),
        )
        for number, check in enumerate(checks)
    ]
