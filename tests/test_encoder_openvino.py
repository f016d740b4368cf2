"""The same encoder run by OpenVINO: it finds what the original finds, is opened like the other, and tells nobody."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.encoder import open_encoder
from engine.encoder.card import BIN, MODEL, XML, read_card
from engine.encoder.export import MIN_COSINE, MIN_OVERLAP, export_encoder
from engine.encoder.samples import PRODUCTS, QUERIES
from engine.engine import Engine
from engine.errors import EncoderError, MissingExtraError
from engine.schema import SearchRequest
from indexer.reindex import reindex
from shop import random_products, write_feed
from test_cli import ROOT
from tiny_models import original, save_model

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    return export_encoder("all-MiniLM-L6-v2", tmp_path_factory.mktemp("encoders"), max_tokens=64, runtime="openvino")


def test_it_is_int8_and_agrees_with_the_original_in_rankings(exported: Path) -> None:
    card = read_card(exported)
    assert (card.kind, card.precision, card.fallback) == ("openvino", "int8", "")
    assert {XML, BIN} < set(card.files)
    assert card.parity is not None
    assert card.parity.cosine_mean >= MIN_COSINE
    assert card.parity.overlap >= MIN_OVERLAP
    assert not (exported / MODEL).exists()
    assert (exported / BIN).stat().st_size < 40_000_000  # float32 has 90 MB


def test_the_small_model_s_vectors_are_the_original_s(tmp_path: Path) -> None:
    model = save_model(tmp_path / "tiny", prompts={"query": "query: ", "document": "product: "})
    encoder = open_encoder(export_encoder(str(model), tmp_path / "cache", max_tokens=32, runtime="openvino"))
    theirs = original(model, 32)
    for ours, prompt, texts in ((encoder.encode_queries, "query: ", QUERIES), (encoder.encode_products, "product: ", PRODUCTS)):
        expected = theirs.encode(list(texts), prompt=prompt, normalize_embeddings=True)
        assert np.sum(ours(list(texts)) * expected, axis=1).mean() > 0.98


def test_a_vector_is_its_text_s_alone_in_any_company_and_thread(exported: Path) -> None:
    encoder = open_encoder(exported, threads=2)
    texts = [*QUERIES[:20], "", "x" * 3000, "\ud800"]
    alone = np.concatenate([encoder.encode_queries([text]) for text in texts])
    assert np.allclose(encoder.encode_queries(texts), alone, atol=1e-4)
    products = list(PRODUCTS[:12])
    expected = encoder.encode_products(products)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(rows, expected) for rows in pool.map(encoder.encode_products, [products] * 8))


def test_a_shop_is_indexed_and_served_with_it(tmp_path: Path) -> None:
    from engine.settings import load_settings

    model = save_model(tmp_path / "tiny")
    settings = load_settings(store=tmp_path / "store", model=str(model), runtime="openvino")
    reindex(write_feed(random_products(30), tmp_path / "feed.jsonl"), settings)
    engine = Engine.open(settings)
    assert read_card(next((tmp_path / "store" / "encoders").iterdir())).kind == "openvino"
    assert engine.search(SearchRequest(q="waterproof jacket")).hits


def test_without_the_package_it_says_what_to_install(exported: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'daogou\[openvino\]'"):
        open_encoder(exported)


def test_a_damaged_graph_is_refused_before_it_is_parsed(exported: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    with (broken / XML).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(EncoderError, match=r"model\.xml is damaged"):
        open_encoder(broken)


def test_telemetry_is_kept_out() -> None:
    code = (
        "from engine.encoder.runtimes import openvino; openvino(); import nncf; from nncf.telemetry.wrapper import telemetry;"
        "from openvino.tools.ovc import telemetry_utils; print(type(telemetry).__name__, telemetry_utils.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    nncf, ovc = done.stdout.split()
    assert nncf != "NNCFTelemetry"  # its stub is a mock
    assert ovc == "openvino.tools.ovc.telemetry_stub"
