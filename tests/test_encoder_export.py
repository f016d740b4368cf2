"""Exporting small random models of several shapes, reuse and repair of the cache, and the original run by torch."""

import json
import os
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from engine.encoder import HashingEncoder, open_encoder
from engine.encoder import export as exporting
from engine.encoder import source as sources
from engine.encoder.apart import export_apart
from engine.encoder.card import read_card
from engine.encoder.export import export_encoder
from engine.encoder.graph import write_tokenizer
from engine.encoder.samples import PRODUCTS
from engine.encoder.torch_encoder import TorchEncoder, bulk_encoder
from engine.errors import EncoderError
from tiny_models import original, save_model

TEXTS = [*PRODUCTS[:6], "jacket", "", "防水登山外套", "wool scarf " * 60]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    return export_encoder(str(tiny), tmp_path_factory.mktemp("encoders"), max_tokens=32)


def cosines(first, second):
    return (first * second).sum(axis=1)


def dense():
    from sentence_transformers.models import Dense, Normalize

    return [Dense(32, 24), Normalize()]


SHAPES = {
    "mean": {},
    "cls": {"pooling": "cls"},
    "max": {"pooling": "max"},
    "two poolings": {"pooling": ("mean", "max")},
    "prompts": {"prompts": {"query": "query: ", "document": "product: "}},
    "a dense layer": {"modules": dense},
    "distilbert": {"family": "distilbert"},
    "xlm-roberta": {"family": "xlm-roberta"},
    "mpnet": {"family": "mpnet"},
    "plain transformers": {"plain": True},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_agrees_with_sentence_transformers(tmp_path, shape):
    model = save_model(tmp_path / "model", **{name: v() if callable(v) else v for name, v in shape.items()})
    folder = export_encoder(str(model), tmp_path / "cache", max_tokens=32)
    encoder, expected = open_encoder(folder), original(model, 32)
    floor = 0.98 if encoder.card.precision == "int8" else 0.9999
    queries = expected.encode_query(TEXTS, normalize_embeddings=True)
    products = expected.encode_document(TEXTS, normalize_embeddings=True)
    assert encoder.name == "model"
    assert encoder.dimension == queries.shape[1]
    assert cosines(encoder.encode_queries(TEXTS), queries).mean() >= floor
    assert cosines(encoder.encode_products(TEXTS), products).mean() >= floor


def test_prompts_are_put_before_queries_and_products(tmp_path, tiny):
    prompted = save_model(tmp_path / "prompted", prompts={"query": "query: ", "passage": "product: "})
    encoder = open_encoder(export_encoder(str(prompted), tmp_path / "cache", max_tokens=32))
    plain = open_encoder(export_encoder(str(tiny), tmp_path / "cache", max_tokens=32))
    assert np.array_equal(encoder.encode_queries(["jacket"]), plain.encode_queries(["query: jacket"]))
    assert np.array_equal(encoder.encode_products(["jacket"]), plain.encode_products(["product: jacket"]))
    assert encoder.fingerprint != plain.fingerprint


def test_weights_and_length_change_the_fingerprint_and_nothing_else_does(tmp_path, tiny, exported):
    first = open_encoder(exported).fingerprint
    moved = shutil.copytree(tiny, tmp_path / "moved")
    (moved / "README.md").write_text("another card")
    assert open_encoder(export_encoder(str(moved), tmp_path / "a", max_tokens=32)).fingerprint == first
    assert open_encoder(export_encoder(str(tiny), tmp_path / "a", max_tokens=16)).fingerprint != first
    other = save_model(tmp_path / "other", seed=1)
    assert open_encoder(export_encoder(str(other), tmp_path / "a", max_tokens=32)).fingerprint != first
    assert len([p for p in (tmp_path / "a").iterdir() if p.is_dir()]) == 3


def test_a_length_beyond_the_model_is_its_own_limit(tmp_path, tiny):
    encoder = open_encoder(export_encoder(str(tiny), tmp_path, max_tokens=4096))
    assert encoder.card.max_tokens == 64
    assert np.isfinite(encoder.encode_products(["jacket " * 500])).all()


def test_int8_that_disagrees_gives_way_to_float32_and_says_why(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(exporting, "MIN_COSINE", 1.1)
    encoder = open_encoder(export_encoder(str(tiny), tmp_path, max_tokens=32))
    assert encoder.card.precision == "fp32"
    assert "below 1.1" in encoder.card.fallback
    expected = original(tiny, 32).encode(TEXTS, normalize_embeddings=True)
    assert cosines(encoder.encode_products(TEXTS), expected).min() > 0.99999
    assert encoder.card.parity.overlap == encoder.card.parity.overlap_mixed == 1


def test_an_export_that_computes_something_else_is_refused(tmp_path, tiny, monkeypatch):
    right = exporting.encode_original
    monkeypatch.setattr(exporting, "encode_original", lambda *a: right(*a)[:, ::-1].copy())
    with pytest.raises(EncoderError, match="gives other vectors"):
        export_encoder(str(tiny), tmp_path, max_tokens=32)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_the_shops_own_texts_are_compared_on(tmp_path, tiny):
    texts = [f"jacket number {i}" for i in range(90)] * 2
    card = read_card(export_encoder(str(tiny), tmp_path, max_tokens=32, sample_texts=texts))
    assert card.parity.products == 90
    assert card.parity.queries == 32


def test_a_sound_folder_is_reused_and_a_damaged_one_made_again(tmp_path, tiny, exported, monkeypatch):
    cache = tmp_path / "cache"
    shutil.copytree(exported.parent, cache)
    folder = cache / exported.name
    steps = []
    assert export_encoder(str(tiny), cache, max_tokens=32, progress=steps.append) == folder
    assert steps == ["finding the model"]
    before = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(before[:-1])
    assert export_encoder(str(tiny), cache, max_tokens=32, progress=steps.append) == folder
    assert len(steps) > 2
    assert (folder / "model.onnx").read_bytes() == before


def test_an_export_that_dies_leaves_nothing_that_opens(tmp_path, tiny, monkeypatch):
    left = tmp_path / ".unfinished-killed"
    left.mkdir()
    monkeypatch.setattr(exporting, "quantise", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        export_encoder(str(tiny), tmp_path, max_tokens=32)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_every_file_reaches_the_disk_before_the_folder_gets_its_name(tmp_path, tiny, monkeypatch):
    synced, renamed = [], []
    fsync, rename = os.fsync, type(tmp_path).rename
    monkeypatch.setattr(os, "fsync", lambda h: (synced.append(os.readlink(f"/proc/self/fd/{h}")), fsync(h)))
    monkeypatch.setattr(
        type(tmp_path), "rename", lambda p, t: (renamed.append([os.path.basename(s) for s in synced]), rename(p, t))[1]
    )
    export_encoder(str(tiny), tmp_path, max_tokens=32)
    assert {"encoder.json", "model.onnx", "tokenizer.json"} <= set(renamed[-1])
    assert synced[-1] == str(tmp_path)


@pytest.mark.parametrize(("model", "dimension"), [("hashing", 256), ("hashing:64", 64)])
def test_the_toy_model_has_a_folder_too(tmp_path, model, dimension):
    folder = export_encoder(model, tmp_path, max_tokens=128)
    encoder = open_encoder(folder, expect=HashingEncoder(dimension).fingerprint)
    assert np.array_equal(encoder.encode_queries(TEXTS), HashingEncoder(dimension).encode_queries(TEXTS))
    assert export_encoder(model, tmp_path, max_tokens=16) == folder
    assert bulk_encoder(folder, "cpu").fingerprint == encoder.fingerprint


@pytest.mark.parametrize("model", ["hashing:", "hashing:-3", "hashing:x", "hashing:0", "hashing:99999999"])
def test_toy_models_that_make_no_sense_are_refused(tmp_path, model):
    if model == "hashing:":
        assert open_encoder(export_encoder(model, tmp_path, max_tokens=16)).dimension == 256
        return
    with pytest.raises(EncoderError, match="hashing"):
        export_encoder(model, tmp_path, max_tokens=16)


@pytest.mark.parametrize("model", ["./nothing/here", "/nothing/here", "a/b/c"])
def test_a_folder_that_is_not_there_is_refused(tmp_path, model):
    with pytest.raises(EncoderError, match=f"no model folder '{model}'"):
        export_encoder(model, tmp_path, max_tokens=16)


def test_a_name_that_cannot_be_fetched_is_one_sentence(tmp_path, monkeypatch):
    asked = []

    def offline(repository, **_):
        asked.append(repository)
        raise OSError("Network is unreachable\nwith a long story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    for model, repository in [("some-model", "sentence-transformers/some-model"), ("org/model", "org/model")]:
        with pytest.raises(EncoderError, match=rf"'{model}'.*\(Network is unreachable\)"):
            export_encoder(model, tmp_path, max_tokens=16)
        assert asked[-1] == repository


def test_a_name_that_can_be_fetched_is_exported(tmp_path, tiny, exported, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repository, **_: str(tiny))
    encoder = open_encoder(export_encoder("org/tiny-model", tmp_path, max_tokens=32))
    assert encoder.name == "tiny-model"
    assert encoder.card.source.model == "org/tiny-model"
    assert encoder.fingerprint == open_encoder(exported).fingerprint


def test_pickled_weights_are_refused(tmp_path, tiny):
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="safetensors"):
        export_encoder(str(model), tmp_path / "cache", max_tokens=16)


def test_a_prompt_left_out_of_the_pooling_is_refused(tmp_path):
    model = save_model(tmp_path / "model", prompts={"query": "query: "})
    (settings,) = model.glob("1_Pooling/config.json")
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"include_prompt": False}))
    with pytest.raises(EncoderError, match="include_prompt"):
        export_encoder(str(model), tmp_path / "cache", max_tokens=16)


