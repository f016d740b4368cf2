"""Whether a search for a device finds the device and not what goes with it.

In: a searcher. Out: :class:`AccessoryReport`, the share of the first ten hits of device queries that are accessories. What is
an accessory is told from a list of words of its own in the title up to its first comma, dash or bracket, or in a last
category that holds one kind of thing, not from the lexicon that the search uses. Queries that a shop has nothing suitable for
are left out by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.errors import EvaluationError
from engine.schema import SearchRequest
from evals.run import Searcher
from evals.stats import Estimate, bootstrap_mean

__all__ = ["DEVICES", "AccessoryReport", "is_accessory_title", "render", "score_accessories"]

DEVICES = (
    "laptop", "notebook", "laptop computer", "desktop computer", "tablet", "smartphone", "mobile phone", "camera", "digital camera",
    "printer", "laser printer", "inkjet printer", "projector", "monitor", "television", "tv", "keyboard", "mouse", "headphones",
    "scanner", "router", "hard drive", "graphics card", "speaker", "vacuum cleaner", "coffee machine", "game console", "bicycle",
    "tent", "drone", "笔记本电脑", "平板电脑", "手机", "相机", "打印机", "投影仪", "显示器", "电视", "键盘", "鼠标", "耳机",
    "路由器", "扫描仪", "硬盘", "音箱", "吸尘器", "咖啡机", "自行车", "帐篷",
)  # fmt: skip
"""Things that others are sold for, in both languages."""
_ACCESSORY = re.compile(
    r"\b(?:cases?|sleeves?|bags?|backpacks?|covers?|skins?|protectors?|privacy (?:filter|screen)s?|stands?|mounts?|mounting|"
    r"brackets?|holders?|arms?|cables?|cords?|adapters?|adaptors?|chargers?|batter(?:y|ies)|dock(?:ing)?|cradles?|toner|cartridges?|ink|"
    r"drums?|fusers?|ribbons?|printheads?|hoods?|straps?|pads?|mousepads?|wrist|rests?|cleaning|kits?|trays?|feeders?|papers?|remote|"
    r"replacement|spares?|accessor(?:y|ies)|enclosures?|lamps? (?:module|bulb)|tripods?|locks?|stylus|earpads?|pouch(?:es)?|"
    r"screens? cleaner|power supply|labels?|media)\b"
    r"|壳|膜|保护套|键盘膜|支架|挂架|数据线|充电器|充电线|适配器|电池|墨盒|硒鼓|碳粉|色带|相纸|打印纸|电脑包|背包|双肩包|内胆包|粉盒|墨水|收纳|配件|垫|清洁|转接|镜头盖|遮光罩|幕布",
    re.IGNORECASE,
)
_NAME_ENDS = re.compile(r"\s[-–|/]\s|,|\(|，|（|\bwith\b|\bincl", re.IGNORECASE)
_MIXED = re.compile(r"[&/、]|\band\b|[与和及]")
_FIRST = 10


@dataclass(frozen=True, slots=True)
class AccessoryReport:
    """``share`` is the mean share of accessories among the first ten; ``worst`` queries with their shares, highest first;
    ``missing`` those that nothing suitable was found for."""

    share: Estimate
    worst: tuple[tuple[str, float], ...]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "measure": f"share of accessories in the first {_FIRST} of device queries",
            "share": self.share.to_dict(),
            "worst": [{"query": query, "share": share} for query, share in self.worst],
            "missing": list(self.missing),
        }


def is_accessory_title(category: str, title: str) -> bool:
    """Return whether a product is an accessory by its title, or by a last category that holds one kind of thing."""
    if _ACCESSORY.search(_NAME_ENDS.split(title, maxsplit=1)[0]):
        return True
    return bool(_ACCESSORY.search(category)) and not _MIXED.search(category)


def score_accessories(searcher: Searcher, seed: int = 0) -> AccessoryReport:
    """Ask for every device and count the accessories among the first ten hits.

    Raises:
        EvaluationError: the shop has none of the devices.
    """
    shares: dict[str, float] = {}
    missing = []
    for query in DEVICES:
        hits = searcher.search(SearchRequest(q=query, per_page=_FIRST)).hits
        if not hits:
            missing.append(query)
            continue
        found = [h.document for h in hits]
        shares[query] = sum(is_accessory_title((d.get("category") or [""])[-1], d["title"]) for d in found) / len(found)
    if not shares:
        raise EvaluationError("This shop has none of the devices to ask for.")
    worst = sorted(((q, s) for q, s in shares.items() if s > 0), key=lambda item: (-item[1], item[0]))
    return AccessoryReport(bootstrap_mean(np.array(list(shares.values())), seed=seed), tuple(worst), tuple(missing))


def render(report: AccessoryReport, console: Console) -> None:
    """Print the share, and the queries that have any."""
    e = report.share
    console.print(f"{e.mean:.1%} ({e.low:.1%} to {e.high:.1%}) of the first {_FIRST} hits of {e.n} device queries are accessories.")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("query")
    table.add_column("share", justify="right")
    for query, share in report.worst[:15]:
        table.add_row(escape(query), f"{share:.0%}")
    if report.worst:
        console.print(table)
    if report.missing:
        console.print(f"Nothing suitable for {', '.join(report.missing)}.")
