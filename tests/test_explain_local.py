"""The local generator with tiny models of random weights: what they write is garbage, and none of it arrives."""

import time
from pathlib import Path

import pytest

from engine.errors import GeneratorError, SettingsError
from engine.explain import Explainer, check, gather_evidence, make_generator
from engine.settings import Settings
from explain_products import ENGLISH, NEED_EN

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
VOCABULARY = [*SPECIAL, "P1", "P2", ":", ".", "It", "weighs", "420", "g", "is", "waterproof", "best"]


def tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(VOCABULARY)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def model(request, tmp_path_factory) -> Path:
    import torch
    import transformers

    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    size = len(VOCABULARY)
    if request.param == "causal":
        config = transformers.GPT2Config(
            vocab_size=size, n_positions=96, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=2
        )
        made = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.T5Config(
            vocab_size=size, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=9,
            pad_token_id=0, eos_token_id=2,
        )  # fmt: skip
        made = transformers.T5ForConditionalGeneration(config)
    made.save_pretrained(folder)
    tokenizer(folder)
    return folder


def local(model: Path) -> Settings:
    return Settings(generator="local", generator_model=str(model), generator_timeout_s=5, generator_max_chars=300)


def test_a_random_models_garbage_is_refused_and_replaced(model):
    explainer = Explainer(make_generator(local(model)), timeout_s=5)
    *claims, done = explainer.explain(NEED_EN, ENGLISH)
    by_id = {p.id: p for p in ENGLISH}
    assert {c.product_id for c in claims} == set(by_id)
    assert {c.generator for c in claims} == {"template"}
    assert all(check(c.text, by_id[c.product_id], NEED_EN, ENGLISH).ok for c in claims)
    assert done.generator == "local"
    assert done.dropped == done.checked > 0
    assert done.replaced == len(ENGLISH)
    assert done.degraded == ""


def test_the_same_model_writes_the_same_drafts_and_stops_when_asked(model):
    generator = make_generator(local(model))
    evidence = [gather_evidence(NEED_EN, p) for p in ENGLISH]
    assert list(generator.generate(NEED_EN, evidence)) == list(generator.generate(NEED_EN, evidence))
    drafts = generator.generate(NEED_EN, evidence)
    next(drafts, None)
    drafts.close()
    start = time.monotonic()
    list(generator.generate(NEED_EN, evidence))
    assert time.monotonic() - start < 5


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(GeneratorError, match="no model folder"):
        make_generator(local(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(GeneratorError, match="cannot be loaded"):
        make_generator(local(tmp_path))
    with pytest.raises(SettingsError, match="generator_model"):
        make_generator(Settings(generator="local"))
