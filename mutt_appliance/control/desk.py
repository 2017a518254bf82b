"""Hands work from the threads of the control socket to the supervisor's loop, and tells them of changes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from mutt_appliance.control.faults import Code, fault

T = TypeVar("T")

# The loop turns within milliseconds of being woken; one that does not is watched by systemd.
ANSWER_TIMEOUT_SECS = 10.0


class Desk:
    """Work for the loop's thread. `wake` ends the loop's wait and may be called from any thread.

    Processes are forked by one thread only: the kernel ties PR_SET_PDEATHSIG to the thread that forked.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._work: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._turned = threading.Condition()

    def ask(self, work: Callable[[], T]) -> T:
        """Have the loop do `work` and give its result or raise its error; from a thread of the socket."""
        answer: Future[T] = Future()
        self._work.append((work, answer))
        self._wake()
        try:
            return answer.result(ANSWER_TIMEOUT_SECS)
        except FutureTimeoutError:
            answer.cancel()
            raise fault(
                Code.FAILED, f"the supervisor did not answer within {ANSWER_TIMEOUT_SECS:g} s"
            ) from None

    def wait_for(self, reached: Callable[[], T | None], timeout_secs: float) -> T | None:
        """The first result of `reached` that is not None, looked at after each turn of the loop.

        None when there was none in time. `reached` only reads.
        """
        deadline = time.monotonic() + timeout_secs
        with self._turned:
            while (result := reached()) is None:
                left = deadline - time.monotonic()
                if left <= 0 or not self._turned.wait(left):
                    return reached()
            return result

    def serve(self) -> None:
        """Do what waits; by the loop, once a turn."""
        while self._work:
            work, answer = self._work.popleft()
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(work())
            # Whatever went wrong belongs to the one who asked; the loop goes on.
            except Exception as error:  # noqa: BLE001
                answer.set_exception(error)

    def turned(self) -> None:
        """A turn of the loop is over: those who wait look again."""
        with self._turned:
            self._turned.notify_all()
