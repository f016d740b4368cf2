"""Every setting is documented where a shop's engineer looks, and comes from where it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli.doctor import settings_page
from engine.errors import SettingsError
from engine.settings import Settings, load_settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
# another value than the default, as an environment variable would spell it
OTHER = {
    "embed_engine": "ray",
    "device": "cpu",
    "default_currency": "EUR",
    "guide": "endpoint",
    "consent": "assumed",
    "event_rotation": "day",
    "identity_secret": "sixteen characters, or more",
    "privacy_key": "thirty-two characters, or rather more than that",
    "generator": "local",
    "runtime": "openvino",
    "semantic_languages": '["zh"]',
    "cors_origins": '["https://shop.example"]',
    "calibration": "[1.0, 2.0]",
    "lexicons": '["terms.tsv"]',
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DAOGOU_{name.upper()}", raising=False)
    monkeypatch.delenv("DAOGOU_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def other_value(name: str) -> str:
    default = Settings.model_fields[name].default
    if name in OTHER:
        return OTHER[name]
    if isinstance(default, bool):
        return str(not default).lower()
    if isinstance(default, float):
        return str(0.5 if default <= 1 and default != 0.5 else default / 2)
    return str(default * 2 if isinstance(default, int) and default > 0 else 3 if isinstance(default, int) else "other")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_stands_on_the_page(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.rstrip().endswith(".")
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert description.replace("|", "\\|") in rows[0]


def test_the_page_is_what_doctor_writes() -> None:
    assert PAGE.read_text("utf-8") == settings_page(), "Run `daogou doctor --markdown > docs/settings.md`."


@pytest.mark.parametrize("name", [n for n in Settings.model_fields if n not in ("api_keys", "exchange_rates", "tenants")])
def test_the_environment_goes_before_the_file_and_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    default, text = getattr(load_settings(), name), other_value(name)
    structured = isinstance(default, list | int | float)
    value = json.loads(text) if structured else text
    (tmp_path / "daogou.toml").write_text(f"{name} = {json.dumps(value)}\n", "utf-8")
    from_file = getattr(load_settings(), name)
    assert from_file != default
    assert from_file == (Path(text) if isinstance(default, Path) else [Path(v) for v in value] if name == "lexicons" else value)

    back = str(default) if isinstance(default, str | Path) else json.dumps(default)
    monkeypatch.setenv(f"DAOGOU_{name.upper()}", back)
    assert getattr(load_settings(), name) == default
    assert getattr(load_settings(**{name: from_file}), name) == from_file


def test_a_table_is_merged_key_by_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "daogou.toml").write_text("exchange_rates = {USD = 1.0, CNY = 0.1}\n")
    monkeypatch.setenv("DAOGOU_EXCHANGE_RATES", '{"CNY": 0.14, "EUR": 1.1}')
    assert load_settings().exchange_rates == {"USD": 1.0, "CNY": 0.14, "EUR": 1.1}
    assert load_settings(exchange_rates={"EUR": 1.2}).exchange_rates == {"USD": 1.0, "CNY": 0.14, "EUR": 1.2}


def test_keys_of_the_file_and_of_the_environment_are_all_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "daogou.toml").write_text('[api_keys.ops]\nkey = "key-of-the-file-0123456789"\nscopes = ["admin"]\n')
    monkeypatch.setenv("DAOGOU_API_KEYS", '{"web": {"key": "twenty-four-characters-or-more", "scopes": ["search"]}}')
    keys = load_settings().api_keys
    assert {name: sorted(key.scopes) for name, key in keys.items()} == {"ops": ["admin"], "web": ["search"]}


def test_another_file_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "daogou.toml").write_text("port = 1\n")
    (tmp_path / "other.toml").write_text("port = 2\n")
    monkeypatch.setenv("DAOGOU_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().port == 2


@pytest.mark.parametrize(
    ("name", "value"), [("port", -1), ("alpha", 1.5), ("device", "tpu"), ("default_currency", "dollars"), ("alhpa", 1)]
)
def test_an_impossible_setting_is_a_sentence_with_name_and_value(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**{name: value})
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_key_is_never_in_what_settings_print() -> None:
    assert "hush" not in repr(load_settings(generator_key="hush"))


@pytest.mark.parametrize("content", [b"alpha", b"\xff", b"a = " + b"[" * 5000, b"port = " + b"1" * 5000, b"alpha = 0.5\nalpha = 0.6\n"])
def test_a_file_that_is_no_toml_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(content)
    monkeypatch.setenv("DAOGOU_CONFIG", str(path))
    with pytest.raises(SettingsError, match=r"shop\.toml cannot be read as TOML"):
        load_settings()


@pytest.mark.parametrize("name", ["API_KEYS", "CORS_ORIGINS", "EXCHANGE_RATES"])
def test_a_variable_that_is_no_json_is_a_sentence_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"DAOGOU_{name}", "a-secret-of-somebody")
    with pytest.raises(SettingsError, match=f"{name.lower()}.*as JSON") as caught:
        load_settings()
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("given", [{"calibration": [1.0] * 7}, {"calibration": [float("nan")]}, {"exchange_rates": {"USD": 0}}, {"exchange_rates": {"USD": float("nan")}}])
def test_numbers_that_nothing_can_be_weighed_by_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(given))):
        load_settings(**given)


@pytest.mark.parametrize("name", ["identity_secrets", "privacykey"])
def test_a_secret_under_a_misspelt_name_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "daogou.toml").write_text(f'{name} = "a-secret-of-somebody"')
    with pytest.raises(SettingsError, match=f"{name}: ") as caught:
        load_settings()
    assert "a-secret" not in str(caught.value)
