"""Experiments deal people fairly and for good, tell with each answer what was shown, and find what is there and nothing else."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app as command_line
from engine.engine import Engine
from engine.errors import EvaluationError, FilterError, SettingsError
from engine.events import Event, EventLog
from engine.experiment import Experiment, Experimenting, assigned, drafted, read_experiment
from engine.schema import Money, SearchRequest
from evals.experiments.reading import read_exposed
from evals.experiments.report import experiment_page, experiment_report
from evals.experiments.simulation import ALIKE, simulate
from evals.experiments.statistics import difference, needed_people, preference, ratio_parts, sequence_radius, srm_p
from shop import random_products, toy_engine, toy_settings

NOW = int(1000 * time.time())
AB = Experiment(name="ranking", variants={"now": {}, "words": {"alpha": 0.05}})
DUEL = Experiment(name="duel", kind="interleave", variants={"now": {}, "words": {"alpha": 0.05}})


def test_people_are_dealt_equally_for_good_and_apart_from_other_experiments() -> None:
    units = [f"person {n}" for n in range(20_000)]
    got = Counter(assigned(AB, unit) for unit in units)
    assert srm_p(list(got.values())) > 0.001
    assert [assigned(AB, unit) for unit in units[:100]] == [assigned(AB, unit) for unit in units[:100]]
    other = AB.model_copy(update={"name": "other"})
    both = Counter((assigned(AB, unit), assigned(other, unit)) for unit in units)
    assert stats.chi2_contingency([[both[a, b] for b in ("now", "words")] for a in ("now", "words")]).pvalue > 0.001
    tenth = AB.model_copy(update={"share": 0.1})
    taking = [unit for unit in units if assigned(tenth, unit)]
    assert 1_800 < len(taking) < 2_200
    assert all(assigned(tenth, unit) == assigned(AB, unit) for unit in taking)  # who takes part keeps the variant
    assert assigned(AB, "") == ""


@given(st.lists(st.integers(0, 30), unique=True, max_size=20), st.lists(st.integers(0, 30), unique=True, max_size=20), st.text(max_size=5))
def test_a_draft_holds_every_product_once_each_side_in_its_own_order(a: list[int], b: list[int], seed: str) -> None:
    first, second = [str(n) for n in a], [str(n) for n in b]
    picks, teams = drafted(first, second, seed)
    assert sorted(picks) == sorted(set(first) | set(second))
    assert len(teams) == len(picks)
    for side, ranking in (("a", first), ("b", second)):
        own = [pick for pick, team in zip(picks, teams, strict=True) if team == side]
        assert own == [p for p in ranking if p in set(own)]
    for n in range(len(teams) + 1):  # while both have something left, neither is more than one pick ahead
        ahead = teams[:n].count("a") - teams[:n].count("b")
        left = (set(first) - set(picks[:n]), set(second) - set(picks[:n]))
        assert abs(ahead) <= 1 or not all(left)
    assert drafted(first, second, seed) == (picks, teams)


def test_a_draft_of_the_same_ranking_is_that_ranking_and_favours_nobody() -> None:
    ranking = [str(n) for n in range(10)]
    firsts = Counter()
    for n in range(2_000):
        picks, teams = drafted(ranking, ranking, str(n))
        assert picks == ranking
        firsts[teams[0]] += 1
    assert 900 < firsts["a"] < 1_100


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("shop"), random_products(200, seed=4), consent="assumed")


def plain(answer) -> dict:
    record = json.loads(answer.json)
    for name in ("query_id", "search_time_ms", "variants"):
        record.pop(name, None)
    return record


def test_each_person_is_answered_by_their_variant_and_strangers_as_ever(engine: Engine) -> None:
    trying = Experimenting(engine, AB)
    words = engine.tuned(alpha=0.05)
    requests = [SearchRequest(q="waterproof light jacket", client_id=f"device-{n:016d}" if n else "") for n in range(12)]
    for request, answer in zip(requests, trying.search_many(requests), strict=True):
        variant = assigned(AB, request.client_id)
        expected = words if variant == "words" else engine
        (alone,) = expected.search_many([request])
        assert plain(answer) == plain(alone)
        assert dict(answer.variants) == ({"ranking": variant} if variant else {})
        assert json.loads(answer.json).get("variants", {}) == dict(answer.variants)
    bad = list(trying.search_many([requests[1], SearchRequest(q="x", filter_by="(", client_id="device-1"), requests[2]]))
    assert [isinstance(a, FilterError) for a in bad] == [False, True, False]
    assert trying.product_count == engine.product_count


@pytest.mark.parametrize("page", [1, 2, 3])
def test_interleaved_pages_are_the_draft_of_both_rankings(engine: Engine, page: int) -> None:
    trying, words = Experimenting(engine, DUEL), engine.tuned(alpha=0.05)
    request = SearchRequest(q="waterproof light jacket", client_id="device-0123456789abcdef", per_page=7, page=page)
    (answer,) = trying.search_many([request])
    ids = [[h["document"]["id"] for h in json.loads(next(iter(e.search_many([request.model_copy(update={"page": 1, "per_page": 7 * page})]))).json)["hits"]]
           for e in (engine, words)]  # fmt: skip
    picks, teams = drafted(*ids, f"duel {request.client_id} {request.q}")
    shown = slice(7 * page - 7, 7 * page)
    assert list(answer.ids) == picks[shown] == [h["document"]["id"] for h in json.loads(answer.json)["hits"]]
    assert answer.variants == {"duel": f"interleaved:{teams[shown]}"}
    deep = SearchRequest(q="waterproof", client_id="device-0123456789abcdef", per_page=100, page=2)
    (past,) = trying.search_many([deep])
    assert past.variants == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'", "variants"), ("name = 'Bad Name'\n[variants.a]\n[variants.b]", "name"), ("[", "cannot be read"),
        ("name = 'x'\n[variants.a]\n[variants.b]\nmodel = 'y'", "changes model"), ("name = 'x'\nkind = 'interleave'\n[variants.a]\n[variants.b]\ndepth = 10", "changes depth"),
        ("name = 'x'\nkind = 'interleave'\n[variants.a]\n[variants.b]\n[variants.c]", "two variants"), ("name = 'x'\n[variants.a]\n['variants'.'b c']", "no name"),
    ],
)  # fmt: skip
def test_an_experiment_that_cannot_be_tried_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_experiment(tmp_path / "e.toml")


@pytest.mark.parametrize("content", [b"name", b"\xff", b"a = " + b"[" * 5000, b"a = " + b"1" * 5000])
def test_a_file_that_is_no_toml_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "e.toml").write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_experiment(tmp_path / "e.toml")


def test_a_value_out_of_range_is_found_when_the_service_begins(engine: Engine) -> None:
    with pytest.raises(SettingsError, match="alpha"):
        Experimenting(engine, Experiment(name="x", variants={"a": {}, "b": {"alpha": 7}}))


def test_ratios_have_the_spread_that_resampling_people_shows() -> None:
    rng = np.random.default_rng(1)
    asked = 1.0 + rng.poisson(3, 400)
    clicked = rng.binomial(asked.astype(int), rng.beta(2, 5, 400)).astype(float)
    value, parts = ratio_parts(clicked, asked)
    assert value == pytest.approx(clicked.sum() / asked.sum())
    assert parts.mean() == pytest.approx(value)
    draws = rng.integers(0, 400, (4000, 400))
    resampled = clicked[draws].sum(1) / asked[draws].sum(1)
    assert parts.std(ddof=1) / math.sqrt(400) == pytest.approx(resampled.std(), rel=0.08)


def test_one_look_agrees_with_a_plain_test_and_always_is_wider() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 500), rng.normal(0.1, 1, 600)
    found = difference((float(a.mean()), a), (float(b.mean()), b))
    assert found.p == pytest.approx(float(stats.ttest_ind(b, a, equal_var=False).pvalue), rel=0.02)
    assert found.low_always < found.low < found.mean < found.high < found.high_always
    assert found.p_always >= found.p
    for shift in (0.0, 0.15, 0.4, 1.0):
        moved = difference((float(a.mean()), a), (float(b.mean()) + shift, b + shift))
        assert moved.told_apart == (moved.p_always < 0.05)
    assert sequence_radius(100, 0.05) > sequence_radius(1000, 0.05) > sequence_radius(1000, 0.2)


def test_a_thousand_experiments_with_nothing_in_them_do_not_cry_wolf() -> None:
    found = simulate(1000, 3000, 0.3, looks=15, seed=7)
    assert found.always_any <= 50  # at most 5 %, however often one looks
    assert found.once_any > 150  # what the other interval would have cried
    assert abs(found.once_last - 50) <= 25
    assert found.size_alarms <= 8


def test_a_planted_effect_of_two_percent_is_found_at_the_size_the_power_calculation_names() -> None:
    for always, name in ((False, "once_last"), (True, "always_last")):
        people = needed_people(0.3, 0.02, searches=3, alike=ALIKE, power=0.8, always=always)
        found = simulate(150, people, 0.3, 0.02, looks=4, seed=11)
        assert getattr(found, name) / 150 > 0.7  # 0.8 less what chance takes from 150
    assert needed_people(0.3, 0.01) > 3.5 * needed_people(0.3, 0.02)
    for wrong in ((0.0, 0.1), (0.5, 0.0), (0.9, 0.5)):
        with pytest.raises(EvaluationError):
            needed_people(*wrong)


def test_people_who_go_missing_raise_the_alarm() -> None:
    assert srm_p([5000, 5000]) == 1
    assert srm_p([5000, 4600]) < 0.001 < srm_p([5000, 4900])


def made_log(folder: Path, effect: float, people: int = 600, duel: bool = False) -> EventLog:
    """A log of people who search three times each and click, buy and say so as their variant has it."""
    rng = np.random.default_rng(3)
    log, events = EventLog(folder, consent="assumed"), []
    for n in range(people):
        who = f"device-{n:016d}"
        variant = assigned(AB, who)
        for visit in range(3):
            when, query_id = NOW - 86_400_000 + n * 1000 + visit * 100, f"{n} {visit}"
            shown, teams = tuple(f"P{k}" for k in range(6)), "".join(rng.permutation(list("aaabbb")))
            named = {"duel": f"interleaved:{teams}"} if duel else {"ranking": variant}
            events.append(Event("search", when, client_id=who, query_id=query_id, query="tent", products=shown, variants=named))
            better = "b" if duel else "words"
            rate = 0.3 * (1 + effect * (variant == better))
            if rng.random() < rate:
                place = int(rng.choice([k for k, t in enumerate(teams) if t == "b"])) if duel and rng.random() < effect else int(rng.integers(6))
                events.append(Event("click", when + 10, client_id=who, query_id=query_id, products=(f"P{place}",), position=place + 1))
                if rng.random() < 0.5:
                    events.append(Event("feedback", when + 20, query_id=query_id, rating=1 if rng.random() < 0.7 else -1))
                if rng.random() < 0.3:
                    events.append(Event("purchase", when + 30, client_id=who, products=(f"P{place}",), quantity=2, value=Money(1000, "EUR")))
    events.append(Event("search", NOW - 5, client_id=f"device-{1:016d}", query_id="x", query="t", variants={"ranking": "now"}))
    events.append(Event("search", NOW - 4, client_id=f"device-{1:016d}", query_id="y", query="t", variants={"ranking": "words"}))
    events.append(Event("click", NOW - 3, client_id="somebody else, who took no part", query_id="z", products=("P1",)))
    log.add(events, lambda product: True)
    return log


def test_a_log_is_read_as_it_happened(tmp_path: Path) -> None:
    with closing(made_log(tmp_path, 0.0, people=40)) as log:
        exposed = read_exposed(log, "ranking")
        stored = list(log.read())
    assert exposed.crossed == 1
    assert sum(arm.people for arm in exposed.arms) == 39
    assert exposed.currency == "EUR"
    crossed = log.person("", f"device-{1:016d}")
    mine = [e for e in stored if e.person != crossed]
    searches = {e.query_id: e.person for e in mine if e.kind == "search"}
    assert sum(arm.searches.sum() for arm in exposed.arms) == len(searches)
    assert sum(arm.clicked.sum() for arm in exposed.arms) == len({e.query_id for e in mine if e.kind == "click" and e.query_id in searches})
    assert sum(arm.orders.sum() for arm in exposed.arms) == len({e.person for e in mine if e.kind == "purchase"})
    assert sum(arm.revenue.sum() for arm in exposed.arms) == 2000 * sum(e.kind == "purchase" for e in mine)
    told = [e for e in mine if e.kind == "feedback" and e.query_id in searches]
    assert sum(arm.rated.sum() for arm in exposed.arms) == len(told)
    assert sum(arm.ratings.sum() for arm in exposed.arms) == sum(e.rating for e in told)


def test_a_large_effect_is_reported_and_a_page_drawn(tmp_path: Path) -> None:
    with closing(made_log(tmp_path, 0.8)) as log:
        report = experiment_report("ranking", read_exposed(log, "ranking"), "now")
    rows = {row.measure: row.difference for row in report.rows}
    assert report.trusted
    assert rows["searches with a click"].told_apart
    assert rows["searches with a click"].relative == pytest.approx(0.8, abs=0.3)
    assert {"people who bought", "revenue per search", "satisfaction"} <= set(rows)
    page = experiment_page(report)
    assert "<svg" in page
    assert "<script" not in page
    assert "higher" in page
    json.dumps(report.to_dict(), allow_nan=False)


def test_interleaving_needs_few_people_to_prefer(tmp_path: Path) -> None:
    with closing(made_log(tmp_path / "b", 0.5, people=300, duel=True)) as log:
        report = experiment_report("duel", read_exposed(log, "duel"))
    assert report.preference is not None
    assert report.preference.told_apart
    assert report.preference.mean > 0
    assert "Interleaved" in experiment_page(report)
    with closing(made_log(tmp_path / "none", 0.0, people=300, duel=True)) as log:
        nothing = experiment_report("duel", read_exposed(log, "duel"))
    assert nothing.preference is not None
    assert not nothing.preference.told_apart
    with pytest.raises(EvaluationError, match="too few"):
        preference(np.zeros(5), np.zeros(5))


def test_the_whole_way_from_a_file_to_a_report(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "try.toml").write_text("name = 'ranking'\n[variants.now]\n[variants.words]\nalpha = 0.05\n")
    settings = toy_settings(engine.settings.store, consent="assumed", experiment=str(tmp_path / "try.toml"))
    with TestClient(create_app(settings)) as client:
        for n in range(60):
            who = f"device-{n:016d}"
            found = client.get("/v1/search", params={"q": "jacket", "client_id": who}).json()
            assert found["variants"] == {"ranking": assigned(AB, who)}
            if n % 3 == 0:
                thing = {"object": {"object_id": found["hits"][0]["document"]["id"]}, "position": {"ordinal": 1}}
                sent = {"action_name": "click", "client_id": who, "query_id": found["query_id"], "event_attributes": thing}
                assert client.post("/v1/events", json=sent).status_code == 200
        assert "variants" not in client.get("/v1/search", params={"q": "jacket"}).json()
    for name in ("EXPERIMENT", "STORE", "CONSENT"):
        monkeypatch.setenv(f"DAOGOU_{name}", str(getattr(settings, name.lower())))
    run = CliRunner()
    done = run.invoke(command_line, ["experiment", "report", "ranking", "--html", str(tmp_path / "page.html"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert sum(said["people"].values()) == 60
    assert said["measures"][0]["against"] == "now"
    assert (tmp_path / "page.html").exists()
    assert run.invoke(command_line, ["experiment", "report", "ranking"]).exit_code == 0
    assert isinstance(run.invoke(command_line, ["experiment", "report", "nothing"]).exception, EvaluationError)
    assert "people for each variant" in run.invoke(command_line, ["experiment", "power", "--rate", "0.3", "--change", "0.05"]).stdout
