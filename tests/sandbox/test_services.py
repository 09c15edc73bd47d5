"""A turn whose repository names services: started for the agent and for the checks, or said why not."""

from __future__ import annotations

from sandbox.session_boxes import box_name
from session import events as e
from session.catalogue import Approvals
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

AUTO = Approvals(pull_request="auto")
ASK = "python3 -c \"import socket; socket.create_connection(('store', 8231))\""
CONFIG = """\
services:
  - name: store
    command: exec python3 store.py
    ready: python3 -c "import socket; socket.create_connection(('localhost', 8231))"
    ready_seconds: 60
"""
STORE = """\
import socket
server = socket.create_server(("127.0.0.1", 8231))
while True:
    server.accept()
"""
WITH_A_CONTAINER = f"{CONFIG}  - {{name: cache, image: 'redis:7'}}\n"


async def test_set_up_agent_and_checks_have_the_service_and_a_follow_up_hears_that_it_is_new() -> None:
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": CONFIG, "store.py": STORE}
    async with household(approvals=AUTO, setup=(ASK,), verify=("sh check.sh", ASK), files=files) as house:
        house.model.script(MODEL, tool("bash", command=ASK), FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        events = await house.events(session_id)
        assert view.sandbox is not None
        assert view.sandbox.services == ("store",)
        assert [event.text for event in events if isinstance(event, e.NoteAdded)] == []
        asked = next(event for event in events if isinstance(event, e.ToolReturned) and event.tool == "bash")
        assert asked.status == "ok"
        assert view.verification is not None
        assert (view.verification.verdict, view.verification.reason) == ("passed", "")
        assert "Services that run for it, at localhost and under their names: store" in (
            house.model.requests_to(MODEL)[0].said_by("system")[0].text
        )
        await house.environment.end(box_name(session_id))
        house.model.script(MODEL, tool("bash", command=ASK), FINISH)
        await house.prompt(session_id, "Is it still there?")
        await house.run(session_id)
        later = (await house.events(session_id))[len(events) :]
        (note,) = [event.text for event in later if isinstance(event, e.NoteAdded)]
        assert "these services have begun anew: store. What was put into them is gone" in note
        asked = next(event for event in later if isinstance(event, e.ToolReturned) and event.tool == "bash")
        assert asked.status == "ok"


async def test_what_cannot_run_here_is_said_once_and_the_turn_goes_on_without_a_verdict_of_red() -> None:
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": WITH_A_CONTAINER, "store.py": STORE}
    async with household(verify=("false",), files=files) as house:
        house.model.script(MODEL, FIX, PROPOSE)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        assert view.sandbox is not None
        assert view.sandbox.services == ("store",)
        (told,) = view.degraded
        sentence = "needs a container of the image redis:7, and sandboxes made of this machine's namespaces"
        assert told.part == "service cache"
        assert told.detail.startswith(f"it {sentence}")
        assert "start a Docker engine, or give it, in place of `image`, a `command`" in told.detail
        # The checks need what is not there: that is no word about the change, and a person decides.
        assert view.verification is not None
        assert view.verification.verdict == "not_run"
        assert view.verification.reason.startswith(
            f"The checks need what is not there. The service cache {sentence}"
        )
        await house.prompt(session_id, "Why?")
        house.model.script(MODEL, FINISH)
        view = await house.run(session_id)
        assert view.degraded == (told,)
        house.upstream.commit("Do without it", {".bellhop/config.yaml": CONFIG})
        git(house.upstream.path, "push", "-q", str(house.home / "billing.git"), "main")
        await house.prompt(session_id, "And now?")
        house.model.script(MODEL, tool("ask_user", question="Well?"))
        assert (await house.run(session_id)).degraded == ()
        notes = [event.text for event in await house.events(session_id) if isinstance(event, e.NoteAdded)]
        assert [f"The service cache {sentence}" in note for note in notes] == [True, False], "said once"


async def test_a_program_that_does_not_start_is_told_with_its_last_words_and_makes_the_checks_red() -> None:
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": CONFIG}
    async with household(files=files) as house:
        house.model.script(MODEL, FIX, PROPOSE, tool("ask_user", question="What now?"))
        session_id = await house.opened()
        view = await house.run(session_id)
        notes = [event.text for event in await house.events(session_id) if isinstance(event, e.NoteAdded)]
        assert notes[0].startswith("The service store ended when it was started: `exec python3 store.py`.")
        assert "No such file or directory" in notes[0]
        assert view.verification is not None
        (check,) = view.verification.checks
        assert (view.verification.verdict, check.command) == ("failed", "exec python3 store.py")
        assert "No such file or directory" in check.output


async def test_a_compose_file_that_cannot_be_followed_is_said_and_the_turn_goes_on() -> None:
    files: dict[str, str | bytes | None] = {
        ".devcontainer.json": '{"dockerComposeFile": "compose.yaml", "service": "app"}',
        "compose.yaml": "services:\n  app: {image: box}\n  db:\n    image: [postgres]\n",
    }
    async with household(verify=(), files=files) as house:
        house.model.script(MODEL, FINISH)
        view = await house.run(await house.opened())
        assert view.state == "idle"
        (told,) = view.degraded
        assert (told.part, told.detail) == (
            "services",
            "compose.yaml:4: services.db.image must be the name of an image, such as 'redis:7'.",
        )
