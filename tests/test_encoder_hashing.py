"""The toy encoder: unit length, the same everywhere, near where words are shared."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encoder import HashingEncoder
from engine.errors import EncoderError

ANY_TEXT = st.text(alphabet=st.characters(), max_size=60)  # lone surrogates included
WORDS = st.lists(st.text(alphabet="abcdefghijklmnop", min_size=4, max_size=9), min_size=3, max_size=8, unique=True)


@given(st.lists(ANY_TEXT, max_size=5), st.integers(2, 600))
def test_any_text_gives_finite_unit_vectors(texts, dimension):
    vectors = HashingEncoder(dimension).encode_queries(texts)
    assert vectors.shape == (len(texts), dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_a_vector_depends_on_its_text_alone(texts):
    encoder = HashingEncoder()
    together = encoder.encode_products(texts)
    alone = np.concatenate([encoder.encode_queries([text]) for text in texts])
    assert np.array_equal(together, alone)


@given(WORDS, st.data())
def test_case_width_and_punctuation_do_not_matter(words, data):
    plain = " ".join(words)
    wide = "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in plain)
    other = data.draw(st.sampled_from([plain.upper(), wide, plain.replace(" ", ", "), f"({plain})"]))
    first, second = HashingEncoder().encode_queries([plain, other])
    assert float(first @ second) == pytest.approx(1, abs=1e-6)


def test_shared_words_are_nearer_than_none_in_both_scripts():
    encoder = HashingEncoder(512)
    products = encoder.encode_products(
        ["waterproof hiking jacket green", "wireless mouse usb-c", "防水登山外套 军绿色", "无线鼠标 静音"]
    )
    queries = encoder.encode_queries(["hiking jackets", "mouse wireless", "登山外套", "静音鼠标"])
    assert (queries @ products.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_another_process_with_another_hash_seed_agrees():
    code = (
        "from engine.encoder import HashingEncoder;"
        "print(HashingEncoder(8).encode_queries(['登山 jacket']).tobytes().hex())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == HashingEncoder(8).encode_queries(["登山 jacket"]).tobytes().hex()


def test_fingerprints_differ_by_dimension():
    assert HashingEncoder(64).fingerprint == HashingEncoder(64).fingerprint != HashingEncoder(65).fingerprint


@pytest.mark.parametrize("dimension", [-1, 0, 1, 65_537])
def test_impossible_dimensions_are_refused(dimension):
    with pytest.raises(EncoderError, match=str(dimension)):
        HashingEncoder(dimension)
