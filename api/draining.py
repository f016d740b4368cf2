"""The last moments of a worker: it says that it is leaving before it stops listening.

A balancer goes on sending requests until its next look at ``/readyz``. So a worker told to end (SIGTERM) first answers 503
there and closes each connection behind its answer, goes on answering for ``drain_s`` seconds, and only then ends as uvicorn
ends: nothing new, what was begun is finished. A second signal, or the Ctrl-C of somebody at a terminal, ends it at once.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from starlette.responses import Response

from api.problems import problem_response

__all__ = ["drain_before_end", "leaving", "leaving_response"]

_leaving = threading.Event()


def leaving() -> bool:
    """Return whether this process has been told to end."""
    return _leaving.is_set()


def leaving_response() -> Response:
    """Return what a balancer that asks is told by a process that is leaving: 503, and nothing about when to ask again."""
    return problem_response(503, "Shutting down", "This process is about to end. Ask another one.")


def drain_before_end(seconds: float) -> None:
    """Have SIGTERM wait for so long before it reaches the handler that is set now. To be called in the main thread, once."""
    end = signal.getsignal(signal.SIGTERM)
    if seconds == 0 or not callable(end):
        return

    def told(signum: int, frame: FrameType | None) -> None:
        if leaving():
            end(signum, frame)
            return
        _leaving.set()
        timer = threading.Timer(seconds, end, (signum, None))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, told)
