"""The demo without a terminal: three conversations, played through the console's front door and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import ConsoleMessage, describe
from session.catalogue import Catalogue
from session.log import Log
from session.view import SessionView

_PATIENCE_SECONDS = 60
ADA, GRACE = "Ada", "Grace"


class NotAsItShould(Exception):
    """A conversation ended otherwise than it should; the message says in what."""


@dataclass(frozen=True, slots=True)
class Played:
    """A conversation that was played: its thread as people see it, and what was wrong (None: nothing)."""

    title: str
    thread: str
    wrong: str | None


class Player:
    """Ada and Grace at the console."""

    def __init__(self, console: ConsolePlatform, log: Log, catalogue: Catalogue) -> None:
        self._console = console
        self._log = log
        self._catalogue = catalogue

    async def play(self, tell: Callable[[Played], None]) -> bool:
        """Plays all conversations, telling each as it ends; True when each ended as it should."""
        scenes: Sequence[tuple[str, Callable[[Conversation], Awaitable[None]]]] = (
            ("A bug report becomes a merged pull request", self._bug),
            ("A long task is stopped midway", self._stop),
            ("An unclear request is asked about, then done", self._unclear),
        )
        good = True
        for title, scene in scenes:
            conversation = Conversation(self._console, self._log)
            played = await self._played(title, conversation, scene(conversation))
            tell(played)
            good = good and played.wrong is None
        return good

    async def _played(self, title: str, conversation: Conversation, scene: Awaitable[None]) -> Played:
        wrong: str | None = None
        try:
            await scene
        except (NotAsItShould, TimeoutError) as error:
            wrong = str(error).splitlines()[0]
        return Played(title, conversation.text(), wrong)

    async def _bug(self, talk: Conversation) -> None:
        await talk.say("our invoice totals are off by a cent: 2.665 should become 2.67", ADA)
        asked = await talk.hears(lambda m: m.asks)
        await talk.react("✅", ADA, asked)
        await talk.hears(lambda m: m.kind == "answer")
        merge = await talk.hears(lambda m: m.asks and m.id != asked.id)
        await talk.react("✅", GRACE, merge)
        view = await talk.sees(lambda v: v.pull_request is not None and v.pull_request.state == "merged")
        expect(view.verification is not None and view.verification.verdict == "passed", "the checks passed")
        await self._expect_on_main("acme/billing", "billing/money.py", "ROUND_HALF_UP")
        await talk.hears(lambda m: m.kind == "card" and "merged" in m.text.lower())

    async def _stop(self, talk: Conversation) -> None:
        await talk.say("run the soak test of the queue for two minutes and tell me if messages get lost", ADA)
        await talk.sees(lambda v: v.turn is not None and v.turn.running_call is not None)
        card = await talk.hears(lambda m: m.kind == "card" and m.tone == "working")
        await talk.react("🛑", ADA, card)
        await talk.hears(lambda m: m.tone == "stopped")
        expect(await self._branches("acme/notify") == ["main"], "nothing was pushed")

    async def _unclear(self, talk: Conversation) -> None:
        await talk.say("there is a typo in the welcome text, please fix it", ADA)
        await talk.hears(lambda m: m.kind == "repository")
        await self._console.people.press("", ADA, value="acme/web")
        asked = await talk.hears(lambda m: m.asks)
        await talk.react("✅", ADA, asked)
        await talk.hears(lambda m: m.kind == "answer")
        await talk.hears(lambda m: m.asks and m.id != asked.id)
        view = await talk.sees(lambda v: v.pull_request is not None)
        expect(view.repository is not None and view.repository.slug == "acme/web", "it worked in acme/web")

    async def _expect_on_main(self, slug: str, path: str, words: str) -> None:
        content = await self._git(slug, "show", f"main:{path}")
        expect(words in content, f"{path} on main of {slug} has {words}")

    async def _branches(self, slug: str) -> list[str]:
        listed = await self._git(slug, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
        return listed.split()

    async def _git(self, slug: str, *arguments: str) -> str:
        bare = Path(self._catalogue.get(slug).url)
        process = await asyncio.create_subprocess_exec(
            "git", "--git-dir", str(bare), *arguments, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.decode()


class Conversation:
    """One thread of the console."""

    def __init__(self, console: ConsolePlatform, log: Log) -> None:
        self._console = console
        self._log = log
        self._thread = ""

    async def say(self, text: str, by: str) -> None:
        """Somebody begins the thread."""
        self._thread = (await self._console.people.say(text, by)).thread

    async def react(self, emoji: str, by: str, message: ConsoleMessage) -> None:
        """Somebody puts an emoji under a message."""
        await self._console.people.react(emoji, by, on=message.id)

    async def hears(self, predicate: Callable[[ConsoleMessage], bool]) -> ConsoleMessage:
        """The message of this thread for which `predicate` holds. Raises: TimeoutError, NotAsItShould."""
        found = await self._console.people.wait_for(
            lambda m: m.thread == self._thread and (m.kind == "failure" or predicate(m)), _PATIENCE_SECONDS
        )
        if found.kind == "failure" and not predicate(found):
            raise NotAsItShould(f"it failed: {found.text}")
        return found

    async def sees(self, predicate: Callable[[SessionView], bool]) -> SessionView:
        """The session's state, as soon as `predicate` holds. Raises: TimeoutError."""
        session_id = await self._session()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                async for _ in self._log.follow(session_id):
                    view = await self._log.view(session_id)
                    if predicate(view):
                        return view
        except TimeoutError as error:
            raise NotAsItShould(f"it did not get that far within {_PATIENCE_SECONDS} s") from error
        raise AssertionError("following a log does not end")

    async def _session(self) -> str:
        session_id = await self._log.find_by_thread("console", "console", "console", self._thread)
        if session_id is None:
            raise NotAsItShould("no session was opened")
        return session_id

    def text(self) -> str:
        """The thread as everybody sees it."""
        return "\n\n".join(describe(message) for message in self._console.threads.in_thread(self._thread))


def expect(holds: bool, what: str) -> None:
    """Raises: NotAsItShould, unless it holds."""
    if not holds:
        raise NotAsItShould(f"expected that {what}")
