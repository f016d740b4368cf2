"""A batching encoder gives every caller its own vectors or its own error, and never waits alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.encoder import BatchingEncoder, HashingEncoder
from engine.errors import EncoderError


class Held(HashingEncoder):
    """Records each batch, and holds the first one until it is released. Refuses texts called ``bad``."""

    def __init__(self, held=True):
        super().__init__(16)
        self.batches = []
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.running = self.most = 0
        self.lock = threading.Lock()
        if not held:
            self.go_on.set()

    def encode_queries(self, texts):
        with self.lock:
            self.batches.append(list(texts))
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            self.started.set()
            assert self.go_on.wait(30)
            if bad := [text for text in texts if text.startswith("bad")]:
                raise EncoderError(f"Cannot encode {bad}.")
            return super().encode_queries(texts)
        finally:
            with self.lock:
                self.running -= 1


def queued(batching, count):
    """Wait until that many callers are queued."""
    with batching._changed:
        assert batching._changed.wait_for(lambda: len(batching._queue) == count, 30)


def hold_first(batching, inner, pool, later):
    """Start one call, then the others one by one while it runs. Returns all futures."""
    first = pool.submit(batching.encode_queries, ["first"])
    assert inner.started.wait(30)
    futures = [first]
    for count, texts in enumerate(later, 1):
        futures.append(pool.submit(batching.encode_queries, texts))
        queued(batching, count)
    return futures


def test_those_who_arrive_meanwhile_run_together_next_in_order():
    inner = Held()
    batching = BatchingEncoder(inner, max_batch=4)
    with ThreadPoolExecutor(16) as pool:
        later = [["a"], ["b", "c"], ["d"], ["e"], ["f", "g", "h", "i", "j"], ["k"], []]
        futures = hold_first(batching, inner, pool, later)
        inner.go_on.set()
        for texts, future in zip([["first"], *later], futures, strict=True):
            assert np.array_equal(future.result(30), HashingEncoder(16).encode_queries(texts))
    assert inner.batches == [["first"], ["a", "b", "c", "d"], ["e"], ["f", "g", "h", "i", "j"], ["k"]]
    assert inner.most == 1


def test_a_lone_caller_does_not_wait_for_company():
    batching = BatchingEncoder(HashingEncoder(16), max_wait_ms=3_600_000)
    assert np.array_equal(batching.encode_queries(["a"]), HashingEncoder(16).encode_queries(["a"]))


def test_a_leader_who_queued_gathers_company_until_the_batch_is_full():
    inner = Held()
    batching = BatchingEncoder(inner, max_batch=2, max_wait_ms=3_600_000)
    with ThreadPoolExecutor(16) as pool:
        futures = hold_first(batching, inner, pool, [["a"]])
        inner.go_on.set()
        futures[0].result(30)
        futures.append(pool.submit(batching.encode_queries, ["b"]))
        for future in futures:
            future.result(30)
    assert inner.batches == [["first"], ["a", "b"]]


def test_an_error_reaches_the_caller_who_caused_it_and_no_other():
    inner = Held()
    batching = BatchingEncoder(inner, max_batch=8)
    with ThreadPoolExecutor(16) as pool:
        good, bad = ["good"], ["bad"]
        futures = hold_first(batching, inner, pool, [good, bad, good])
        inner.go_on.set()
        assert [future.exception(30) is None for future in futures] == [True, True, False, True]
        with pytest.raises(EncoderError, match="bad"):
            futures[2].result()
    assert np.array_equal(batching.encode_queries(good), HashingEncoder(16).encode_queries(good))


@pytest.mark.parametrize("places", [1, 3])
def test_sixteen_threads_get_what_one_gets(places):
    inner = Held(held=False)
    batching = BatchingEncoder(inner, max_batch=6, places=places)
    calls = [[f"{'bad' if i % 13 == 0 else 'query'} {i} {k}" for k in range(i % 4)] for i in range(400)]

    def ask(texts):
        try:
            return batching.encode_queries(texts)
        except EncoderError as error:
            return error

    with ThreadPoolExecutor(16) as pool:
        for texts, answer in zip(calls, pool.map(ask, calls), strict=True):
            if any(text.startswith("bad") for text in texts):
                assert isinstance(answer, EncoderError)
                assert str(answer) == f"Cannot encode {texts}."
            else:
                assert np.array_equal(answer, HashingEncoder(16).encode_queries(texts))
    assert inner.most <= places
    batching.close()


def test_closing_answers_those_inside_and_refuses_newcomers():
    inner = Held()
    batching = BatchingEncoder(inner)
    with ThreadPoolExecutor(16) as pool:
        futures = hold_first(batching, inner, pool, [["a"], ["b"]])
        closing = pool.submit(batching.close)
        inner.go_on.set()
        closing.result(30)
        assert all(future.done() or future.result(30) is not None for future in futures)
    with pytest.raises(EncoderError, match="closed"):
        batching.encode_queries(["c"])


def test_an_interrupted_leader_hands_its_place_on():
    class Interrupted(Held):
        def encode_queries(self, texts):
            vectors = super().encode_queries(texts)
            if "stop" in texts:
                raise KeyboardInterrupt
            return vectors

    inner = Interrupted()
    batching = BatchingEncoder(inner, max_batch=2)
    with ThreadPoolExecutor(16) as pool:
        futures = hold_first(batching, inner, pool, [["stop"], ["with it"], ["after"]])
        inner.go_on.set()
        assert isinstance(futures[1].exception(30), KeyboardInterrupt)
        assert isinstance(futures[2].exception(30), EncoderError)
        assert futures[3].result(30).shape == (1, 16)


def test_it_is_the_encoder_it_wraps():
    plain = HashingEncoder(16)
    batching = BatchingEncoder(plain)
    assert (batching.dimension, batching.fingerprint, batching.name) == (16, plain.fingerprint, plain.name)
    assert np.array_equal(batching.encode_products(["a", "b"]), plain.encode_products(["a", "b"]))
