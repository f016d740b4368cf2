"""What a kill or a power cut leaves is whole, and what was acknowledged is there: at some of the steps here, at every one of them by
``make crash``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crashing.disk import Disk
from crashing.scenes import CARELESS, SCENES
from crashing.trace import Step, available
from crashing.trials import crash

traceable = pytest.mark.skipif(bool(available()), reason=available())


@traceable
@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_whatever_a_crash_leaves_is_whole_and_what_was_acknowledged_is_there(tmp_path: Path, scene: str) -> None:
    tally = crash(scene, tmp_path, most=12, seed=len(scene))
    assert tally.kills >= 9
    assert tally.cuts == 3 * tally.kills
    assert tally.wrong == []


@traceable
def test_what_was_never_synced_is_found_missing(tmp_path: Path) -> None:
    tally = crash(CARELESS, tmp_path)
    assert tally.points >= 9
    assert tally.wrong
    assert all("power cut" in wrong for wrong in tally.wrong)


def test_a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest(tmp_path: Path) -> None:
    start, left = tmp_path / "start", tmp_path / "left"
    start.mkdir()
    (start / "old").write_bytes(b"old")
    disk = Disk(start)
    for step in (
        Step("mkdir", "folder"), Step("open", "folder/a"), Step("write", "folder/a", data=b"12345678"), Step("sync", "folder/a"),
        Step("write", "folder/a", offset=4, data=b"abcd"), Step("sync", "folder"), Step("rename", "old", "folder/new"),
    ):  # fmt: skip
        disk.apply(step)
    disk.killed(left / "killed")
    assert sorted(p.relative_to(left).as_posix() for p in left.rglob("*") if p.is_file()) == ["killed/folder/a", "killed/folder/new"]
    assert (left / "killed" / "folder" / "a").read_bytes() == b"1234abcd"
    disk.cut(left / "cut")
    assert [p.name for p in (left / "cut").iterdir()] == ["old"]  # the folder's own name was not synced
    found = set()
    for seed in range(60):
        disk.cut(left / str(seed), random.Random(seed))
        path = left / str(seed) / "folder" / "a"
        found.add(path.read_bytes() if path.exists() else b"")
    assert {b"", b"12345678", b"1234abcd", b"1234ab78"} <= found
    assert all(content[:4] in (b"", b"1234") for content in found)
