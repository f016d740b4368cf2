"""What every peer is: built from the products, asked for the ten nearest below a price, closed.

Products are rows from 0 on. ``prices`` is infinite where a product has none, so that no limit lets it through. Graphs are built
with :data:`LINKS` and :data:`BUILD_BREADTH` and searched with :data:`BREADTH` wherever the engine lets one choose, so that graphs
are compared with graphs; all else is as the engine has it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engine.errors import DaogouError

__all__ = [
    "BREADTH",
    "BUILD_BREADTH",
    "LINKS",
    "NO_PRICE",
    "Folders",
    "MissingError",
    "Product",
    "TextPeer",
    "VectorPeer",
    "finite",
    "plain_environment",
]

LINKS, BUILD_BREADTH, BREADTH = 16, 100, 64
"""HNSW's M, efConstruction and ef."""
NO_PRICE = 1e15
"""What engines are given that cannot store infinity: above every limit."""

Product: TypeAlias = tuple[int, str]
"""A row and its text."""


class MissingError(DaogouError):
    """What a peer needs is not here."""

    exit_code = 2
    title = "Peer not measured"


@dataclass(frozen=True, slots=True)
class Folders:
    """``scratch`` is empty and goes when the peer is done; ``store`` has the snapshot that the products are from."""

    scratch: Path
    store: Path


@runtime_checkable
class VectorPeer(Protocol):
    """Finds the nearest vectors. ``about`` says what only the running engine knows, such as its version."""

    about: str

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Take in all products: ``vectors`` ``(n, d)`` of unit length, ``prices`` ``(n,)``; searches come after."""
        ...

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the ``k`` nearest that cost at most ``price_limit``, nearest first."""
        ...

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return what :meth:`search` does, with texts."""
        ...

    def close(self) -> None:
        """End all that was started."""
        ...


@runtime_checkable
class TextPeer(Protocol):
    """Answers what a shopper types: it has its own way from words to products."""

    about: str

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Take in all products; searches come after."""
        ...

    def answer(self, query: str, k: int, price_limit: float | None) -> list[Product]:
        """Return at most ``k`` products that cost at most ``price_limit``, best first."""
        ...

    def close(self) -> None:
        """End all that was started."""
        ...


def finite(prices: NDArray[np.float64]) -> list[float]:
    """Return prices for an engine that cannot store infinity."""
    return np.minimum(prices, NO_PRICE).tolist()


def plain_environment() -> dict[str, str]:
    """Return the environment for a server: as many threads as it takes by itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
