"""The bot's side: platforms, their inboxes and their feeds."""

from __future__ import annotations

import asyncio

from bot.counter import Counter
from bot.inbox import ChatInbox
from bot.messages import Choice
from bot.platforms.protocol import Platform
from bot.platforms.slack.platform import SlackAccount, SlackPlatform
from bot.reactions import ReactionTable
from bot.session_feed import FeedRooms
from bot.thread_feed import ThreadFeed
from bot.thread_posts import ThreadPosts
from deploy.core import Core
from session.broker_accounts import GitHubAccounts


def choices(core: Core) -> tuple[Choice, ...]:
    """The repositories as menu entries."""
    return tuple(
        Choice(value=repository.slug, label=repository.slug, description=repository.description)
        for repository in core.catalogue.active
    )


def slack(core: Core) -> SlackPlatform | None:
    """Slack, where it is set up. Without an app-level token events come over HTTP."""
    settings = core.settings
    if not settings.slack_bot_token:
        return None
    account = SlackAccount(
        bot_token=settings.slack_bot_token,
        app_token=settings.slack_app_token or None,
        # Two secrets, parted by a comma, are valid at once while one is replaced.
        signing_secrets=tuple(
            part.strip() for part in settings.slack_signing_secret.split(",") if part.strip()
        ),
        api_url=settings.slack_api_url,
    )
    return SlackPlatform(account, choices(core))


async def listen(core: Core, platform: Platform) -> None:
    """Brings what people do on the platform to the session room, until cancelled."""
    counter = Counter(
        platform=platform,
        log=core.log,
        commands=core.commands,
        directory=core.directory,
        messages=core.messages,
        reactions=ReactionTable.standard(),
        customs=core.customs,
        repositories=choices(core),
        mentions_required=core.settings.mentions_required,
        public_url=core.settings.page_address,
    )
    async with asyncio.TaskGroup() as waiting:
        await platform.run(ChatInbox(counter, GitHubAccounts(core.broker), waiting, core.warming))


async def tell(core: Core, platform: Platform) -> None:
    """Shows on the platform what happens in its sessions, until cancelled."""
    rooms = FeedRooms(core.log, core.outbox, core.effects, core.messages, core.pulse, core.customs.people)
    posts = ThreadPosts(public_url=core.settings.page_address, repositories=choices(core))
    feed = ThreadFeed(platform, rooms, posts, interval_seconds=core.settings.feed_interval_seconds)
    await feed.run()


async def chat(core: Core, platform: Platform) -> None:
    """Listens and tells, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(listen(core, platform), name=f"{platform.name} inbox")
        group.create_task(tell(core, platform), name=f"{platform.name} feed")
