"""Imports point one way: api.cli → evals → indexer → engine. Read from the syntax trees, so nothing is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "indexer", "api", "evals")
TORCH = {"torch", "transformers", "sentence_transformers"}
ALLOWED = {
    "engine": {"engine"},
    "indexer": {"engine", "indexer"},
    "evals": {"engine", "indexer", "evals"},
    "api": {"engine", "api"},
    "api.cli": {"engine", "indexer", "evals", "api"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))}


def layer(module: str) -> str:
    return "api.cli" if module.startswith("api.cli") else module.split(".")[0]


def type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(tree: ast.AST, module: str, *, everywhere: bool) -> Iterator[str]:
    """Yield the imported modules: all of them, or only those that importing the module runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; write the whole name."
            yield node.module or ""
            # `from engine.index import snapshot` names a module, not a value
            yield from (f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in MODULES)
        elif everywhere or not (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or type_checking(node)):
            yield from imports(node, module, everywhere=everywhere)


def found(module: str, *, everywhere: bool) -> list[str]:
    return list(imports(ast.parse(MODULES[module].read_text("utf-8")), module, everywhere=everywhere))


def test_the_reader_of_imports_sees_every_kind() -> None:
    source = """
import a.b
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_types
try:
    import maybe
except ImportError:
    pass
def later():
    import inside
class C:
    import in_class
"""
    tree = ast.parse(source)
    assert set(imports(tree, "m", everywhere=True)) == {"a.b", "typing", "only_types", "maybe", "inside", "in_class"}
    assert set(imports(tree, "m", everywhere=False)) == {"a.b", "typing", "maybe", "in_class"}


@pytest.mark.parametrize("module", MODULES)
def test_a_layer_imports_only_those_below_it(module: str) -> None:
    # everything in the repository that is not a package of ours is somebody else's, or must not be imported
    ours = {*PACKAGES, "tests", "benchmarks", "examples"}
    below = {name.split(".")[0] for name in found(module, everywhere=True)} & ours
    assert below <= ALLOWED[layer(module)]


@pytest.mark.parametrize("module", [m for m in MODULES if layer(m) == "api"])
def test_the_http_side_does_not_import_the_command_line(module: str) -> None:
    assert not [name for name in found(module, everywhere=True) if name.startswith("api.cli")]


def test_no_imports_go_in_a_circle() -> None:
    graph = {m: {n for n in found(m, everywhere=False) if n in MODULES and n != m} for m in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError


# the modules of engine.encoder that export a model, or run it by torch, may load it, and so may what is a network itself
@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith(("engine.encoder.", "engine.train.writer_model"))])
def test_torch_is_loaded_by_nothing_that_is_only_imported(module: str) -> None:
    assert not {name.split(".")[0] for name in found(module, everywhere=False)} & TORCH


def test_serving_loads_no_torch_and_neither_indexer_nor_evals() -> None:
    unwanted = TORCH | {"indexer", "evals"}
    code = f"import sys, api.app, api.cli, engine.engine; print(sorted(set(sys.modules) & {unwanted}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_server_starts_without_what_it_may_never_need() -> None:
    """They are slow to import: a query, an order or a setting that needs one loads it."""
    rarely = {"scipy", "pypinyin", "cn2an", "pymilvus", "ray", "opentelemetry.sdk", "pyarrow", "openvino", "pandas", "matplotlib"}
    code = f"import sys, api.app, api.server, engine.engine; print(sorted(set(sys.modules) & {rarely}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "faiss", "onnxruntime", "pyarrow", "fastapi", "ir_measures"}
    code = f"import sys, api.cli; print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_does_and_stays_readable(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400
    assert module.split(".")[-1] not in {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("module", MODULES)
def test_public_names_exist_and_are_documented(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    public: list[str] = next(
        (ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"),
        [],
    )
    defined = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    there = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | set(defined)
    there |= {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(public) <= there
    assert [name for name in public if name in defined and not ast.get_docstring(defined[name])] == []
