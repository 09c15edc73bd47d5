"""Where the rooms meet: each process puts together what it needs and runs until it is cancelled.

What only some of them need is imported by those: the libraries of the others would double the time that a
start takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import structlog

from deploy.core import Core, open_core
from deploy.presence import look_for_broker
from deploy.state_directory import join, share_with_group
from deploy.web_server import listen
from session.catalogue import Catalogue
from session.settings import Settings, SettingsError

_log = structlog.get_logger(__name__)

_NO_CHAT = (
    "SLACK_BOT_TOKEN is missing, SLACK_CLIENT_ID and DISCORD_BOT_TOKEN too, so there is no chat to serve. "
    "Example: SLACK_BOT_TOKEN=xoxb-…; docs/set-up-slack.md and docs/set-up-discord.md say where to get one"
)


async def bot(settings: Settings) -> None:
    """Chat. Raises: SettingsError, when no platform is set up."""
    from deploy import chat

    async with open_core(settings, Catalogue.load(settings.repositories_file)) as core:
        platforms = [platform for platform in (chat.slack(core), chat.discord(core)) if platform is not None]
        if not platforms:
            raise SettingsError(_NO_CHAT)
        async with asyncio.TaskGroup() as group:
            group.create_task(look_for_broker(core.broker, "bot"), name="broker")
            group.create_task(chat.side_by_side(core, platforms), name="chat")


async def web(settings: Settings) -> None:
    """Pages, streams, webhooks; Slack's events too, where they come over HTTP."""
    from deploy import chat, pages

    listener = listen(settings.web_host, settings.web_port)
    bound = settings.model_copy(update={"web_port": listener.getsockname()[1]})
    async with open_core(bound, Catalogue.load(bound.repositories_file)) as core:
        over_http = bool(bound.slack_signing_secret) and not bound.slack_app_token
        slack = chat.slack(core) if over_http else None
        async with pages.web(core, listener, slack=slack), asyncio.TaskGroup() as group:
            _log.info("serving", address=bound.page_address)
            group.create_task(look_for_broker(core.broker, "web"), name="broker")
            if slack is not None:
                group.create_task(chat.listen(core, slack), name="slack over http")
            await asyncio.Event().wait()


async def broker(settings: Settings) -> None:
    """Credentials, and everything that is done with them. Raises: SettingsError, ForgeError."""
    from deploy.broker import broker as serve_broker

    share_with_group()
    async with open_core(settings, Catalogue.load(settings.repositories_file)) as core, serve_broker(core):
        _log.info("serving", socket=str(settings.broker_address))
        await asyncio.Event().wait()


async def worker(settings: Settings) -> None:
    """Routing, turns and merges on this host. Raises: SettingsError, EnvironmentUnavailable."""
    from deploy.boxes import open_environment
    from deploy.work import work

    share_with_group()
    join(settings)
    async with open_core(settings, Catalogue.load(settings.repositories_file)) as core:
        environment = await open_environment(settings)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(look_for_broker(core.broker, "worker"), name="broker")
                group.create_task(work(core, environment), name="work")
        finally:
            await environment.aclose()


async def up(settings: Settings) -> None:
    """All of them in one process, on embedded defaults where nothing else is set."""
    from deploy import chat, pages
    from deploy.boxes import open_environment
    from deploy.broker import broker as serve_broker
    from deploy.work import work

    share_with_group()
    listener = listen(settings.web_host, settings.web_port)
    bound = settings.model_copy(update={"web_port": listener.getsockname()[1]})
    async with open_core(bound, Catalogue.load(bound.repositories_file)) as core:
        environment = await open_environment(bound)
        slack = chat.slack(core)
        platforms = [platform for platform in (slack, chat.discord(core)) if platform is not None]
        try:
            async with (
                serve_broker(core),
                pages.web(core, listener, environment=environment, slack=slack),
                asyncio.TaskGroup() as group,
            ):
                group.create_task(work(core, environment), name="worker")
                if platforms:
                    group.create_task(chat.side_by_side(core, platforms), name="chat")
                await _greet(core, chats=bool(platforms))
        finally:
            await environment.aclose()


async def _greet(core: Core, *, chats: bool) -> None:
    """Says where to go; in the embedded set-up with a link that signs its owner in."""
    from companion_web.sign_in import one_time_link, owner

    if not chats:
        print("No chat is set up (no SLACK_BOT_TOKEN, no DISCORD_BOT_TOKEN): use the companion page.")
    if core.settings.embedded:
        person = await owner(core.directory, "Owner")
        link = await one_time_link(core.directory, core.settings.page_address, person)
        print(f"Sign in, once: {link}")
    else:
        print(f"Companion page: {core.settings.page_address}")


PROCESSES: Mapping[str, Callable[[Settings], Coroutine[None, None, None]]] = {
    "up": up,
    "bot": bot,
    "web": web,
    "broker": broker,
    "worker": worker,
}
"""The processes by the names under which they are started."""
