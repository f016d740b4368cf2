"""uvicorn's HTTP protocol with an end to how much it reads before a request is understood.

httptools keeps collecting a head that never ends; this closes the connection instead. What cannot be understood at all
is answered with a problem, like every other error.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import PROBLEM_JSON, problem_response
from api.security import MAX_HEAD_BYTES

__all__ = ["BoundedHttpProtocol"]


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. A head may fill ``MAX_HEAD_BYTES`` and one read of the socket."""

    _head_open = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._head_open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head."""
        self._head_open = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, and refuse a head that has become too long."""
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._head_open else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"Address and headers take more than {MAX_HEAD_BYTES} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str) -> None:
        phrase = HTTPStatus(status).phrase
        body = bytes(problem_response(status, phrase.capitalize(), detail).body)
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
