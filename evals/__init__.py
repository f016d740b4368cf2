"""Measure how well shoppers are served: judged queries in, figures with intervals out.

``evalsets`` (queries and judgements) · ``run`` (what a system returned) · ``measures`` (scores of a query) · ``stats``
(means, intervals, tests) · ``evaluate`` (one run) · ``compare`` (two runs) · ``suites`` (behaviour without judgements)
· ``lines`` (text files by numbered lines). Import names from these modules; two of them are called after their main
function, so nothing is repeated here. Takes records and errors from ``engine``; knows nothing of HTTP or of indexing.
"""

__all__: list[str] = []
