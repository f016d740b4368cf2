"""What whoever runs a shop writes: settings in a file and in the environment, and experiments."""

from __future__ import annotations

import math
import os
import tomllib
from unittest.mock import patch

from api.keys import Keys
from api.security import Rates
from api.tenants import settings_of_tenants
from engine.errors import SettingsError
from engine.experiment import checked_changes, read_experiment
from engine.match import Calibration
from engine.settings import Settings, load_settings
from fuzzing.catalogue import desk
from fuzzing.target import sentence

__all__ = ["read_environment", "read_experiment_file", "read_settings_file"]

_SECRETS = [name for name, field in Settings.model_fields.items() if not field.repr]


def _load(environment: dict[str, str], secrets: list[str]) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("DAOGOU_")}
    with patch.dict(os.environ, clean | environment, clear=True):
        try:
            settings = load_settings()
        except SettingsError as error:
            sentence(error)
            said = str(error)
            assert not any(secret in said for secret in secrets), "a secret in an error"
            return
        assert load_settings() == settings
    assert not any(secret in repr(settings) for secret in secrets), "a secret in what settings are shown as"
    assert all(0 < rate < math.inf for rate in settings.exchange_rates.values())
    assert all(map(math.isfinite, Calibration(*settings.calibration).weights))
    try:
        Rates(settings.rate_limit, settings.api_keys)
        if settings.tenants:
            settings_of_tenants(settings)
        Keys(settings.api_keys).caller([(b"x-api-key", b"x")])
    except SettingsError as error:
        sentence(error)


def read_settings_file(data: bytes) -> None:
    """A TOML file."""
    path = desk() / "daogou.toml"
    path.write_bytes(data)
    try:
        given = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        given = {}
    _load({"DAOGOU_CONFIG": str(path)}, _secrets(given))


def _secrets(given: dict[str, object]) -> list[str]:
    """Return the secrets among what was given, where they are nothing that a message holds anyway."""
    words = []
    for name in _SECRETS:
        value = given.get(name)
        keys = value.values() if isinstance(value, dict) else [value]
        words += [key.get("key") if isinstance(key, dict) else key for key in keys]
    return [word for word in words if isinstance(word, str) and len(word) >= 8 and any(c.isdigit() for c in word)]


def read_environment(data: bytes) -> None:
    """Lines of names, without ``DAOGOU_``, and values."""
    environment: dict[str, str] = {}
    for line in data.replace(b"\0", b"").split(b"\n"):
        name, sign, value = line.decode("utf-8", "surrogateescape").partition("=")
        if sign and name.isascii() and name.isidentifier() and name.upper() != "CONFIG":
            environment[f"DAOGOU_{name.upper()}"] = value
    given = {name.removeprefix("DAOGOU_").lower(): value for name, value in environment.items()}
    _load({**environment, "DAOGOU_CONFIG": str(desk() / "none.toml")}, _secrets(dict(given)))


def read_experiment_file(data: bytes) -> None:
    """A TOML file of an experiment."""
    path = desk() / "experiment.toml"
    path.write_bytes(data)
    try:
        experiment = read_experiment(path)
        for changes in experiment.variants.values():
            checked_changes(Settings(), changes)
    except SettingsError as error:
        sentence(error)
