"""The lines people type at a console: plain words are messages, `/words` are the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.platforms.console.people import NothingThere
from bot.platforms.console.thread import ConsoleMessage

if TYPE_CHECKING:
    from bot.platforms.console.platform import ConsolePlatform

HELP = """\
Just write what you want; what you write next goes to the same thread.
/new TEXT             begin another thread
/aside TEXT           say something in the thread without calling on the bot
/as NAME              speak as somebody else
/react EMOJI [ON]     ✅ 🛑 🔁 👍 👎 🛎️ under a message; ON: card, request, answer, approval … or an id
/unreact EMOJI [ON]   take it away again
/press LABEL          press the newest button whose label has these words
/pick SLUG            choose from the menu of repositories
/wait WHAT [SECONDS]  wait (at most 300 s) for: approval, question, repository, answer, failure, notice, card,
                      or for the card to say done, failed or stopped
/show                 print everything again
/quit                 leave"""

_CARD_TONES = ("done", "failed", "stopped", "waiting")
_WAIT_SECONDS = 300.0


class Lines:
    """Carries out what is typed, line by line, as `name` until somebody else speaks."""

    def __init__(self, console: ConsolePlatform, name: str = "Ada") -> None:
        self._console = console
        self.name = name
        self._thread: str | None = None

    async def take(self, line: str) -> str | None:
        """Do what the line says; what comes back is shown to whoever typed it, None: nothing to say.

        Raises: EOFError, on `/quit`.
        """
        line = line.strip()
        if not line:
            return None
        if not line.startswith("/"):
            await self._say(line, self._thread)
            return None
        word, _, rest = line.partition(" ")
        try:
            return await self._command(word, rest.strip())
        except NothingThere as nothing:
            return str(nothing)
        except TimeoutError:
            return f"Waited, but it did not come: {rest}"

    async def _command(self, word: str, rest: str) -> str | None:
        people = self._console.people
        emoji, _, on = rest.partition(" ")
        match word:
            case "/new":
                await self._say(rest, None)
            case "/aside":
                await people.say(rest, self.name, thread=self._thread, mention=False)
            case "/as" if rest:
                self.name = rest
                return f"You are {rest} now."
            case "/react" if rest:
                await people.react(emoji, self.name, on=on.strip() or None)
            case "/unreact" if rest:
                await people.react(emoji, self.name, on=on.strip() or None, added=False)
            case "/press" if rest:
                await people.press(rest, self.name)
            case "/pick" if rest:
                await people.press("", self.name, value=rest)
            case "/wait" if rest:
                await self._wait(rest)
            case "/show":
                return self._console.threads.transcript()
            case "/quit" | "/exit":
                raise EOFError
            case _:
                return HELP
        return None

    async def _say(self, text: str, thread: str | None) -> None:
        message = await self._console.people.say(text, self.name, thread=thread)
        self._thread = message.thread

    async def _wait(self, rest: str) -> None:
        what, _, seconds = rest.partition(" ")
        limit = float(seconds) if seconds.strip().replace(".", "", 1).isdecimal() else _WAIT_SECONDS
        await self._console.threads.wait_for(lambda m: _is(m, what), limit)


def _is(message: ConsoleMessage, what: str) -> bool:
    if what in _CARD_TONES:
        return message.tone == what
    return message.asks if what == "approval" else message.kind == what
