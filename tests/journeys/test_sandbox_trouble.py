"""What becomes of the sandbox under the work is told in the thread: limits it reached, and a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.session_boxes import box_name
from session import events as e
from tests.attacks.outside import program
from tests.emulators.model.turns import Held, tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT
from tests.journeys.steps import FINISH, FIX
from tests.sandbox.environments.boxes import SmallBoxes

# Each a box's limit, that of the disk twice, by bytes and by files, and last: as long as those are there, any
# command may be ended for them.
BOMBS = (
    "python3 bombs.py forks",
    "exec python3 bombs.py memory",
    "yes 'a line that goes on and on' | head -c 80M",
)
ENDLESS = "while :; do :; done"
DISK_BOMBS = (
    "exec python3 bombs.py disk /workspace/full",
    "rm -f full; exec python3 bombs.py inodes many",
    "rm -rf many; exec python3 bombs.py memory",
)
CONTAINED = (
    "A command started more processes than a sandbox may have, and got no more; a command ran out of memory "
    "and was ended; a command printed more than is kept, and the rest was thrown away; a command kept the "
    "processor busy until its time was up, and was ended; a command filled the sandbox's disk and was ended. "
    "That was contained: the sandbox goes on."
)


@pytest.mark.needs("docker")
async def test_limits_are_named_on_the_card_and_a_new_sandbox_in_a_message(
    open_house: OpenHouse, docker_host: str, base_image: str, bellhop_home: Path
) -> None:
    boxes = SmallBoxes(
        run_directory=bellhop_home / "run",
        base_image=base_image,
        cache=bellhop_home / "cache",
        base_url=docker_host,
    )
    async with open_house(docker=(docker_host, base_image), environment=boxes) as house:
        ada = await house.member("Ada")
        lost = Held(tool("bash", command="echo anybody there"))
        house.model.script(
            AGENT,
            tool("write_file", path="bombs.py", content=program("bombs")),
            *(tool("bash", command=command) for command in BOMBS),
            tool("bash", command=ENDLESS, timeout_seconds=4),
            *(tool("bash", command=command) for command in DISK_BOMBS),
            FIX,
            lost,
            FINISH,
        )
        thread = await ada.asks("round half a cent up")
        await lost.reached.wait()
        reached = [event.limit for event in await thread.events(e.LimitReached)]
        ends = [(result.status, result.output[-200:]) for result in await thread.events(e.ToolReturned)]
        assert reached == ["processes", "memory", "output", "processor", "disk"], ends

        await boxes.remove(box_name(await thread.session()))
        lost.release()
        told = await thread.hears("*The sandbox is a new one.* The former one is gone: removed.")
        assert "Lost: what was changed since then, whatever ran in it." in told.shown
        await thread.hears("Half a cent is now rounded up.")
        card = await thread.card("Done")
        assert CONTAINED in card.shown, card.shown
        await thread.holds_only("card", "notice", "answer")
