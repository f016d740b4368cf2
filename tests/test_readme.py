"""What the README says can be done: its commands exist, its Python runs, its files and settings are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from api.cli import EXIT_CODES, app
from engine import errors
from engine.settings import Settings
from indexer.reindex import reindex
from shop import toy_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "evals/README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]


def parse(line: str) -> str:
    """Parse a command as typer would, without running it, and return its name."""
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "daogou"
    group = typer.main.get_command(app)
    with group.make_context("daogou", [name]) as context:
        group.commands[name].make_context(name, arguments, parent=context)  # type: ignore[attr-defined]
    return name


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str) -> None:
    parse(line)


@pytest.mark.parametrize(
    "wrong", ["daogou find tent", "daogou search", "daogou search tent --colour red", "daogou search tent --per-page x"]
)
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        parse(wrong)
    assert type(caught.value).__name__ in {"KeyError", "MissingParameter", "NoSuchOption", "BadParameter"}


def test_every_command_is_named() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert known <= set(re.findall(r"daogou (\w+)", README))


def test_python_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reindex(ROOT / "examples" / "demo" / "catalogue.tsv", toy_settings(tmp_path / "store"))
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(block.replace(".demo/store", str(tmp_path / "store")), {})
    found, understood = capsys.readouterr().out.split(maxsplit=1)
    assert int(found) > 0
    assert understood.strip() == "price:<=500CNY"


def test_the_exit_codes_are_those_of_the_errors() -> None:
    assert set(EXIT_CODES) == {getattr(errors, name).exit_code for name in errors.__all__} | {0, 130}
    for code in EXIT_CODES:
        assert re.search(rf"\b{code} [a-z]", README[README.index("Exit codes") :]), code


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_and_settings_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    named = set(re.findall(r"DAOGOU_([A-Z][A-Z_]*[A-Z])", text)) - {"CONFIG"}
    assert named <= {name.upper() for name in Settings.model_fields}


def test_the_tree_is_the_tree() -> None:
    block = next(b for b in re.findall(r"```[a-z]*\n(.*?)```", README, re.S) if "ANSWERING" in b)
    folder = ROOT
    for line in block.splitlines():
        folder = ROOT if not line.startswith(" ") else folder
        names = re.split(r" {2,}", line.strip())[0].split()
        # `benchmarks/ speed against …`: only the folder is a name there
        for name in names if line.startswith(" ") else names[:1]:
            assert (folder / name).exists() or (folder / f"{name}.py").exists(), name
        folder = ROOT / names[0] if not line.startswith(" ") else folder


@pytest.mark.parametrize("target", ["demo", "test", "bench", "lint", "types", "clean"])
def test_make_has_the_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)
