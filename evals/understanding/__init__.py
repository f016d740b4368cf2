"""Labelled queries, and how well what is read out of a query agrees with the labels.

``zh.txt`` holds Chinese queries and ``traps.txt`` queries that are easy to misread, one a line, spans marked as
``{kind|text}``. ``webshop.tsv`` holds spans for needs of the WebShop set (princeton-nlp/WebShop, ``human_goals.json``)
by number and hash, without their text.
"""

from evals.understanding.labels import KINDS, Labelled, load_goals, load_marked, load_sets, parse_marked
from evals.understanding.score import KindScore, UnderstandingReport, render, score_understanding

__all__ = [
    "KINDS",
    "KindScore",
    "Labelled",
    "UnderstandingReport",
    "load_goals",
    "load_marked",
    "load_sets",
    "parse_marked",
    "render",
    "score_understanding",
]
