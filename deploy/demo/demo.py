"""`bellhop demo`: the main job on embedded defaults, in a console thread, with nothing to set up."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bot.platforms.console.opening import open_console
from bot.platforms.console.platform import ConsolePlatform
from companion_web.sign_in import one_time_link, owner
from deploy import chat, pages
from deploy.boxes import open_environment
from deploy.broker import broker
from deploy.core import Core, open_core
from deploy.demo.model_server import ModelServer
from deploy.demo.player import Played, Player
from deploy.demo.rehearsal import AGENT, CLASSIFIER, RehearsedAgent, RehearsedClassifier
from deploy.demo.replies import Script
from deploy.demo.samples import own_catalogue, sample_catalogue
from deploy.demo.scenes import load_scenes
from deploy.web_server import listen
from deploy.work import work
from session.catalogue import Catalogue
from session.settings import Settings, SettingsError

_REHEARSAL_KEY = "rehearsal"
_REHEARSAL = """\
The model is a REHEARSAL: it plays recorded scripts for the sample repositories and understands nothing else.
Everything around it is real. Set OPENAI_API_KEY to work with a real model."""


async def demo(settings: Settings, repo: str | None) -> int:
    """0 when all went as it should. `repo` is a path or an address to work on a copy of, None: the samples.

    With a terminal it lets people chat until they leave; without one it plays three conversations.
    """
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    # The conversations that are played without a terminal are recorded, and need the model that knows them.
    rehearsed = not interactive or not settings.openai_api_key
    if repo and rehearsed:
        raise SettingsError(
            "REPO needs a terminal and a real model, since the rehearsal model knows the sample repositories "
            "only. Example: OPENAI_API_KEY=sk-… make demo REPO=../my-project"
        )
    print("Bellhop demo\n")
    async with _house(settings, repo, rehearsed, interactive) as (core, console, isolation):
        _introduce(core, rehearsed, isolation)
        if interactive:
            if rehearsed:
                print("It can play:\n" + "\n".join(f"  {scene.example}" for scene in load_scenes()[::-1]))
            await _sign_in(core)
            await console.left.wait()
            return 0
        return await _play(core, console)


@asynccontextmanager
async def _house(
    settings: Settings, repo: str | None, rehearsed: bool, interactive: bool
) -> AsyncIterator[tuple[Core, ConsolePlatform, str]]:
    """Everything in this process, on a home directory of the demo's own that starts empty."""
    home = settings.bellhop_home / "demo"
    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    async with AsyncExitStack() as stack:
        catalogue = await _catalogue(repo, home / "repositories")
        listener = stack.enter_context(_listener(settings))
        demo_settings = settings.model_copy(
            update={
                "bellhop_home": home,
                "database_url": "",
                "redis_url": "",
                "public_url": "",
                "secret_key": "",
                "web_host": "127.0.0.1",
                "web_port": listener.getsockname()[1],
                "feed_interval_seconds": 0.5,
                # A rehearsal of three requests is no time to build images.
                "image_interval_minutes": 0,
                "warm_boxes": 0,
            }
        )
        if rehearsed:
            demo_settings = await stack.enter_async_context(_rehearsal(demo_settings))
        core = await stack.enter_async_context(open_core(demo_settings, catalogue))
        print("Setting up the sandbox. With a container engine its image is built once, which takes minutes.")
        environment = await open_environment(demo_settings)
        stack.push_async_callback(environment.aclose)
        await stack.enter_async_context(pages.web(core, listener, environment=environment))
        await stack.enter_async_context(broker(core))
        console = open_console(sys.stdin, sys.stdout) if interactive else ConsolePlatform()
        tasks = [
            asyncio.create_task(work(core, environment), name="worker"),
            asyncio.create_task(chat.chat(core, console), name="console"),
        ]
        try:
            yield core, console, environment.isolation
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for box in await environment.list():
                await environment.remove(box.name)


async def _catalogue(repo: str | None, directory: Path) -> Catalogue:
    return await (own_catalogue(repo, directory) if repo else sample_catalogue(directory))


@asynccontextmanager
async def _rehearsal(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with the rehearsal model in place of a real one, while it is served."""
    scripts: dict[str, Script] = {AGENT: RehearsedAgent(load_scenes()), CLASSIFIER: RehearsedClassifier()}
    async with ModelServer(scripts, _REHEARSAL_KEY).serve() as base_url:
        yield settings.model_copy(
            update={
                "openai_api_key": _REHEARSAL_KEY,
                "openai_base_url": base_url,
                "agent_model": AGENT,
                "classifier_model": CLASSIFIER,
            }
        )


def _listener(settings: Settings) -> socket.socket:
    """The usual port, or any free one when it is taken: a demo should not fail over that."""
    try:
        return listen("127.0.0.1", settings.web_port)
    except SettingsError:
        return listen("127.0.0.1", 0)


def _introduce(core: Core, rehearsed: bool, isolation: str) -> None:
    print(_REHEARSAL if rehearsed else f"The model is {core.settings.agent_model}.")
    print(f"\nSandbox: {isolation}")
    print("Repositories: " + ", ".join(repository.slug for repository in core.catalogue.active))


async def _sign_in(core: Core) -> None:
    link = await one_time_link(core.directory, core.settings.page_address, await owner(core.directory, "Ada"))
    print(f"Companion page (the link signs you in, once): {link}\n")


async def _play(core: Core, console: ConsolePlatform) -> int:
    print(f"Companion page: {core.settings.page_address}\n\nThree conversations, played by Ada and Grace:")
    good = await Player(console, core.log, core.catalogue).play(_show)
    print("\nWhere to look further")
    for repository in core.catalogue.active:
        print(f"  git --git-dir {repository.url} log --all --graph --format='%h %an: %s%d'")
    print(f"  {core.settings.database_address}  holds every event of the three sessions")
    print("  make demo in a terminal lets you talk to it; make up runs it for your team (README.md)")
    ended = "All three conversations ended" if good else "NOT all conversations ended"
    print(f"\n{ended} as they should.")
    return 0 if good else 1


def _show(played: Played) -> None:
    line = "─" * 78
    print(f"\n{line}\n{played.title}\n{line}\n\n{played.thread}")
    if played.wrong is not None:
        print(f"\nNOT AS IT SHOULD: {played.wrong}")