def test_separate_networks_for_queries_and_products_are_refused(tmp_path, tiny):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Router

    one, two = original(tiny, 32), original(tiny, 32)
    router = Router.for_query_document(query_modules=list(one), document_modules=list(two))
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path / "model"))
    with pytest.raises(EncoderError, match="Router"):
        export_encoder(str(tmp_path / "model"), tmp_path / "cache", max_tokens=16)


def test_a_tokenizer_without_a_fast_form_is_refused(tmp_path, tiny):
    model = original(tiny, 32)

    class Slow:
        backend_tokenizer = None

    class Stub:
        tokenizer = Slow()

    with pytest.raises(EncoderError, match=r"Slow.*tokenizer\.json"):
        write_tokenizer(Stub(), tmp_path / "tokenizer.json")
    write_tokenizer(model, tmp_path / "tokenizer.json")
    assert json.loads((tmp_path / "tokenizer.json").read_text())["truncation"]["max_length"] == 32


def test_a_folder_that_cannot_be_loaded_is_refused(tmp_path, tiny):
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "config.json").write_text(json.dumps({"model_type": "no such model"}))
    with pytest.raises(EncoderError, match="cannot be loaded"):
        export_encoder(str(model), tmp_path / "cache", max_tokens=16)


def test_bundled_weights_other_than_the_published_are_refused(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(sources, "_bundled_folder", lambda: tiny)
    with pytest.raises(EncoderError, match="published weights"):
        export_encoder("", tmp_path, max_tokens=16)


def test_the_original_in_torch_gives_what_sentence_transformers_gives(tiny, exported):
    card = read_card(exported)
    encoder, expected = TorchEncoder(card, "cpu", batch_size=3), original(tiny, 32)
    assert (encoder.dimension, encoder.name) == (32, "tiny")
    assert encoder.fingerprint == f"{card.fingerprint}:torch"
    np.testing.assert_allclose(
        encoder.encode_products(TEXTS), expected.encode(TEXTS, normalize_embeddings=True), atol=1e-5
    )
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), encoder.encode_products(TEXTS), atol=1e-6)
    assert encoder.encode_queries([]).shape == (0, 32)
    assert encoder.encode_queries(["half a pair \ud83e"]).shape == (1, 32)


