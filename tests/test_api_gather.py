"""Searches that arrive together are one batch; each gets its own answer or its own error, and nobody waits alone."""

import asyncio

import pytest

from api.gather import MOST, BusyError, Gatherer
from api.reload import NotReadyError
from engine.errors import FilterError
from engine.schema import Answer, SearchRequest
from fake_engine import FakeEngine, FakeStore, engines_of


@pytest.fixture
def engines(store):
    made = engines_of(store)
    made.refresh()
    return made


async def search(gatherer, q, **request):
    return (await gatherer.search(SearchRequest(q=q, **request))).response()


def ask(gatherer, *queries, **request):
    return [asyncio.ensure_future(search(gatherer, q, **request)) for q in queries]


def test_what_arrives_together_is_one_batch_and_everyone_gets_their_own(engines, store):
    async def main():
        found = await asyncio.gather(*ask(Gatherer(engines), "a", "b", "c"))
        assert [r.applied.q for r in found] == ["a", "b", "c"]

    asyncio.run(main())
    assert store.opened[0].batches == [["a", "b", "c"]]


def test_a_lone_search_is_a_batch_of_its_own_and_the_next_one_too(engines, store):
    async def main():
        gatherer = Gatherer(engines)
        await search(gatherer, "a")
        await search(gatherer, "b")

    asyncio.run(main())
    assert store.opened[0].batches == [["a"], ["b"]]


def test_batches_are_bounded_and_in_the_order_of_arrival(engines, store):
    queries = [str(i) for i in range(2 * MOST + 1)]

    async def main():
        found = await asyncio.gather(*ask(Gatherer(engines), *queries))
        assert [r.applied.q for r in found] == queries

    asyncio.run(main())
    batches = store.opened[0].batches
    assert [len(b) for b in batches] == [MOST, MOST, 1]
    assert [q for b in batches for q in b] == queries


def test_who_arrives_during_a_batch_is_in_the_next(engines, store):
    async def main():
        gatherer = Gatherer(engines)
        first = ask(gatherer, "a", "b", "c")
        await first[0]
        late = ask(gatherer, "d")
        await asyncio.gather(*first, *late)
        assert [(await f).applied.q for f in late] == ["d"]

    asyncio.run(main())
    assert store.opened[0].batches == [["a", "b", "c"], ["d"]]


def test_an_answer_leaves_before_the_batch_is_done(engines):
    async def main():
        first, *rest = ask(Gatherer(engines), "a", *["slow"] * 3)
        await first
        assert not any(f.done() for f in rest)
        await asyncio.gather(*rest)

    asyncio.run(main())


def test_an_error_reaches_the_one_who_caused_it_alone(engines):
    async def main():
        gatherer = Gatherer(engines)
        good, bad = ask(gatherer, "a", "explode")
        wrong = ask(gatherer, "b", filter_by="price?3")[0]
        other = ask(gatherer, "c")[0]
        found = await asyncio.gather(good, bad, wrong, other, return_exceptions=True)
        assert [found[0].applied.q, found[3].applied.q] == ["a", "c"]
        assert isinstance(found[1], ValueError)
        assert isinstance(found[2], FilterError)
        assert (await search(gatherer, "after")).found == 10

    asyncio.run(main())


def test_without_a_snapshot_everyone_is_told_and_later_served(engines, store):
    empty = FakeStore("")
    waiting = engines_of(empty)

    async def main():
        gatherer = Gatherer(waiting)
        found = await asyncio.gather(*ask(gatherer, "a", "b"), return_exceptions=True)
        assert [type(e) for e in found] == [NotReadyError, NotReadyError]
        empty.current = "s1"
        waiting.refresh()
        assert (await search(gatherer, "a")).found == 10

    asyncio.run(main())


def test_an_engine_that_breaks_altogether_answers_nobody_in_silence(engines, store, monkeypatch):
    def broken(self, requests):
        found = self.search(requests[0])
        yield Answer(found.model_dump_json().encode(), found.found)
        raise RuntimeError("broken")

    async def main():
        gatherer = Gatherer(engines)
        with monkeypatch.context() as patch:
            patch.setattr(FakeEngine, "search_many", broken)
            found = await asyncio.gather(*ask(gatherer, "a", "b", "c"), return_exceptions=True)
        assert found[0].applied.q == "a"
        assert [str(e) for e in found[1:]] == ["broken", "broken"]
        assert (await search(gatherer, "after")).found == 10

    asyncio.run(main())


def test_who_has_gone_is_not_searched_for(engines, store):
    async def main():
        gatherer = Gatherer(engines)
        first = ask(gatherer, "a", "slow")
        await first[0]
        gone, stays = ask(gatherer, "gone", "stays")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(*first, stays)
        assert gone.cancelled()

    asyncio.run(main())
    assert store.opened[0].batches == [["a", "slow"], ["stays"]]


def test_an_engine_replaced_during_a_batch_answers_it_to_the_end(engines, store):
    async def main():
        gatherer = Gatherer(engines)
        first = ask(gatherer, "a", "b", "c")
        await first[0]
        store.current = "s2"
        engines.refresh()
        assert [(await f).snapshot for f in first] == ["s1", "s1", "s1"]
        assert (await search(gatherer, "d")).snapshot == "s2"
        engines.refresh()

    asyncio.run(main())
    assert store.opened[0].closed
    assert not store.opened[1].closed


def test_only_so_many_wait_and_the_others_are_told_at_once(engines, store):
    async def main():
        gatherer = Gatherer(engines, most=20)
        asked = ask(gatherer, *map(str, range(25)))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(r, BusyError) for r in found] == [False] * 20 + [True] * 5
        assert (await search(gatherer, "again")).applied.q == "again"

    asyncio.run(main())
    assert sum(map(len, store.opened[0].batches)) == 21


def test_nobody_waits_past_the_deadline_and_nothing_is_done_for_them(engines, store):
    now = [0.0]

    async def main():
        gatherer = Gatherer(engines, deadline_s=1.0, clock=lambda: now[0])
        early = ask(gatherer, *map(str, range(MOST)))
        late = ask(gatherer, "late")
        await asyncio.sleep(0)
        now[0] = 1.5  # while the first batch is answered
        found = await asyncio.gather(*early, *late, return_exceptions=True)
        assert isinstance(found[-1], BusyError)
        assert "waited for 1 s" in str(found[-1])

    asyncio.run(main())
    assert all("late" not in batch for batch in store.opened[0].batches)
