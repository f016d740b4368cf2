"""What a generator is, and the one place that picks one by its setting.

In: :class:`~engine.settings.Settings`. Out: something with a name that turns a need and evidence into drafts, one
sentence at a time. Drafts are unchecked. Knows nothing of how they are checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.errors import SettingsError
from engine.explain.evidence import Evidence, Need
from engine.explain.wording import OWN_VOICE, load_wording
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.explain.endpoint import ChatEndpoint

__all__ = ["Draft", "Generator", "endpoint_of", "make_generator", "voice_of"]


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence about one product, as a generator wrote it: not yet checked, not yet to be shown."""

    product_id: str
    text: str


class Generator(Protocol):
    """Writes drafts. May raise :class:`~engine.errors.GeneratorError`, may be slow, may lie."""

    @property
    def name(self) -> str:
        """What claims say they were written by."""
        ...

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts as they are written, in any order."""
        ...


def voice_of(settings: Settings) -> Path:
    """Return the folder of what may be said without a check, and of the model that says it."""
    return Path(settings.voice) if settings.voice else OWN_VOICE


def make_generator(settings: Settings, endpoint: ChatEndpoint | None = None) -> Generator:
    """Return the generator the settings ask for; ``endpoint`` is the one to ask where it is one and is shared with others.

    Raises:
        SettingsError: a setting that this generator needs is missing or cannot be used.
        GeneratorError: a model in a folder cannot be loaded.
        MissingExtraError: a local model needs a package that is not installed.
    """
    if settings.generator == "endpoint":
        from engine.explain.endpoint import ChatEndpoint
        from engine.explain.guarded import GuardedGenerator
        from engine.explain.remote import EndpointGenerator

        asked = EndpointGenerator(endpoint or ChatEndpoint(settings), settings.opinions, load_wording(voice_of(settings)))
        return GuardedGenerator(asked)
    if settings.generator == "local":
        from engine.explain.guarded import GuardedGenerator
        from engine.explain.local import LocalGenerator

        if not settings.generator_model:
            raise SettingsError("`generator_model` is empty. Set it to the folder of the local model.")
        timeout_s, most = settings.generator_timeout_s, settings.generator_max_chars
        wording = load_wording(voice_of(settings))
        return GuardedGenerator(LocalGenerator(settings.generator_model, timeout_s, most, settings.opinions, wording))
    if settings.generator == "writer":
        from engine.explain.writer import WriterGenerator

        return WriterGenerator(voice_of(settings))
    from engine.explain.template import TemplateGenerator

    return TemplateGenerator()


def endpoint_of(settings: Settings) -> ChatEndpoint | None:
    """Return the endpoint that writes or reads, ``None`` where none does, and then nothing of HTTP is imported."""
    if "endpoint" not in (settings.generator, settings.guide):
        return None
    from engine.explain.endpoint import ChatEndpoint

    return ChatEndpoint(settings)
