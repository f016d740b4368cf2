"""BM25F against a slow reading of its definition."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.index.lexical import K1, LexicalIndex, Measured
from engine.index.lexical_builder import B, LexicalBuilder
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.language import terms, words
from engine.text import FIELDS, lexical_fields
from shop import random_products


def slow_bm25f(documents: list[dict[str, str]], query: str) -> list[float]:
    """Only for queries whose words have one form each."""
    cut = [{f: [t.text for t in terms(words(d[f]))] for f in FIELDS} for d in documents]
    lengths = [{f: len(words(d[f])) for f in FIELDS} for d in documents]
    mean = {f: max(sum(one[f] for one in lengths) / len(documents), 1e-9) for f in FIELDS}
    scores = [0.0] * len(documents)
    for word in words(query):
        term = next(iter(terms([word]))).text
        having = [any(term in d[f] for f in FIELDS) for d in cut]
        idf = math.log(1 + (len(documents) - sum(having) + 0.5) / (sum(having) + 0.5))
        for i, d in enumerate(cut):
            frequency = sum(
                FIELDS[f] * Counter(d[f])[term] / (1 - B + B * lengths[i][f] / mean[f]) for f in FIELDS
            )
            scores[i] += idf * frequency / (K1 + frequency)
    return scores


@pytest.fixture(scope="module")
def documents() -> list[dict[str, str]]:
    return [lexical_fields(p) for p in random_products(300)]


@pytest.fixture(scope="module")
def index(documents: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    builder = LexicalBuilder(Scratch(folder, 1 << 20))
    for d in documents:
        builder.add(d)
    builder.save(folder / "lexical")
    return LexicalIndex([Part(folder, 0, len(documents))])


@pytest.mark.parametrize("query", ["tent", "waterproof jacket", "steel kettle red", "外套", "防水 水壶"])
def test_scores_equal_the_definition(index: LexicalIndex, documents: list[dict[str, str]], query: str) -> None:
    np.testing.assert_allclose(index.search(words(query)).score, slow_bm25f(documents, query), rtol=2e-5, atol=1e-6)


def test_coverage_is_the_share_of_the_query_by_rarity(index: LexicalIndex, documents: list[dict[str, str]]) -> None:
    found = index.search(words("waterproof tent"))
    texts = [" ".join(d.values()) for d in documents]
    both = np.array(["waterproof" in t and "tent" in t.lower() for t in texts])
    neither = np.array(["waterproof" not in t and "tent" not in t.lower() for t in texts])
    assert np.allclose(found.coverage[both], 1)
    assert not found.coverage[neither].any()
    assert ((found.coverage >= 0) & (found.coverage <= 1 + 1e-6)).all()


def test_unknown_words_match_nothing_and_cost_coverage(index: LexicalIndex) -> None:
    assert not index.search(words("zyzzyva")).score.any()
    assert index.search(words("tent zyzzyva")).coverage.max() < 0.75


def test_affirming_ignores_what_is_negated(tmp_path: Path) -> None:
    titles = ["bottle with plastic lid", "bottle without plastic", "plastic-free bottle", "steel bottle", "不含塑料 水壶", "塑料 水壶"]
    builder = LexicalBuilder(Scratch(tmp_path, 1 << 20))
    for title in titles:
        builder.add({"title": title, "description": "never plastic"})
    builder.save(tmp_path / "lexical")
    index = LexicalIndex([Part(tmp_path, 0, len(titles))])
    assert np.flatnonzero(index.affirming(words("plastic"))).tolist() == [0]
    assert np.flatnonzero(index.affirming(words("塑料"))).tolist() == [5]


def test_an_empty_catalogue_answers(tmp_path: Path) -> None:
    LexicalBuilder(Scratch(tmp_path, 1 << 20)).save(tmp_path / "lexical")
    assert len(LexicalIndex([Part(tmp_path, 0, 0)]).search(words("tent")).score) == 0


def test_joined_alternatives_each_stand_for_themselves(tmp_path: Path) -> None:
    builder = LexicalBuilder(Scratch(tmp_path, 1 << 20))
    for title in ("Keyboard gray/black", "Mouse wireless+bluetooth", "Keyboard non-black", "Blackboard"):
        builder.add({"title": title})
    builder.save(tmp_path / "lexical")
    index = LexicalIndex([Part(tmp_path, 0, 4)])
    assert index.affirming(words("black")).tolist() == [True, False, False, False]
    assert index.affirming(words("wireless")).tolist() == [False, True, False, False]


def test_a_measure_counts_however_a_product_says_it(tmp_path: Path) -> None:
    titles = ["patch cable 5ft", "patch cable five feet", "patch cable 7ft", "patch cord"]
    builder = LexicalBuilder(Scratch(tmp_path, 1 << 20))
    for title in titles:
        builder.add({"title": title})
    builder.save(tmp_path / "lexical")
    index = LexicalIndex([Part(tmp_path, 0, len(titles))])
    has = np.array([True, True, False, False])
    plain = index.search(words("patch cable 5ft"))
    one = index.search(words("patch cable 5ft"), (), [Measured(2, 3, has)])
    other = index.search(words("patch cable 152 cm"), (), [Measured(2, 4, has)])
    assert plain.coverage[1] < 1
    assert one.coverage[:2].tolist() == pytest.approx([1, 1])
    assert other.coverage == pytest.approx(one.coverage)
    assert one.score[1] > plain.score[1]
    assert other.score[1] == pytest.approx(one.score[1])
