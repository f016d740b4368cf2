"""What larger catalogues take, by arithmetic from what was measured: ``python -m benchmarks.capacity``.

In: ``results/scale.json``. Out: ``results/capacity.md``. Everything that grows with the catalogue is taken to grow as it did
between the two largest sizes measured; nothing beyond those was run. ``--core-hour`` and ``--gib-hour`` are what a shop pays.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Costs", "costs", "main"]

_RESULTS = Path(__file__).parent / "results"
_SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_NODE_GIB = 64
_LATENCY_MS = 100
_MILVUS_BYTES = 4
"""Bytes of a dimension in Milvus's IVF_FLAT, which holds single precision."""
_CELLS = 2**31
"""Cells of a table's index of rows, which are numbered with 32 bits."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one product more takes: seconds of one core to read, embed and build it, bytes on disk and in memory, and
    milliseconds of one core of each search."""

    reading_s: float
    embedding_s: float
    building_s: float
    disk: float
    mapped: float
    own: float
    search_ms: float
    vectors: float


def costs(rows: Sequence[dict[str, Any]]) -> Costs:
    """Return the costs of a product between the two largest sizes; ``rows`` are those of ``scale.json``."""
    less, more = sorted(rows, key=lambda row: row["size"])[-2:]
    grown = more["size"] - less["size"]

    def slope(of: Any) -> float:
        return float(of(more) - of(less)) / grown

    stages = {name: slope(lambda row, n=name: row["index"]["said"]["stages_s"][n]) for name in ("Reading", "Embedding", "Building")}
    vectors = more["search"]["vector_bytes"] + more["search"]["index_bytes"]
    return Costs(
        stages["Reading"],
        2 * stages["Embedding"],  # on both cores
        stages["Building"],
        more["search"]["snapshot_bytes"],
        more["search"]["snapshot_bytes"],
        slope(lambda row: row["search"]["own_mb"]) * 1e6,
        slope(lambda row: row["search"]["whole"]["p50_ms"]),
        vectors,
    )


def _page(cost: Costs, told: dict[str, Any], core_hour: float, gib_hour: float) -> str:
    largest = max(row["size"] for row in told["rows"])
    head = "| products | disk GB | memory GiB | nodes | core hours to index | a search, core s | cores for 100/s | $ for 1,000 |"
    lines = [head, "|" + "---:|" * 8]
    for size in _SIZES:
        memory = size * (cost.mapped + cost.own) / 2**30
        search_s = size * cost.search_ms / 1000
        hours = size * (cost.reading_s + cost.embedding_s + cost.building_s) / 3600
        cores = max(1.0, 100 * search_s)
        nodes = max(1, -(-memory // (0.8 * _NODE_GIB)))
        # a thousand searches take ten seconds at 100/s, for which all the memory is paid as well
        price = cores * core_hour * 10 / 3600 + memory * gib_hour * 10 / 3600
        lines.append(
            f"| {size:,} | {size * cost.disk / 1e9:,.0f} | {memory:,.1f} | {nodes:,.0f} | {hours:,.1f} | {search_s:,.2f} | "
            f"{cores:,.0f} | {price:,.4f} |"
        )
    milvus = [f"{size * _MILVUS_BYTES * 384 / 2**30:,.0f} GiB for {size:,}" for size in _SIZES[1:]]
    return f"""# What larger catalogues take

`python -m benchmarks.capacity`: arithmetic from [scale.md](scale.md), whose largest catalogue has {largest:,} products
({told["machine"]}). **Nothing larger was run.** A product more costs {1000 * cost.reading_s:.2f} ms of reading,
{1000 * cost.embedding_s:.2f} of embedding and {1000 * cost.building_s:.2f} of building on one core, {cost.disk:,.0f} bytes on disk,
as many in the system's file cache where searches are to find them there, {cost.own:,.0f} in each process, and
{1e6 * cost.search_ms:.1f} ns of every search. A core costs ${core_hour} an hour and a GiB ${gib_hour}, about
what cloud machines do; a node has {_NODE_GIB} GiB, of which four fifths are used.

{chr(10).join(lines)}

## Where each part breaks first

- **A search**: words, filters and facets pass over one number for each product. Beyond
  {_LATENCY_MS / cost.search_ms / 1e6:.1f} million products a search takes longer than {_LATENCY_MS} ms on a core, however the
  vectors are held: a larger catalogue has to be cut into stores that are asked side by side, which daogou does not do for you.
- **Building** uses one core: {cost.building_s * 1e6 / 3600:.1f} hours for a million. Reading as well:
  {cost.reading_s * 1e6 / 3600:.1f} hours. Embedding is the only part that `--engine ray` spreads out.
- **Vectors**: {cost.vectors:,.0f} bytes a product here. In Milvus, single precision in memory: {"; ".join(milvus)}.
- **Numbers**: rows, and cells of the table, are counted with 32 bits: with twenty attributes a product that ends at
  some {_CELLS // 20 // 1_000_000} million products in one store.
- **Publishing**: a server verifies what it fetches; `daogou update` sends the delta alone.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--results", type=Path, default=_RESULTS)
    parser.add_argument("--core-hour", type=float, default=0.04, help="dollars")
    parser.add_argument("--gib-hour", type=float, default=0.005, help="dollars")
    given = parser.parse_args(arguments)
    told = json.loads((given.results / "scale.json").read_text("utf-8"))
    page = _page(costs(told["rows"]), told, given.core_hour, given.gib_hour)
    (given.results / "capacity.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main()
