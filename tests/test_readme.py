"""What the README says can be done: its commands exist, its Python runs, its files are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from click import Context

from api.cli import app
from indexer.reindex import reindex
from shop import toy_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str) -> None:
    program, name, *arguments = shlex.split(line)
    assert program == "daogou"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments, parent=Context(command))


def test_python_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reindex(ROOT / "examples" / "demo" / "catalogue.tsv", toy_settings(tmp_path / "store"))
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(block.replace(".demo/store", str(tmp_path / "store")), {})
    found, understood = capsys.readouterr().out.split(maxsplit=1)
    assert int(found) > 0
    assert understood.strip() == "price:<=500CNY"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_tree_is_the_tree() -> None:
    block = next(b for b in re.findall(r"```[a-z]*\n(.*?)```", README, re.S) if "ANSWERING" in b)
    for folder in re.findall(r"^(\w+)/", block, re.M):
        assert (ROOT / folder).is_dir(), folder


@pytest.mark.parametrize("target", ["demo", "test", "bench"])
def test_make_has_the_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)
