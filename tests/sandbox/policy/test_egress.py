"""Hosts that the door refused a command: asked about once, decided once, told to the agent."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import together, tool
from tests.sandbox.household import MODEL, household
from tests.sandbox.policy.test_permission import results
from tests.sandbox.test_jobs import FINISH, approve

HOST, OTHER = "api.example.com", "files.example.org"


def fetch(*hosts: str, then: str = "exit 1") -> str:
    """A command that asks these hosts for something, and counts how often it was run."""
    asks = "".join(
        f"    try: u.urlopen('http://{host}/v1/x?key=1')\n    except OSError: pass\n" for host in hosts
    )
    return f"echo run >> runs\npython3 - <<'END'\nimport urllib.request as u\nif True:\n{asks}END\n{then}"


async def test_a_host_out_of_reach_is_asked_about_once_and_the_command_not_run_twice() -> None:
    async with household(verify=()) as house:
        first = tool("bash", command=fetch(HOST))
        again = together(tool("bash", command=fetch(HOST) + "\n"), text="")
        house.model.script(
            MODEL,
            together(first, text="I need the list of currencies."),
            again,
            tool("bash", command="wc -l < runs"),
            FINISH,
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        request = view.open_approvals[0].request
        assert (request.kind, request.subject) == ("egress", f"GET {HOST}:80")
        assert request.title == f"Reach {HOST}?"
        assert f"Request: `GET http://{HOST}/v1/x`" in request.detail
        assert "“I need the list of currencies.”" in request.detail
        assert f"GET to {HOST}:80 through, for this session only" in request.detail
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert [item.state for item in view.approvals] == ["used"]
        told = await results(house, session_id)
        assert told[0].output.endswith(
            f"[exit code 1]\n[Ada allowed GET {HOST}:80 for this session. Run it again.]"
        )
        # Now it is let through, and nobody has that name: no refusal is left to tell.
        assert "not allowed" not in told[1].output
        assert told[2].output == "2"


async def test_a_no_is_told_and_not_asked_again() -> None:
    async with household(verify=()) as house:
        house.model.script(
            MODEL, tool("bash", command=fetch(HOST)), tool("bash", command=fetch(HOST)), FINISH
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        await house.commands.refuse(session_id, view.open_approvals[0].request.approval_id, house.grace)
        view = await house.run(session_id)
        assert view.state == "idle"
        first, second = (await results(house, session_id))[:2]
        assert f"[GET {HOST}:80 stays out of reach: Grace said no. Go on without it.]" in first.output
        assert f"[not allowed: GET {HOST}:80: no rule of acme/billing names {HOST}]" in second.output


async def test_several_hosts_are_asked_about_one_after_the_other() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, *[tool("bash", command=fetch(HOST, OTHER))] * 2, FINISH)
        session_id = await house.opened()
        subjects = []
        for _ in range(2):
            view = await house.run(session_id)
            subjects.append(view.open_approvals[0].request.subject)
            await approve(house, session_id)
        assert subjects == [f"GET {HOST}:80", f"GET {OTHER}:80"]
        assert (await house.run(session_id)).state == "idle"


async def test_a_command_that_succeeds_is_only_told_what_was_refused() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, tool("bash", command=fetch(HOST, OTHER, then="true")), FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert (view.state, view.approvals) == ("idle", ())
        told = (await results(house, session_id))[0]
        assert told.status == "ok"
        assert [line.partition(": no rule")[0] for line in told.output.splitlines()] == [
            f"[not allowed: GET {HOST}:80", f"[not allowed: GET {OTHER}:80",
        ]  # fmt: skip


async def test_where_the_policy_asks_nobody_the_agent_is_told_at_once() -> None:
    async with household(verify=(), policy={"approvals": {"egress": "off"}}) as house:
        house.model.script(MODEL, tool("bash", command=fetch(HOST)), FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert (view.state, view.approvals) == ("idle", ())
        assert f"[not allowed: GET {HOST}:80" in (await results(house, session_id))[0].output


async def test_a_request_that_fell_away_with_its_turn_can_be_made_again() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, tool("bash", command=fetch(HOST)))
        session_id = await house.opened()
        await house.run(session_id)
        await house.commands.stop(session_id, house.ada)
        await house.run(session_id)
        house.model.script(MODEL, tool("bash", command=fetch(HOST)))
        await house.prompt(session_id, "Try once more")
        view = await house.run(session_id)
        assert [item.state for item in view.approvals] == ["voided", "open"]
        assert isinstance(view.approvals[1].request, e.ApprovalRequested)
