"""Imports point one way, and heavy or optional packages stay in the module that needs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(f for package in ("engine", "indexer", "api", "evals") for f in (ROOT / package).rglob("*.py"))
OURS = {"engine", "indexer", "api", "evals"}


def imported(file: Path) -> set[str]:
    """Return the top-level packages a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names & OURS


def allowed(file: Path) -> set[str]:
    part = file.relative_to(ROOT).parts
    if part[0] == "api":
        return OURS if part[1] == "cli" else {"api", "engine"}
    return {"engine": {"engine"}, "indexer": {"indexer", "engine"}, "evals": {"evals", "indexer", "engine"}}[part[0]]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_imports_point_one_way(file: Path) -> None:
    assert imported(file) <= allowed(file)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_does_and_stays_readable(file: Path) -> None:
    text = file.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400
    assert file.stem not in {"utils", "common", "helpers"}


def test_serving_needs_no_torch() -> None:
    code = "import sys, engine.engine, api.app; print([m for m in ('torch', 'transformers', 'indexer', 'evals') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist_and_are_documented() -> None:
    for file in FILES:
        tree = ast.parse(file.read_text("utf-8"))
        public = next(
            (ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"), []
        )
        defined = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        for name in public:
            if name in defined:
                assert ast.get_docstring(defined[name]), f"{file}: {name} has no docstring"
