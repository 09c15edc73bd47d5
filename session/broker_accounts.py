"""What the broker does about people's GitHub accounts and about stored secrets, and typed calls for it.

No token and no stored secret ever comes back: the broker gives names, logins and handles.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from session.broker import Broker, Nothing
from session.people import Declared, Identity

DEVICE_WAIT_SECONDS = 50.0
"""How long the broker holds one `account.device_wait` at most."""

SECRET_NAME = r"^[A-Z][A-Z0-9_]{0,63}$"
MAX_SECRET_CHARACTERS = 16_384


class SignIn(Declared):
    """What GitHub's sign-in page sent back. `organisations`: members of any of these are let in."""

    code: str = Field(repr=False)
    verifier: str = Field(repr=False)
    redirect_uri: str
    organisations: tuple[str, ...] = ()


class SignedIn(Declared):
    """Who signed in. `member`: of one of the organisations asked about; `grant` stands for their tokens,
    which the broker holds for ten minutes."""

    user_id: int
    login: str
    name: str | None
    member: bool
    grant: str = Field(repr=False)


class Keep(Declared):
    """The tokens of a grant become a person's."""

    person_id: str
    grant: str = Field(repr=False)


class OfPerson(Declared):
    """Whose account is meant."""

    person_id: str


class Linked(Declared):
    """The person's login on GitHub, None when no account is linked."""

    login: str | None


class DeviceCode(Declared):
    """A code to enter at an address, good for `expires_in` seconds. `handle` is what to wait with;
    `interval` is the broker's business with GitHub, in seconds."""

    handle: str = Field(repr=False)
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float


class OfDevice(Declared):
    """Which code is waited for."""

    handle: str = Field(repr=False)


class DeviceOutcome(Declared):
    """The linked login, or a sentence that says why there is none; neither: it has not been entered yet."""

    login: str = ""
    refusal: str = ""

    @property
    def waiting(self) -> bool:
        """Whether to ask again."""
        return not (self.login or self.refusal)


class Names(Declared):
    """Names of stored secrets, sorted."""

    names: tuple[str, ...]


class SecretValue(Declared):
    """A secret to be kept under a name, in place of what was there. `by` goes on record: who asked the part
    that asks the broker, by id of the person."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(pattern=SECRET_NAME)
    value: str = Field(min_length=1, max_length=MAX_SECRET_CHARACTERS, repr=False)
    by: str = ""


class SecretName(Declared):
    """Which secret is meant; `by` as with its value."""

    name: str
    by: str = ""


class Resealed(Declared):
    """How many secrets were sealed under an older key and are not any more."""

    count: int


class GitHubAccounts:
    """People's GitHub accounts, as the broker keeps them. Every call raises BrokerDown and BrokerRefused."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def exchange(
        self, code: str, verifier: str, redirect_uri: str, organisations: tuple[str, ...] = ()
    ) -> SignedIn:
        """Who came back from GitHub's sign-in page with that code."""
        asked = SignIn(code=code, verifier=verifier, redirect_uri=redirect_uri, organisations=organisations)
        return await self._broker.call("account.exchange", asked, SignedIn)

    async def keep(self, person_id: str, grant: str) -> None:
        """From now on the broker acts as that account for the person, and the directory knows the login."""
        await self._broker.call("account.keep", Keep(person_id=person_id, grant=grant), Nothing)

    async def unlink(self, person_id: str) -> None:
        """The broker forgets the person's tokens, and the directory the login."""
        await self._broker.call("account.unlink", OfPerson(person_id=person_id), Nothing)

    async def linked(self, person_id: str) -> str | None:
        """The login of the person's linked account, None when there is none."""
        answer = await self._broker.call("account.linked", OfPerson(person_id=person_id), Linked)
        return answer.login

    async def device_start(self, person_id: str) -> DeviceCode:
        """A code with which the person links their account from any browser.

        Source: GitHub Docs, "Authorizing OAuth apps", device flow; RFC 8628.
        """
        return await self._broker.call("account.device_start", OfPerson(person_id=person_id), DeviceCode)

    async def device_wait(self, handle: str) -> DeviceOutcome:
        """What became of the code: once it was entered, the account is the person's as after `keep`.
        Returns after `DEVICE_WAIT_SECONDS` at the latest, waiting or not."""
        return await self._broker.call(
            "account.device_wait", OfDevice(handle=handle), DeviceOutcome, seconds=DEVICE_WAIT_SECONDS + 15
        )


class StoredSecrets:
    """Secrets that the broker uses in requests of boxes; their values go in and never come out.

    Every call raises BrokerDown and BrokerRefused.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def names(self) -> tuple[str, ...]:
        """The names there are."""
        return (await self._broker.call("secret.names", Nothing(), Names)).names

    async def set(self, name: str, value: str, by: str = "") -> None:
        """Keep the value under that name. Raises: ValueError, for a name or value that cannot be one."""
        await self._broker.call("secret.set", SecretValue(name=name, value=value, by=by), Nothing)

    async def delete(self, name: str, by: str = "") -> None:
        """Forget it."""
        await self._broker.call("secret.delete", SecretName(name=name, by=by), Nothing)

    async def rotate(self) -> int:
        """Seal everything under the newest SECRET_KEY; how many were sealed under another."""
        return (await self._broker.call("secret.rotate", Nothing(), Resealed)).count


def github_identity(github_url: str, user_id: int, login: str, name: str | None) -> Identity:
    """A GitHub account as the directory knows it; its commits carry GitHub's no-reply address."""
    host = urlsplit(github_url).hostname or "github.com"
    return Identity(
        platform="github",
        workspace=host,
        account=str(user_id),
        name=name or login,
        email=f"{user_id}+{login}@users.noreply.{host}",
    )