def test_an_original_that_changed_since_is_refused(tmp_path, tiny):
    model = shutil.copytree(tiny, tmp_path / "model")
    card = read_card(export_encoder(str(model), tmp_path / "cache", max_tokens=32))
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(settings | {"layer_norm_eps": 0.5}))
    with pytest.raises(EncoderError, match="has changed"):
        TorchEncoder(card, "cpu")


def test_bulk_encoding_uses_cuda_where_there_is_any(exported, monkeypatch):
    import torch

    from engine.encoder import torch_encoder

    plain = open_encoder(exported)
    assert np.array_equal(bulk_encoder(exported, "cpu").encode_products(TEXTS), plain.encode_products(TEXTS))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bulk_encoder(exported, "auto").fingerprint == plain.fingerprint
    with pytest.raises(EncoderError, match="CUDA"):
        bulk_encoder(exported, "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_encoder, "load_original", lambda source, max_tokens, device: (max_tokens, device))
    assert bulk_encoder(exported, "auto")._model == (32, "cuda")
    assert bulk_encoder(exported, "cuda").fingerprint == f"{plain.fingerprint}:torch"


def test_the_words_a_tokenizer_knows_are_whole_ones(tmp_path: Path) -> None:
    from engine.encoder.words import whole_words

    assert whole_words(tmp_path) == frozenset()
    pieces = {"model": {"vocab": {"printer": 0, "##printer": 1, "cat": 2, "[UNK]": 3, "laser": 4, "##ing": 5}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(pieces))
    assert whole_words(tmp_path) == {"printer", "laser"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": [["▁Printer", 0.0], ["laser", -1.0]]}}))
    assert whole_words(tmp_path) == {"printer"}


def test_another_process_exports_the_same_and_says_the_same(tiny: Path, exported: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    apart = export_apart(str(tiny), tmp_path, max_tokens=32, progress=steps.append)
    assert apart.name == exported.name
    assert open_encoder(apart).fingerprint == open_encoder(exported).fingerprint
    assert any("exporting" in step for step in steps)
    steps.clear()
    assert export_apart(str(tiny), tmp_path, max_tokens=32, progress=steps.append) == apart
    assert steps == []


def test_another_process_says_what_is_wrong(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "modules.json").write_text("[]")
    with pytest.raises(EncoderError) as apart:
        export_apart(str(model), tmp_path / "a", max_tokens=32)
    with pytest.raises(EncoderError) as here:
        export_encoder(str(model), tmp_path / "b", max_tokens=32)
    assert str(apart.value) == str(here.value)


def test_a_process_that_is_killed_is_named(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.encoder.apart.sys.executable", "/bin/true")
    with pytest.raises(EncoderError, match="ended early"):
        export_apart(str(tiny), tmp_path, max_tokens=32)
