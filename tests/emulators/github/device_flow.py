"""The emulated GitHub's device flow: codes that people type in while a program asks again and again.

Source: GitHub Docs, "Authorizing OAuth apps", device flow; RFC 8628.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from tests.emulators.github.state import User, World

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
EXPIRES_SECONDS = 899
SLOWER_SECONDS = 5
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class DeviceRefused(Exception):
    """No token for that code (yet); `error` is GitHub's word for why."""

    def __init__(self, error: str, description: str, interval: float | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.interval = interval


@dataclass
class DeviceGrant:
    """A pair of codes: the program's and the person's. `asked_at` is when the program asked last."""

    device_code: str
    user_code: str
    interval: float
    asked_at: float
    user: User | None = None
    denied: bool = False
    expired: bool = False
    spent: bool = False


class DeviceFlow:
    """Gives out codes. `interval` is the least number of seconds between two questions about one of them."""

    def __init__(self, world: World, violations: list[str]) -> None:
        self.interval: float = 5
        self.enabled = True
        self.grants: dict[str, DeviceGrant] = {}
        self._world = world
        self._violations = violations

    # What people do on GitHub's page

    def enter(self, user_code: str, login: str) -> None:
        """Somebody types the code in and says yes."""
        self._open(user_code).user = self._world.users[login.lower()]

    def deny(self, user_code: str) -> None:
        """Somebody types the code in and says no."""
        self._open(user_code).denied = True

    def expire(self, user_code: str) -> None:
        """The code's time is over."""
        self._open(user_code).expired = True

    def _open(self, user_code: str) -> DeviceGrant:
        found = [grant for grant in self.grants.values() if grant.user_code == user_code]
        assert found, f"GitHub gave out no code {user_code}"
        return found[0]

    # What programs ask

    def codes(self, form: Mapping[str, str]) -> dict[str, str | float]:
        """A new pair of codes. Raises: DeviceRefused."""
        if form.get("client_id") != self._world.app.client_id:
            raise DeviceRefused("Not Found", "No such application")
        if not self.enabled:
            raise DeviceRefused("device_flow_disabled", "Device Flow must be explicitly enabled for this App")
        if "client_secret" in form:
            self._violations.append("device flow: the client secret was sent where it is not needed")
        word = "".join(secrets.choice(LETTERS) for _ in range(8))
        grant = DeviceGrant(
            secrets.token_hex(20), f"{word[:4]}-{word[4:]}", self.interval, asked_at=time.monotonic()
        )
        self.grants[grant.device_code] = grant
        return {
            "device_code": grant.device_code,
            "user_code": grant.user_code,
            "verification_uri": "https://github.com/login/device",
            "expires_in": EXPIRES_SECONDS,
            "interval": grant.interval,
        }

    def user_of(self, form: Mapping[str, str]) -> User:
        """Who typed the code in; it works once. Raises: DeviceRefused."""
        if form.get("client_id") != self._world.app.client_id:
            raise DeviceRefused("incorrect_client_credentials", "The client_id passed is incorrect.")
        grant = self.grants.get(form.get("device_code", ""))
        if grant is None or grant.spent:
            raise DeviceRefused("incorrect_device_code", "The device_code provided is not valid.")
        self._pace(grant)
        if grant.expired:
            raise DeviceRefused("expired_token", "The device_code has expired.")
        if grant.denied:
            raise DeviceRefused("access_denied", "The authorization request was denied.")
        if grant.user is None:
            raise DeviceRefused(
                "authorization_pending", "The authorization request is still pending.", grant.interval
            )
        grant.spent = True
        return grant.user

    def _pace(self, grant: DeviceGrant) -> None:
        now = time.monotonic()
        early = now - grant.asked_at < grant.interval
        grant.asked_at = now
        if early:
            grant.interval += SLOWER_SECONDS
            raise DeviceRefused("slow_down", "Too many requests have been made in time.", grant.interval)


def said(refused: DeviceRefused) -> dict[str, str | float]:
    """The refusal as GitHub words it, with status 200."""
    answer: dict[str, str | float] = {"error": refused.error, "error_description": str(refused)}
    return answer if refused.interval is None else {**answer, "interval": refused.interval}


async def form_of(request: web.Request) -> Mapping[str, str]:
    """The fields of a form or of a JSON body."""
    if request.content_type == "application/json":
        return {key: str(value) for key, value in (await request.json()).items()}
    return {key: str(value) for key, value in (await request.post()).items()}
