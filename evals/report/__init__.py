"""One report of everything measured on a shop: a page for people, values for programs."""

from evals.report.gather import gather
from evals.report.page import page

__all__ = ["gather", "page"]
