"""A Milvus for tests: the small version in a file, or the server that ``DAOGOU_TEST_MILVUS`` names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.index.milvus_index import Milvus, MilvusVectors, save_collection
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.index.table import Table
from engine.index.table_builder import TableBuilder
from engine.schema import Product

SERVER = os.environ.get("DAOGOU_TEST_MILVUS", "")


def milvus_uri(folder: Path) -> str:
    pytest.importorskip("pymilvus", reason="the extra milvus is not installed")
    if not SERVER:
        pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    return SERVER or str(folder / f"{secrets.token_hex(4)}.db")


@contextmanager
def a_milvus(folder: Path) -> Iterator[Milvus]:
    """A connection whose collections are gone afterwards."""
    milvus = Milvus(milvus_uri(folder))
    before = set(milvus.names())
    yield milvus
    for name in set(milvus.names()) - before:
        milvus.drop(name)


def table_of(products: Sequence[Product], folder: Path) -> Table:
    builder = TableBuilder(Scratch(folder / "scratch", 1 << 24))
    for product in products:
        builder.add(product)
    builder.save(folder / "table")
    return Table([Part(folder, 0, len(products))])


def collected(milvus: Milvus, folder: Path, products: Sequence[Product]) -> MilvusVectors:
    """The vectors in ``folder`` and the columns of ``products`` in a collection of their own."""
    table = table_of(products, folder)
    save_collection(folder / "vectors", milvus, f"daogou_test_{secrets.token_hex(6)}", table)
    return MilvusVectors(folder / "vectors", milvus, table)
