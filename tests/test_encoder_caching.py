"""A caching encoder is the encoder it wraps, only asked less often."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.encoder import CachingEncoder, HashingEncoder


class Counting(HashingEncoder):
    def __init__(self):
        super().__init__(32)
        self.asked = Counter()

    def encode_queries(self, texts):
        self.asked.update(texts)
        return super().encode_queries(texts)


class Oldest:
    """An independent least-recently-used store: a list, newest last."""

    def __init__(self, size):
        self.size, self.kept = size, []

    def ask(self, text):
        hit = text in self.kept
        if hit:
            self.kept.remove(text)
        self.kept = [*self.kept, text][-self.size :] if self.size else []
        return hit


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=5), max_size=12), st.integers(0, 5))
def test_vectors_are_those_of_the_wrapped_encoder(calls, size):
    plain, cached = HashingEncoder(32), CachingEncoder(HashingEncoder(32), size)
    for texts in calls:
        assert np.array_equal(cached.encode_queries(texts), plain.encode_queries(texts))
        assert cached.encode_queries(texts).shape == (len(texts), 32)


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.integers(0, 5))
def test_what_is_forgotten_is_what_was_used_longest_ago(texts, size):
    inner, oracle = Counting(), Oldest(size)
    cached = CachingEncoder(inner, size)
    for text in texts:
        before = inner.asked[text]
        hit = oracle.ask(text)
        cached.encode_queries([text])
        assert inner.asked[text] == before + (not hit)
    assert cached.hits + cached.misses == len(texts)
    assert cached.misses == inner.asked.total()


def test_a_repeated_query_in_one_call_is_encoded_once():
    inner = Counting()
    CachingEncoder(inner, 10).encode_queries(["a", "b", "a"])
    assert inner.asked == {"a": 1, "b": 1}


def test_changing_a_returned_vector_does_not_change_the_next():
    cached = CachingEncoder(HashingEncoder(32), 10)
    first = cached.encode_queries(["a"])
    expected = first.copy()
    first[:] = 0
    cached.encode_queries(["a"])[:] = 0
    assert np.array_equal(cached.encode_queries(["a"]), expected)


def test_sixteen_threads_get_what_one_gets():
    plain, cached = HashingEncoder(32), CachingEncoder(HashingEncoder(32), 20)
    calls = [[f"query {(i * k) % 37}" for k in range(1 + i % 4)] for i in range(400)]
    with ThreadPoolExecutor(16) as pool:
        for texts, vectors in zip(calls, pool.map(cached.encode_queries, calls), strict=True):
            assert np.array_equal(vectors, plain.encode_queries(texts))
    assert cached.hits + cached.misses == sum(map(len, calls))


def test_it_is_the_encoder_it_wraps():
    plain = HashingEncoder(32)
    cached = CachingEncoder(plain, 3)
    assert (cached.dimension, cached.fingerprint, cached.name) == (plain.dimension, plain.fingerprint, plain.name)
    assert np.array_equal(cached.encode_products(["a", "b"]), plain.encode_products(["a", "b"]))
