"""What does not fit in memory waits on disk, and makes no difference to what is written."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SnapshotError
from engine.index.arrays import RawArray, create_array, places_in_order
from engine.index.hashed import HashedStrings, Numbers
from engine.index.runs import Scratch, SortedRuns
from engine.index.strings import Strings, write_strings
from engine.settings import Settings
from indexer.budget import buffer_bytes, index_bytes
from indexer.reindex import reindex
from shop import files_of, random_products, toy_settings, write_feed

TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=12)


@pytest.mark.parametrize("buffer", [1, 300, 5_000, 1 << 20])
def test_runs_are_sorted_however_small_the_buffer(tmp_path: Path, buffer: int) -> None:
    lines = [random.Random(n).randbytes(n % 7).replace(b"\n", b" ") for n in range(900)]
    runs = SortedRuns(Scratch(tmp_path, buffer), "lines")
    for line in lines:
        runs.add(line)
    assert list(runs) == sorted(lines)
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, max_size=200), st.lists(TEXT, max_size=20))
def test_strings_are_found_as_in_a_list(tmp_path_factory: pytest.TempPathFactory, texts: list[str], others: list[str]) -> None:
    path = tmp_path_factory.mktemp("strings") / "texts"
    ordered = sorted(texts)
    assert write_strings(path, ordered) == len(ordered)
    found = Strings(path)
    assert list(found) == ordered
    assert [found[place] for place in range(-len(found), len(found))] == ordered + ordered
    for text in texts + others:
        assert found.find(text) == (ordered.index(text) if text in ordered else -1)
        assert found.bisect(text) == sum(one < text for one in ordered)
    half = found[len(ordered) // 3 : 2 * len(ordered) // 3]
    assert list(half) == ordered[len(ordered) // 3 : 2 * len(ordered) // 3]
    for text in half:
        assert half[half.find(text)] == text
    with pytest.raises(IndexError):
        found[len(ordered)]


@pytest.mark.parametrize("buffer", [1, 1 << 20])
def test_hashed_strings_are_numbered_in_order(tmp_path: Path, buffer: int) -> None:
    texts = ["ch", "档", *(f"word {n % 700}" for n in range(3_000))]
    strings = HashedStrings(Scratch(tmp_path, buffer), "words")
    hashes = np.array([strings.add(text) for text in texts], np.int64)
    numbers = strings.save(tmp_path / "words")
    assert list(Strings(tmp_path / "words")) == sorted(set(texts))
    assert [Strings(tmp_path / "words")[n] for n in numbers.of(hashes).tolist()] == texts


def test_two_texts_with_one_hash_are_noticed() -> None:
    with pytest.raises(SnapshotError, match="one hash"):
        Numbers(np.array([5, 7, 5], np.int64))


def test_a_counting_sort_in_pieces_is_a_stable_sort(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 9, 1_000)
    pieces = RawArray(tmp_path / "pieces.raw", np.int64)
    for start in range(0, 1_000, 130):
        pieces.append(groups[start : start + 130])
    assert len(pieces) == 1_000
    cursor = np.cumsum(np.bincount(groups, minlength=9)) - np.bincount(groups, minlength=9)
    out, done = create_array(tmp_path / "out.npy", np.int64, 1_000), 0
    for piece in pieces:
        order = np.argsort(piece, kind="stable")
        out[places_in_order(piece[order], cursor)] = done + order
        done += len(piece)
    assert np.array_equal(out, np.argsort(groups, kind="stable"))


def test_the_same_snapshot_comes_of_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = write_feed(random_products(500), tmp_path / "feed.jsonl")
    reindex(feed, toy_settings(tmp_path / "much"))
    monkeypatch.setattr("indexer.reindex.buffer_bytes", lambda settings: 3_000)
    reindex(feed, toy_settings(tmp_path / "little"))
    assert files_of(tmp_path / "much") == files_of(tmp_path / "little")


def test_a_buffer_leaves_room_for_what_the_process_has_taken_and_what_it_gave_back() -> None:
    limit = Settings(index_memory_mb=2048)
    before = buffer_bytes(limit)
    taken = np.ones(400 << 20, np.uint8)
    assert before - buffer_bytes(limit) == pytest.approx((400 << 20) / 8, abs=4 << 20)
    del taken
    assert buffer_bytes(limit) == pytest.approx(before, abs=4 << 20)
    assert 0 < buffer_bytes(Settings(index_memory_mb=512)) <= (512 << 20) / 8


def test_which_index_is_chosen_hangs_on_the_setting_alone() -> None:
    limit = Settings(index_memory_mb=1024)
    before = index_bytes(limit)
    taken = np.ones(200 << 20, np.uint8)
    assert index_bytes(limit) == before < 1024 << 20
    del taken
