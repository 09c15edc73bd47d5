"""Own preferences on the account page, and the admins' page about channels."""

from __future__ import annotations

from session.channel_rules import Channel, ChannelRules, WatchedWord
from session.people import Origin, Person, Prompt
from session.preferences import Preferences
from tests.companion_web.stage import Stage

BILLING = Channel("slack", "T1", "C1", "billing")
KEY = '["slack","T1","C1"]'


async def asked_in(stage: Stage, person: Person, channel: str, name: str) -> None:
    """Somebody asked for work in that channel."""
    origin = Origin(platform="slack", workspace="T1", channel=channel, channel_name=name, thread="1")
    prompt = Prompt(id=f"p-{channel}", text="fix it", author=person)
    await stage.commands.open_session(prompt, origin)


async def test_own_preferences_are_set_refused_and_taken_back(stage: Stage) -> None:
    vera, book = await stage.person("Vera", "viewer"), stage.customs.people
    usual = book.models[0]
    async with stage.client(vera) as client:

        async def post(path: str, **fields: str) -> tuple[int, str]:
            answer = await client.post(path, page="/account", **fields)
            return answer.status_code, answer.text

        assert (await post("/account/preferences", model=usual, verbosity="quiet"))[0] == 303
        assert (await post("/account/branches", repository="acme/web", branch="develop"))[0] == 303
        assert await book.of(vera.id) == Preferences(usual, "quiet", {"acme/web": "develop"})
        page = (await client.get("/account")).text
        assert '<option value="quiet" selected>' in page
        assert f"<option selected>{usual}</option>" in page
        assert 'acme/web: <span class="mono">develop</span>' in page
        status, text = await post("/account/preferences", model="<b>huge", verbosity="quiet")
        assert status == 404
        assert "“&lt;b&gt;huge”. There is" in text
        assert (await post("/account/branches", repository="acme/web", branch="a b"))[0] == 409
        assert (
            await client.post("/account/branches", csrf="guessed", repository="acme/web")
        ).status_code == 403
        assert (await post("/account/branches", repository="acme/web"))[0] == 303
        assert (await post("/account/preferences", model="", verbosity="normal"))[0] == 303
        assert await book.of(vera.id) == Preferences()


async def test_rules_of_channels_are_for_admins(stage: Stage) -> None:
    bo, ada, book = await stage.person("Bo"), await stage.person("Ada", "admin"), stage.customs.channels
    await asked_in(stage, bo, "C1", "billing")
    await asked_in(stage, bo, "D1", "")
    form = {"channel": KEY, "repository": "acme/web", "mentions": "on", "words": "Outage, bill=acme/billing"}
    async with stage.client(bo) as client:
        assert (await client.get("/admin/channels")).status_code == 403
        for path in ("/admin/channels", "/admin/channels/forget"):
            assert (await client.post(path, **form)).status_code == 403
    assert await book.all() == ()
    async with stage.client(ada) as client:
        page = (await client.get("/admin/channels")).text
        assert "#billing" in page
        assert "D1" not in page, "direct messages are no channel"

        async def post(path: str = "/admin/channels", **fields: str) -> int:
            return (await client.post(path, page="/admin/channels", **form | fields)).status_code

        assert (await client.post("/admin/channels", csrf="guessed", **form)).status_code == 403
        assert await post(words="=acme/web") == 409
        assert await post(channel='["slack","T1","C9"]') == 409
        assert await book.all() == ()
        assert await post() == 303
        words = (WatchedWord("outage", starts=True), WatchedWord("bill", repository="acme/billing"))
        assert await book.all() == (ChannelRules(BILLING, "acme/web", words, mention_required=True),)
        written = len(await stage.broker.audit.page(None, 20))
        assert await post(words="outage, bill=acme/billing") == 303
        assert len(await stage.broker.audit.page(None, 20)) == written, "nothing was changed"
        assert 'value="outage, bill=acme/billing"' in (await client.get("/admin/channels")).text
        assert await post(repository="", mentions="", words="") == 303
        assert await book.all() == ()
        assert await post("/admin/channels/forget") == 303
