"""`bellhop doctor`: asks every outside part whether it answers, and says what to do where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai

from deploy.credentials import open_forge
from deploy.doctor_of_discord import discord_finding
from deploy.doctor_of_governance import GOVERNANCE_CHECKS
from deploy.doctor_of_hosts import HOST_CHECKS
from deploy.doctor_of_sandboxes import SANDBOX_CHECKS
from deploy.doctor_of_slack import SLACK_CHECKS
from deploy.finding import Check, Finding
from deploy.secret_key import secret_key
from sandbox.agent.provider_client import provider_client
from sandbox.forge.protocol import ForgeError
from session.catalogue import Catalogue, CatalogueError
from session.database import Database, DatabaseDown
from session.queue import Queue
from session.settings import Settings, SettingsError

_PATIENCE_SECONDS, _BOX_PATIENCE_SECONDS = 10, 60
"""A box is started for one check, which on a busy host takes longer than any answer."""

_GITHUB = ("GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET")

_REPOSITORY_LINE = (
    "one line for each repository, as - {slug: acme/web, forge: github, url: https://github.com/acme/web}"
)
_NO_TRANSCRIPTION = (
    "answers, but does not offer {model}, so voice clips are not heard. Set TRANSCRIPTION_MODEL to one that "
    "it offers"
)
_NO_MODEL = (
    "OPENAI_API_KEY is missing, and without a model no work can be done. Set it to your provider's key, and "
    "OPENAI_BASE_URL where that is not OpenAI. To look round without one, use `bellhop demo`"
)


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """A finding about each part, as they come; no check can hold up the others for long."""
    for part, check in _CHECKS.items():
        seconds = _BOX_PATIENCE_SECONDS if part == "runtime" else _PATIENCE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                found = await check(settings)
        except TimeoutError:
            wrong = f"did not answer within {seconds} s"
            found = Finding(part, False, f"{wrong}. See whether it runs and can be reached from here")
        # Outside of the limit: what whoever asked does with it is no part of the check.
        yield found


async def _key(settings: Settings) -> Finding:
    try:
        secret_key(settings)
    except SettingsError as error:
        return Finding("secret key", False, str(error))
    where = "set" if settings.secret_key else f"made, and kept in {settings.bellhop_home / 'secret.key'}"
    return Finding("secret key", True, where)


async def _catalogue(settings: Settings) -> Finding:
    path = settings.repositories_file.absolute()
    if not path.exists():
        sentence = (
            f"there is no {path}. Write it, or let REPOSITORIES_FILE be the path of yours; {_REPOSITORY_LINE}"
        )
        return Finding("catalogue", False, sentence)
    try:
        catalogue = Catalogue.load(settings.repositories_file)
    except CatalogueError as error:
        return Finding("catalogue", False, str(error))
    if not catalogue.active:
        sentence = f"{path} lists no repository to work in. Add some; {_REPOSITORY_LINE}"
        return Finding("catalogue", False, sentence)
    count = len(catalogue.active)
    return Finding("catalogue", True, f"{count} {'repository' if count == 1 else 'repositories'} in {path}")


async def _database(settings: Settings) -> Finding:
    try:
        database = await Database.open(settings.database_address)
    except DatabaseDown as error:
        return Finding("database", False, f"{error}. Check DATABASE_URL")
    try:
        await database.clock()
    except DatabaseDown as error:
        return Finding("database", False, f"{error}. Check DATABASE_URL")
    finally:
        await database.aclose()
    if not settings.database_url:
        file = settings.bellhop_home / "bellhop.db"
        return Finding("database", True, f"the file {file} (DATABASE_URL is empty)")
    return Finding("database", True, "answers")


async def _redis(settings: Settings) -> Finding:
    if not settings.redis_url:
        return Finding("redis", True, "the bundled server is used (REDIS_URL is empty)")
    async with Queue(settings.redis_url) as queue:
        wrong = await queue.check()
    if wrong is not None:
        return Finding("redis", False, f"{wrong}. Check REDIS_URL")
    return Finding("redis", True, "answers")


async def _model(settings: Settings) -> Finding:
    if not settings.openai_api_key:
        return Finding("model", False, _NO_MODEL)
    async with provider_client(
        settings.openai_base_url, settings.openai_api_key, timeout_seconds=8
    ) as client:
        try:
            known = {model.id async for model in client.models.list()}
        except openai.AuthenticationError:
            return Finding("model", False, "the key is refused. Check OPENAI_API_KEY and OPENAI_BASE_URL")
        except openai.OpenAIError as error:
            where = settings.openai_base_url
            wrong = f"{where} does not answer ({type(error).__name__}): {str(error).rstrip('.')}"
            return Finding(
                "model", False, f"{wrong}. Check OPENAI_BASE_URL, and that it can be reached from here"
            )
    offered = [part.strip() for part in settings.offered_models.split(",") if part.strip()]
    wanted = {
        "AGENT_MODEL": [settings.agent_model],
        "CLASSIFIER_MODEL": [settings.classifier_model],
        "OFFERED_MODELS": offered,
    }
    missing = {name: absent for name, models in wanted.items() if known and (absent := {*models} - known)}
    if missing:
        names = ", ".join(sorted({each for absent in missing.values() for each in absent}))
        return Finding("model", False, f"does not offer {names}. Check {' and '.join(missing)}")
    if known and settings.transcription_model not in known:
        return Finding("model", None, _NO_TRANSCRIPTION.format(model=settings.transcription_model))
    return Finding("model", True, f"answers, and offers {settings.agent_model}")


async def _forges(settings: Settings) -> Finding:
    try:
        catalogue = Catalogue.load(settings.repositories_file)
    except CatalogueError:
        return Finding(
            "forge", None, "not looked at: which ones are used stands in the catalogue. Mend that first"
        )
    names = sorted({repository.forge for repository in catalogue.active})
    missing = [name for name in _GITHUB if not getattr(settings, name.lower())] if "github" in names else []
    if missing:
        sentence = (
            f"GitHub needs {', '.join(missing)}: without, nobody can be known there and nothing published. "
            "Make a GitHub App as README.md says under 'Set it up for your team'"
        )
        return Finding("forge", False, sentence)
    for name in names:
        try:
            await open_forge(name, settings).check()
        except ForgeError as error:
            return Finding("forge", False, str(error))
    return Finding(
        "forge", True if names else None, f"answers: {', '.join(names)}" if names else "none in use"
    )


_CHECKS: dict[str, Check] = {
    "secret key": _key,
    "catalogue": _catalogue,
    "database": _database,
    "redis": _redis,
    **SANDBOX_CHECKS,
    "model": _model,
    "forge": _forges,
    **SLACK_CHECKS,
    "discord": discord_finding,
    **GOVERNANCE_CHECKS,
    **HOST_CHECKS,
}
