"""`bellhop secrets`: secrets stored through the broker; values go in by standard input and never come out."""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import ValidationError

from deploy.credentials import vault_over
from sandbox.broker.operations import application
from sandbox.broker.secret_desk import SecretDesk
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import VaultError
from session.audit import Audit
from session.broker import Broker, BrokerDown, BrokerRefused
from session.broker_accounts import SECRET_NAME, StoredSecrets
from session.database import Database
from session.secret_rows import SecretRows
from session.settings import Settings

_NO_NAME = (
    "A secret's name is made of capitals, digits and _ (EXAMPLE_TOKEN); its value comes by standard input"
)


async def secrets(settings: Settings, action: str, name: str) -> int:
    """Carries out `set`, `list`, `rotate` or `delete`; 0 when it was done. Raises: DatabaseDown."""
    try:
        async with _stored(settings) as stored:
            print(await _done(stored, action, name))
    except (BrokerDown, BrokerRefused) as error:
        print(f"bellhop: {error}", file=sys.stderr)
        return 1
    except ValidationError:
        print(f"bellhop: {_NO_NAME} (pattern: {SECRET_NAME})", file=sys.stderr)
        return 1
    return 0


async def _done(stored: StoredSecrets, action: str, name: str) -> str:
    match action:
        case "list":
            return "\n".join(await stored.names()) or "No secrets are stored."
        case "set":
            await stored.set(name, _value(name))
            return f"{name} is stored."
        case "delete":
            known = name in await stored.names()
            await stored.delete(name)
            return f"{name} is forgotten." if known else f"There was no secret called {name}."
    count = await stored.rotate()
    return f"{count} secrets were sealed under an older key; all are under the newest one now."


def _value(name: str) -> str:
    """Typed without being shown, or piped in; one line end at its end is not part of it."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Value of {name}: ")
    return sys.stdin.read().removesuffix("\n")


@asynccontextmanager
async def _stored(settings: Settings) -> AsyncIterator[StoredSecrets]:
    """The broker's; in the embedded set-up, while nothing runs, one of our own for as long as it takes."""
    async with AsyncExitStack() as stack:
        if settings.embedded and not await _answers(settings):
            database = await stack.enter_async_context(await Database.open(settings.database_address))
            await database.migrate()
            desk = SecretDesk(vault_over(settings, SecretRows(database)), Audit(database))
            app = application(desk.operations(), {VaultError: "vault"})
            await stack.enter_async_context(serving(app, settings.broker_address, {}))
        broker = await stack.enter_async_context(Broker(settings.broker_address))
        yield StoredSecrets(broker)


async def _answers(settings: Settings) -> bool:
    async with Broker(settings.broker_address) as broker:
        try:
            await StoredSecrets(broker).names()
        except BrokerDown:
            return False
        except BrokerRefused:
            return True
    return True
