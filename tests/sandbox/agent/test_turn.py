"""The loop with models that err: nothing half-understood runs, and every end is said."""

from __future__ import annotations

import asyncio

from sandbox.agent.stuck import PLAIN_TEXT_NUDGE
from sandbox.agent.turn import MALFORMED_ANSWERS
from session import events as e
from tests.emulators.model.turns import (
    HttpFault,
    context_overflow,
    nothing,
    raw_tool,
    same_ids,
    say,
    together,
    tool,
)
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH

BROKEN = raw_tool("bash", '{"command": "touch half')


async def shown(house: Household, session_id: str) -> list[e.ToolReturned]:
    return [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]


async def test_a_malformed_call_is_explained_and_the_turn_goes_on() -> None:
    async with household() as house:
        house.model.script(MODEL, BROKEN, tool("dance"), tool("bash", command="true", workdri="x"), FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).state == "idle"
        returned = await shown(house, session_id)
        assert [event.status for event in returned[:3]] == ["error"] * 3
        assert "not JSON" in returned[0].output
        assert "There is no tool called 'dance'. There are: ask_user" in returned[1].output
        assert "workdri" in returned[2].output


async def test_the_fourth_malformed_call_in_a_row_fails_the_turn() -> None:
    async with household() as house:
        house.model.script(MODEL, *[BROKEN] * (MALFORMED_ANSWERS + 1))
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "failed"
        assert view.failure is not None
        assert "cannot be read" in view.failure.cause
        assert view.failure.advice


async def test_the_same_ids_from_a_careless_gateway_do_not_mix_calls_up() -> None:
    async with household(verify=()) as house:
        house.model.script(
            MODEL,
            same_ids(tool("bash", command="echo one"), tool("bash", command="echo two"), call_id="call_0"),
            same_ids(tool("bash", command="echo three"), call_id="call_0"),
            FINISH,
        )
        session_id = await house.opened()
        await house.run(session_id)
        returned = await shown(house, session_id)
        assert [event.output for event in returned[:3]] == ["one", "two", "three"]
        assert len({event.call_id for event in returned}) == 4


async def test_changes_run_in_the_order_they_were_asked_for() -> None:
    async with household(verify=()) as house:
        writes = [tool("bash", command=f"sleep 0.{3 - n}; echo {n} >> order") for n in range(3)]
        house.model.script(MODEL, together(*writes, tool("read_file", path="order")), FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        assert [line.split()[1] for line in (await shown(house, session_id))[3].output.split("\n")] == list(
            "012"
        )


async def test_text_without_a_call_is_nudged_once_and_then_is_the_answer() -> None:
    async with household() as house:
        house.model.script(MODEL, say("It is a rounding error."), say("As I said: a rounding error."))
        session_id = await house.opened()
        view = await house.run(session_id)
        assert (view.state, view.answer) == ("idle", "As I said: a rounding error.")
        notes = [event.text for event in await house.events(session_id) if isinstance(event, e.NoteAdded)]
        assert notes == [PLAIN_TEXT_NUDGE]


async def test_a_circle_is_put_to_people_and_their_answer_is_heard() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, *[tool("bash", command="ls nothing")] * 4)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_answer"
        assert view.question is not None
        assert "stuck" in view.question.text
        await house.commands.answer_question(
            session_id, view.question.question_id, "Look in src", house.grace
        )
        house.model.script(MODEL, FINISH)
        assert (await house.run(session_id)).state == "idle"
        assert "Grace answers: Look in src" in house.model.requests_to(MODEL)[-1].last.text


async def test_silence_is_not_taken_for_an_answer() -> None:
    async with household() as house:
        house.model.script(MODEL, nothing(), FINISH)
        assert (await house.run(await house.opened())).answer == "The total is right now."


async def test_an_overflow_is_answered_by_shortening_once() -> None:
    async with household(verify=()) as house:
        big = [tool("bash", command=f"head -c 40000 /dev/zero | tr '\\0' {letter}") for letter in "abcdefg"]
        house.model.script(MODEL, *big, context_overflow(100_000), FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).state == "idle"
        kinds = [type(event) for event in await house.events(session_id)]
        assert kinds.count(e.ContextCompacted) == 1


async def test_an_overflow_that_cannot_be_helped_is_said() -> None:
    async with household() as house:
        house.model.script(MODEL, context_overflow(), say("A summary " + "w" * 9000))
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.failure is not None
        assert "window" in view.failure.cause


async def test_a_refused_key_is_said_with_what_to_do() -> None:
    async with household() as house:
        house.model.script(MODEL, HttpFault(401, "Incorrect API key provided.", "invalid_api_key"))
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.failure is not None
        assert "key" in view.failure.advice


async def test_words_in_flight_are_seen_while_they_come() -> None:
    async with household() as house:
        house.model.script(MODEL, say("One. " * 40), FINISH)
        session_id = await house.opened()
        tokens = house.pulse.tokens(session_id)

        seen = asyncio.ensure_future(anext(tokens))
        await asyncio.sleep(0)
        await house.run(session_id)
        delta = await asyncio.wait_for(seen, 60)
        assert delta.text.startswith("One.")
