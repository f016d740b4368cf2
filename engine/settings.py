"""Every setting, with its default and its meaning.

Precedence: arguments, then ``DAOGOU_…`` environment variables, then the TOML file named by ``DAOGOU_CONFIG``
(default ``daogou.toml`` in the working directory, where there is one), then the defaults below.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as UnreadableError

from engine.errors import SettingsError

__all__ = ["ApiKey", "KeyScope", "Settings", "load_settings"]

KeyScope = Literal["search", "events", "admin"]
_LEAST_KEY = 24


class ApiKey(BaseModel):
    """A key that the shop gives out, what it opens, the rate it may ask at (empty for that of everybody), and whose it is where
    there are tenants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=_LEAST_KEY, max_length=256, pattern=r"^[\x21-\x7e]+$", repr=False)
    scopes: frozenset[KeyScope] = Field(min_length=1)
    rate_limit: str = ""
    tenant: str = ""

    @field_serializer("scopes")
    def _in_order(self, scopes: frozenset[KeyScope]) -> list[KeyScope]:
        return sorted(scopes)


class Settings(BaseSettings):
    """All settings of all three doors. Frozen: made once, passed down."""

    model_config = SettingsConfigDict(env_prefix="DAOGOU_", frozen=True, extra="forbid")

    store: Path = Field(Path("store"), description="Folder that holds the snapshots.")

    remote: str = Field(
        "",
        description="Object storage that snapshots are published to, and that servers fetch them from, like `s3://bucket/shop`: "
        "any that fsspec knows; empty is none.",
    )

    # Encoder
    model: str = Field(
        "", description="sentence-transformers model, by name or path; empty is all-MiniLM-L6-v2 extended by Chinese."
    )
    device: str = Field("auto", pattern="^(auto|cpu|cuda)$", description="Where products are embedded.")
    runtime: Literal["onnx", "openvino"] = Field(
        "onnx",
        description="What `daogou index` exports the model for: onnxruntime, or OpenVINO (extra `openvino`).",
    )
    max_tokens: int = Field(128, ge=16, le=8192, description="Tokens of a product text that are read.")
    batch_size: int = Field(32, ge=1, le=4096, description="Products embedded at a time.")
    threads: int = Field(1, ge=0, le=256, description="Threads of encoder and vector index for one batch; 0 means all cores.")

    embed_engine: Literal["local", "ray"] = Field(
        "local", description="What embeds products: this machine, or a Ray cluster (extra `ray`); `daogou index --engine`."
    )
    ray_address: str = Field(
        "", description="Ray cluster that `daogou index --engine ray` embeds on, like `ray://head:10001`; empty starts one here."
    )
    ray_folder: str = Field(
        "",
        description="Where texts wait for the cluster, like `s3://bucket/texts`: which all its nodes read; empty is the store.",
    )

    # Indexing
    default_currency: str = Field("USD", pattern="^[A-Z]{3}$", description="For prices that name none.")
    max_price: float = Field(10_000_000, gt=0, description="A price above this, in major units, is a mistake.")
    max_cell_chars: int = Field(262_144, ge=1024, description="A cell longer than this rejects its row.")
    index_memory_mb: int = Field(
        1024, ge=512, le=1 << 20, description="Memory that indexing may take, in MiB; what does not fit waits on the disk."
    )
    milvus_uri: str = Field(
        "",
        description="Address of the Milvus that holds the vectors, like `http://milvus:19530`, or a file for its small version; "
        "empty keeps them in FAISS. Needs the extra `milvus`.",
    )
    milvus_token: str = Field("", repr=False, description="What Milvus lets in, like `user:password`.")
    keep_snapshots: int = Field(3, ge=1, le=1000, description="Published snapshots kept for rollback.")
    max_shrink: float = Field(0.3, ge=0, le=1, description="Share of products that may vanish in one reindex.")
    compact_share: float = Field(
        0.1, ge=0, le=1, description="Share of the products that `daogou update` may change before everything is built into one."
    )
    max_rejected: float = Field(0.5, ge=0, le=1, description="Share of rows that may be rejected in one reindex.")

    lexicons: list[Path] = Field(
        [], description="Tables of terms in English and Chinese (columns kind, en, zh) beside the one that comes along."
    )

    # Search
    alpha: float = Field(0.7, ge=0, le=1, description="Weight of meaning against words.")
    semantic_languages: list[str] = Field(
        [], description="Languages the model reads; empty is those it is known to. The lexicon puts others into English."
    )
    feedback: float = Field(0.2, ge=0, le=0.9, description="How far the query moves towards its best products.")
    query_log: str = Field("", description="Search log (UBI) whose common searches are suggested; read by `daogou index`.")
    min_query_users: int = Field(20, ge=5, description="Different users who must have made a search before it is suggested.")
    near_duplicates: float = Field(
        0.0, ge=0, le=1, description="How much score a near duplicate of a better hit loses; 0 is none."
    )
    ranker: str = Field("", description="Folder of a learned order (`daogou learn`); empty is none. Needs the extra `ltr`.")
    reranker: str = Field("", description="Folder of a cross-encoder (`daogou train reranker`) that pays; empty is none.")
    min_relevance: float = Field(
        0.2, ge=0, le=1, description="Probability of being relevant below which, for every product, nothing is suitable."
    )
    tail_relevance: float = Field(
        0.15, ge=0, le=1, description="Probability of being relevant at which the list of a suitable search ends."
    )
    fill_relevance: float = Field(
        0.05, ge=0, le=1, description="Probability down to which the ten likeliest products fill a list that would be shorter."
    )
    calibration: list[FiniteFloat] = Field(
        [],
        max_length=6,
        description="Weights of relevance: bias, meaning, words, agrees, differs, other; empty is what comes along.",
    )
    min_similarity: float = Field(0.0, ge=-1, le=1, description="Cosine that chance reaches; 0 measures it on the catalogue.")
    depth: int = Field(300, ge=10, le=100_000, description="Most products found by meaning alone.")
    exchange_rates: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = Field(
        {}, description="Value of one unit of each currency in a common one; lets price limits cross currencies."
    )

    # Explanations
    generator: str = Field("writer", pattern="^(writer|template|local|endpoint)$", description="Who writes explanations.")
    generator_model: str = Field("", description="Model path for `local`, model name for `endpoint`.")
    voice: str = Field("", description="Folder of what `writer` says and how; empty is the one that comes along.")
    generator_url: str = Field("", description="Base address of an OpenAI-compatible endpoint, ending in /v1.")
    generator_key: str = Field("", repr=False, description="Bearer key of the endpoint.")
    generator_timeout_s: float = Field(8.0, gt=0, le=600, description="Longest a whole explanation may take.")
    generator_max_chars: int = Field(8000, ge=200, description="Longest text read from a generator.")
    generator_schema: bool = Field(True, description="Hold an endpoint to a JSON schema (`response_format`), where it can.")
    generator_budget: str = Field(
        "", description="Questions to the endpoint for each process, like `1000/hour`; empty is unlimited."
    )
    guide: Literal["rules", "endpoint"] = Field(
        "rules", description="Who reads a shopper's words to the guide: rules, or the endpoint, checked, and rules where it fails."
    )
    opinions: bool = Field(False, description="Show a generator's opinion of a product, marked as one, beside what is checked.")

    # Events and people
    personal: float = Field(
        0.3, ge=0, le=1, description="How far what is known of a person may move products; 0 is the same order for everyone."
    )
    events: bool = Field(True, description="Take in what shoppers do (`/v1/events`) and keep it in the store.")
    consent: Literal["asked", "assumed"] = Field(
        "asked", description="Whether people are nobody until they said yes, or known until they said no."
    )
    experiment: str = Field("", description="TOML file of an experiment that searches take part in; empty is none.")
    min_buyers: int = Field(
        3, ge=2, description="Different people who must have bought two products before one is recommended with the other."
    )
    event_rotation: Literal["month", "day"] = Field("month", description="How long one file of the event log covers.")
    event_days: int = Field(400, ge=1, le=36_500, description="Days after which events are deleted.")
    query_days: int = Field(90, ge=1, le=36_500, description="Days after which the words of logged searches are deleted.")
    identity_secret: str = Field(
        "",
        repr=False,
        description="What a shop signs its `user_id`s with (`user_token`); empty trusts every caller, on a local address only.",
    )
    privacy_key: str = Field(
        "",
        repr=False,
        description="What ids of people are hashed with; empty draws a key and keeps it in the store.",
    )

    # Serving
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(1, ge=1, le=256, description="Server processes.")
    reload_interval_s: float = Field(1.0, gt=0, description="How often the server looks for a new snapshot.")
    max_body_bytes: int = Field(65_536, ge=1024, description="Longest request body.")
    search_queue: int = Field(256, ge=1, le=100_000, description="Searches that may wait in a process; more are told 429.")
    search_deadline_s: float = Field(2.0, gt=0, description="Longest a search may wait to begin; after that it is told 429.")
    drain_s: float = Field(
        0.0, ge=0, le=3600, description="How long a server told to end (SIGTERM) says so at `/readyz` before it stops listening."
    )
    rate_limit: str = Field("", description="Requests a client may make, like `100/second`; empty is unlimited.")
    api_keys: dict[str, ApiKey] = Field(
        {},
        repr=False,
        description='Keys by name, like `{"web": {"key": "…", "scopes": ["search", "events"], "rate_limit": "50/second"}}`; what '
        "no key bears is open, but for `admin`.",
    )
    tenants: dict[str, Path] = Field(
        {},
        description="Stores of several shops in one service, by name; each key then names its `tenant`, and everything needs one.",
    )
    otel_endpoint: str = Field(
        "",
        description="Where traces are sent by OTLP over HTTP, like `http://127.0.0.1:4318/v1/traces`; empty is nowhere. Needs the "
        "extra `otel`.",
    )
    cors_origins: list[str] = Field([], description="Other sites whose pages may call the API.")

    @field_validator("identity_secret", "privacy_key")
    @classmethod
    def _long(cls, value: str, info: ValidationInfo) -> str:
        least = 16 if info.field_name == "identity_secret" else 32
        if 0 < len(value) < least:
            raise ValueError(f"it is too short; give at least {least} characters that nobody guesses, or none")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file()))


def _file() -> Path:
    return Path(os.environ.get("DAOGOU_CONFIG", "daogou.toml"))


def load_settings(**arguments: object) -> Settings:
    """Return the settings, ``arguments`` that are not ``None`` first.

    Raises:
        SettingsError: a value is out of range, a name is unknown, or the file or a variable cannot be read.
    """
    try:
        return Settings(**{name: value for name, value in arguments.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}{_got(e)}" for e in error.errors()]
        raise SettingsError("A setting cannot be used. " + "; ".join(lines) + ".") from error
    except UnreadableError as error:
        said = f"A setting in the environment cannot be read: {error}."
        raise SettingsError(f"{said} Write lists and tables as JSON, like `[\"https://shop.example\"]`.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{_file()} cannot be read as TOML: {error}. Mend it, or name another by `DAOGOU_CONFIG`.") from error


def _got(error: ErrorDetails) -> str:
    """Return what was given, unless it is a secret, or may be one under a name that is misspelt."""
    field = Settings.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    shown = field.repr if field else isinstance(error["input"], int | float)
    return f" (got {error['input']!r})" if shown else ""
