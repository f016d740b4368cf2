"""An encoder that runs queries arriving together as one batch, without a thread of its own.

Whoever finds a place free runs at once, so a lone caller waits for nothing. Those who arrive meanwhile queue; when a
batch ends, the first of the queue becomes the next leader and takes the others along. A leader runs one batch only,
its own. When a batch fails, each of its callers is run alone, so that an error reaches the one who caused it.
Knows nothing of models.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.encoder.protocol import Encoder, Vectors
from engine.errors import EncoderError

__all__ = ["BatchingEncoder"]


@dataclass(eq=False, slots=True)
class _Call:
    """One caller's texts. ``woken`` is set when it has a result, an error, or is the next leader."""

    texts: Sequence[str]
    vectors: Vectors | None = None
    error: Exception | None = None
    leads: bool = False
    woken: threading.Event = field(default_factory=threading.Event)


class BatchingEncoder:
    """Batches concurrent :meth:`encode_queries` calls.

    ``max_batch`` bounds the texts of a batch (one call with more runs alone). ``max_wait_ms`` is how long a leader
    that had to queue waits for more callers; a caller that finds a place free never waits. ``places`` is how many
    batches run at the same time.
    """

    def __init__(self, encoder: Encoder, max_batch: int = 32, max_wait_ms: float = 0.0, *, places: int = 1) -> None:
        self._encoder = encoder
        self._max_batch = max_batch
        self._max_wait_s = max_wait_ms / 1000
        self._free = self._places = places
        self._queue: deque[_Call] = deque()
        self._closed = False
        self._changed = threading.Condition()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    @property
    def fingerprint(self) -> str:
        """The wrapped encoder's."""
        return self._encoder.fingerprint

    @property
    def name(self) -> str:
        """The wrapped encoder's."""
        return self._encoder.name

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query, encoded together with other callers' queries.

        Raises:
            EncoderError: the encoder was closed, or cannot encode these texts.
        """
        call = _Call(texts)
        if self._enter(call):
            self._lead(call)
        else:
            self._follow(call)
        if call.error is not None:
            raise call.error
        if call.vectors is None:
            raise EncoderError("The batch this query was part of was interrupted. Ask again.")
        return call.vectors

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return what the wrapped encoder returns: product texts come in batches already."""
        return self._encoder.encode_products(texts)

    def close(self) -> None:
        """Refuse new callers and return when those inside have their answers."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._free == self._places and not self._queue)

    def _enter(self, call: _Call) -> bool:
        """Take a free place, or queue. Returns whether the caller may run now."""
        with self._changed:
            if self._closed:
                raise EncoderError(f"The encoder {self.name!r} was closed. Open it again before asking it anything.")
            if self._free:
                self._free -= 1
                return True
            self._queue.append(call)
            self._changed.notify_all()
            return False

    def _follow(self, call: _Call) -> None:
        try:
            call.woken.wait()
        except BaseException:  # an interrupt: leave the queue, and hand on a place just received
            with self._changed:
                if call in self._queue:
                    self._queue.remove(call)
            if call.leads:
                self._leave()
            raise
        if call.leads:
            self._lead(call)

    def _gather(self, leader: _Call) -> list[_Call]:
        """Return the next batch: the leader and those behind it who fit."""
        with self._changed:
            if self._max_wait_s:
                room = self._max_batch - len(leader.texts)
                self._changed.wait_for(lambda: sum(len(c.texts) for c in self._queue) >= room, self._max_wait_s)
            batch, size = [leader], len(leader.texts)
            while self._queue and size + len(self._queue[0].texts) <= self._max_batch:
                batch.append(self._queue.popleft())
                size += len(batch[-1].texts)
            return batch

    def _lead(self, call: _Call) -> None:
        batch = [call]
        try:
            if call.leads:
                batch = self._gather(call)
            self._run(batch)
        finally:
            for member in batch:
                member.woken.set()
            self._leave()

    def _run(self, batch: list[_Call]) -> None:
        try:
            vectors = self._encoder.encode_queries([text for call in batch for text in call.texts])
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for call in batch:
                self._run([call])
            return
        ends = np.cumsum([len(call.texts) for call in batch])
        for call, end in zip(batch, ends, strict=True):
            call.vectors = vectors[end - len(call.texts) : end]

    def _leave(self) -> None:
        """Give the place to the first of the queue, or free it."""
        with self._changed:
            if self._queue:
                heir = self._queue.popleft()
                heir.leads = True
                heir.woken.set()
            else:
                self._free += 1
            self._changed.notify_all()
