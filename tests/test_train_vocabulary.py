"""Teaching an English encoder Chinese: alignment, phrases, tokens, rows, and English left as it was."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encoder.extension import ROWS, TOKENS, Extension, apply_extension, read_extension, write_extension
from engine.encoder.source import BUNDLED, DEFAULT, find_source, load_original
from engine.errors import EncoderError, TrainingError
from engine.language import language_of
from engine.lexicon import Entry, Lexicon
from engine.train.align import align
from engine.train.parallel import composed, switched, terms_of
from engine.train.vocabulary import Teaching, extend_model, new_tokens, spellings, teach
from tiny_models import save_model

pytestmark = pytest.mark.slow

ENTRIES = [
    Entry("color", ("red",), ("红色",)),
    Entry("material", ("leather",), ("皮革",)),
    Entry("thing", ("jacket",), ("外套", "夹克")),
    Entry("thing", ("hiking jacket",), ("登山外套",)),
    Entry("thing", ("mouse",), ("鼠标", "滑鼠")),
    Entry("thing", ("wireless mouse",), ("无线鼠标",)),
]


def test_what_stands_beside_a_piece_more_often_than_chance_stands_for_it() -> None:
    red, car, bag, hong, che, bao = range(6)
    table = align([((red, car), (hong, che)), ((red, bag), (hong, bao)), ((car,), (che,))], rounds=20)
    assert max(table[hong], key=table[hong].__getitem__) == red
    assert max(table[che], key=table[che].__getitem__) == car
    assert max(table[bao], key=table[bao].__getitem__) == bag


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.lists(st.integers(10, 19), max_size=4)), max_size=12))
def test_each_row_of_an_alignment_is_a_distribution_over_what_stood_beside_it(pairs: list[tuple[list[int], list[int]]]) -> None:
    table = align(pairs)
    assert set(table) == {token for known, new in pairs if known for token in new}
    for token, row in table.items():
        assert sum(row.values()) == pytest.approx(1)
        assert set(row) <= {piece for known, new in pairs if token in new for piece in known}


def test_phrases_say_the_same_in_both_languages() -> None:
    zh = {form: e.en[0] for e in ENTRIES for form in e.zh}
    for pair in composed(ENTRIES, 200, 1):
        rest = pair.zh.replace("的", "").replace(" ", "")
        words = []
        while rest:  # the longest known form first, as the phrase was put together from whole forms
            form = max((f for f in zh if rest.startswith(f)), key=len)
            words.append(zh[form])
            rest = rest[len(form) :]
        assert " ".join(words) == pair.en
    assert composed(ENTRIES, 5, 1) == composed(ENTRIES, 5, 1) != composed(ENTRIES, 5, 2)
    assert composed([e for e in ENTRIES if e.kind != "thing"], 5, 1) == []


def test_titles_keep_what_the_lexicon_does_not_know() -> None:
    found = switched(["Fellmark X200 red hiking jacket 42"] * 30, Lexicon(ENTRIES), 30, 3)
    assert found
    assert any("登山外套" in pair.zh for pair in found)
    for pair in found:
        for word in ("Fellmark", "X200", "42"):
            assert (word in pair.en) == (word.lower() in pair.zh)


def test_tokens_are_characters_and_the_words_seen_twice() -> None:
    tokens = new_tokens(["登山 外套", "登山 毛衣", "红色 jacket"])
    assert set("登山外套毛衣红色") <= set(tokens)
    assert "登山" in tokens
    assert "毛衣" not in tokens
    assert "毛衣" in new_tokens(["毛衣"])
    assert "双肩背包" not in new_tokens(["双肩背包"])
    assert "双肩背包" in new_tokens(["双肩背包"], {"双肩背包"})
    assert not any(language_of(token) == "en" for token in tokens)
    both = spellings(["红色", "电脑"])
    assert both["電腦"] == both["电脑"] != both["红色"] == both["紅色"]



def test_english_stays_as_it_is_and_chinese_comes_near_it(tmp_path) -> None:
    import torch

    folder = save_model(tmp_path / "model")
    out = tmp_path / "extended"
    losses: list[float] = []
    made = extend_model(
        str(folder), Lexicon(ENTRIES), ["A red jacket"] * 9, out, phrases=60, teaching=Teaching(epochs=40, batch_size=16, learning_rate=0.05),
        advance=lambda step, steps, loss, cosine: losses.append(loss),
    )  # fmt: skip
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert made["curve"][-1][1] > made["curve"][0][1]
    before = load_original(find_source(str(folder)), max_tokens=64)
    source = find_source(str(out))
    assert source.languages == ("en", "zh")
    after = load_original(source, max_tokens=64)
    english = ["red leather jacket", "wireless mouse 2.4 GHz", "a", ""]
    assert np.array_equal(before.encode(english), after.encode(english))
    assert after.tokenizer.tokenize("无线鼠标") == ["无线", "鼠标"]
    assert np.array_equal(after.encode(["滑鼠 無線"]), after.encode(["滑鼠 无线"]))  # one row serves both spellings
    rows = [model[0].auto_model.get_input_embeddings().weight[: len(before.tokenizer)] for model in (before, after)]
    assert torch.equal(*rows)
    with pytest.raises(TrainingError, match="extended already"):
        extend_model(str(out), Lexicon(ENTRIES), [], tmp_path / "again")
    with pytest.raises(TrainingError, match="no Chinese"):
        extend_model(str(folder), Lexicon([]), [], tmp_path / "none")


def test_one_seed_gives_one_model(tmp_path) -> None:
    folder = save_model(tmp_path / "model")
    terms = terms_of(ENTRIES)
    first, again, other = (
        teach(load_original(find_source(str(folder)), max_tokens=64), terms, [], Teaching(epochs=3, batch_size=4, seed=seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)


@pytest.fixture
def extension(tmp_path):
    folder = save_model(tmp_path / "model")
    weights = find_source(str(folder)).files["model.safetensors"].sha256
    told = Extension(name="tiny-zh", base=str(folder), base_sha256=weights, languages=("en", "zh"))
    write_extension(tmp_path / "extended", told, {"电": 0, "電": 0, "脑": 1}, np.ones((2, 32), np.float16))
    return tmp_path / "extended"


def test_an_extension_is_refused_by_name_when_it_does_not_fit(extension, tmp_path) -> None:
    assert read_extension(extension).name == "tiny-zh"
    model = load_original(find_source(str(extension)), max_tokens=64)
    assert len(model.tokenizer.tokenize("电脑")) == 2
    for name in (TOKENS, ROWS):
        broken = tmp_path / f"broken-{name}"
        shutil.copytree(extension, broken)
        (broken / name).write_bytes((broken / name).read_bytes()[:-1] + b"!")
        with pytest.raises(EncoderError, match="damaged"):
            find_source(str(broken))
    other = json.loads((extension / "extension.json").read_text())
    (extension / "extension.json").write_text(json.dumps(other | {"base_sha256": "0" * 64}))
    with pytest.raises(EncoderError, match="other weights"):
        find_source(str(extension))
    (extension / "extension.json").write_text(json.dumps(other | {"format": 9}))
    with pytest.raises(EncoderError, match="format 9"):
        find_source(str(extension))
    (extension / "extension.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be used"):
        find_source(str(extension))
    write_extension(tmp_path / "wide", Extension(**other | {"files": {}}), {"电": 0}, np.ones((1, 8), np.float16))
    with pytest.raises(EncoderError, match="8"):
        apply_extension(load_original(find_source(str(tmp_path / "model")), max_tokens=64), tmp_path / "wide")


def test_the_model_that_comes_along_reads_chinese_and_keeps_its_english() -> None:
    assert find_source("").folder == find_source(BUNDLED).folder
    assert find_source("").extension == DEFAULT
    ours, published = (load_original(find_source(name), max_tokens=64) for name in ("", BUNDLED))
    english = ["waterproof hiking jacket", "tn-2110 toner", "naïve café 15.6\""]
    assert np.array_equal(ours.encode(english), published.encode(english))
    things = {
        "电脑散热风扇": "computer fan", "登山外套": "hiking jacket", "無線滑鼠": "wireless mouse",
        "女士真皮手提包": "women's leather handbag", "儿童雨靴": "kids' rain boots", "咖啡豆": "coffee beans",
    }  # fmt: skip
    near = ours.encode(list(things), normalize_embeddings=True) @ ours.encode(list(things.values()), normalize_embeddings=True).T
    assert np.array_equal(near.argmax(axis=1), np.arange(len(things)))
    plain = published.encode(list(things), normalize_embeddings=True) @ published.encode(list(things.values()), normalize_embeddings=True).T
    assert near.diagonal().mean() > plain.diagonal().mean() + 0.3
