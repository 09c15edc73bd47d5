"""How much may come and go: the cap of one answer, the session's budget, and what reading strangers costs."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from sandbox.broker.door.parts import EgressSpent
from session.policy import EgressRule
from tests.faults.waiting import until
from tests.sandbox.door.stage import HOST, SESSION, stage
from tests.sandbox.door.upstream import Reply


class Purse:
    """A budget of so many bytes."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.asked: set[tuple[str, str]] = set()

    async def __call__(self, session_id: str, budget: str, amount: int) -> None:
        self.asked.add((session_id, budget))
        self.left -= amount
        if self.left < 0:
            raise EgressSpent("The session has used up what it may send and receive.")


def small(port: int) -> list[EgressRule]:
    return [EgressRule(host=HOST, port=port, max_bytes=1000)]


def writing(port: int) -> list[EgressRule]:
    return [EgressRule(host=HOST, port=port, methods=("GET", "POST"))]


async def test_an_answer_that_says_it_is_too_large_is_not_begun() -> None:
    async with stage(small) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 1001)
        answer = await s.ask()
        assert answer.status_code == 502
        assert "larger than its rule allows" in answer.text


async def test_an_answer_that_grows_too_large_is_cut_off() -> None:
    async with stage(small) as s:
        s.upstream.reply = lambda got: Reply(pieces=(b"x" * 600, b"x" * 600))
        with pytest.raises(httpx.RemoteProtocolError):
            await s.ask()


async def test_the_length_of_what_head_only_tells_of_is_no_matter() -> None:
    async with stage(small) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 1001)
        assert (await s.ask("HEAD")).status_code == 200


async def test_bytes_both_ways_count_against_the_budget() -> None:
    purse = Purse(1_000_000)
    async with stage(writing, spend=purse, public=True) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 100_000)
        await s.ask("POST", content=b"y" * 50_000)
        assert purse.asked == {(SESSION, "egress_bytes")}
        # The last of it is settled beside the end of the answer.
        await until(lambda: purse.left <= 850_000, "what went both ways is counted")
        assert purse.left >= 848_000


@pytest.mark.parametrize("answer", [Reply(body=b"x" * 2000), Reply(pieces=(b"x" * 1000, b"x" * 1000))])
async def test_an_answer_is_counted_before_the_box_has_all_of_it(answer: Reply) -> None:
    order: list[str] = []

    async def spend(session_id: str, budget: str, amount: int) -> None:
        if amount >= 2000 and not order:
            order.append("counting")
            # As long as anything takes to come from there.
            await s.ask(path="/other")
            order.append("counted")

    async with stage(spend=spend) as s:
        s.upstream.reply = lambda got: answer
        assert len((await s.ask()).content) == 2000
        order.append("answered")
    assert order == ["counting", "counted", "answered"]


async def test_a_spent_budget_stops_before_anything_goes_out() -> None:
    async with stage(writing, spend=Purse(10)) as s:
        answer = await s.ask()
        assert (answer.status_code, s.upstream.connections) == (403, 0)
        assert "used up" in answer.text


async def test_a_budget_that_runs_out_on_the_way_cuts_off() -> None:
    async with stage(writing, spend=Purse(3_000_000)) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 20_000_000)
        with pytest.raises(httpx.RemoteProtocolError):
            await s.ask()


async def test_a_host_that_was_read_is_noted_once() -> None:
    async with stage() as s:
        await s.ask()
        await s.ask()
        assert await s.read_from() == [HOST]


async def test_a_host_that_did_not_answer_was_not_read() -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=1)]) as s, s.client() as client:
        assert (await client.get(f"https://{HOST}:1/")).status_code == 502
        assert await s.read_from() == []


async def test_the_session_s_own_forge_is_no_stranger() -> None:
    async with stage(url=f"https://{HOST}/acme/billing.git") as s:
        assert (await s.ask()).status_code == 200
        assert await s.read_from() == []


async def test_once_strangers_were_read_writing_needs_a_yes() -> None:
    async with stage(writing) as s:
        assert (await s.ask("POST")).status_code == 200
        answer = await s.ask("POST")
        assert answer.status_code == 403
        assert f"strangers can write ({HOST})" in answer.text
        assert (await s.ask("GET")).status_code == 200
        await s.allow(f"POST {HOST}:{s.upstream.port}")
        assert (await s.ask("POST")).status_code == 200


async def test_what_is_public_anyway_may_be_written_after_strangers_were_read() -> None:
    async with stage(writing, public=True) as s:
        assert [(await s.ask("POST")).status_code for _ in range(2)] == [200, 200]


async def test_a_silent_connection_is_closed() -> None:
    async with stage(tls=False, idle_seconds=0.2) as s:
        reader, writer = await asyncio.open_unix_connection(str(s.directory / "door.sock"))
        assert await reader.read() == b""
        writer.close()
