"""Explanations: evidence → generator → ground check → claims with citations.

Nothing a generator writes reaches a shopper unchecked. The parts, in the order data runs through them:
``evidence`` (which fields answer which part of the need) · ``generator`` with ``template``, ``local`` and ``endpoint``
(who writes; ``prompt`` is shared by the models) · ``ground`` (what may be said; ``facts``, ``reading``
and ``quantities`` read, ``check_*`` judge, ``vocabulary`` holds the word lists) · ``explainer`` (the conductor).
"""

from engine.explain.evidence import Evidence, EvidenceField, Need, gather_evidence
from engine.explain.explainer import Done, Explainer
from engine.explain.generator import Draft, Generator, endpoint_of, make_generator, voice_of
from engine.explain.ground import Verdict, check

__all__ = [
    "Done",
    "Draft",
    "Evidence",
    "EvidenceField",
    "Explainer",
    "Generator",
    "Need",
    "Verdict",
    "check",
    "endpoint_of",
    "gather_evidence",
    "make_generator",
    "voice_of",
]
