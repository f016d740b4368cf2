"""Every setting is documented where a shop's engineer looks, and comes from where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import Settings, load_settings

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def documented() -> str:
    lines = ["# Settings", "", "Arguments, then environment, then `daogou.toml`, then these defaults.", ""]
    lines += ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if name == "generator_key" else str(field.get_default(call_default_factory=True))
        lines.append(f"| `{name}` | `DAOGOU_{name.upper()}` | `{default or ' '}` | {field.description} |")
    return "\n".join(lines) + "\n"


def test_the_page_lists_every_setting_as_it_is() -> None:
    assert DOCS.read_text("utf-8") == documented(), "Run `python tests/test_settings.py` to write docs/settings.md again."


def test_every_setting_says_what_it_means() -> None:
    assert [n for n, f in Settings.model_fields.items() if not f.description] == []


def test_arguments_come_before_environment_before_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('alpha = 0.1\ndepth = 50\nport = 1234\n')
    monkeypatch.setenv("DAOGOU_CONFIG", str(file))
    monkeypatch.setenv("DAOGOU_DEPTH", "60")
    monkeypatch.setenv("DAOGOU_PORT", "2345")
    settings = load_settings(port=3456)
    assert (settings.alpha, settings.depth, settings.port) == (0.1, 60, 3456)


def test_mistakes_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"alpha.*less than or equal to 1.*got 2"):
        load_settings(alpha=2)
    with pytest.raises(SettingsError, match="alhpa"):
        load_settings(alhpa=0.2)


def test_the_key_is_never_shown() -> None:
    assert "secret" not in repr(load_settings(generator_key="secret"))


if __name__ == "__main__":
    DOCS.write_text(documented(), "utf-8")
