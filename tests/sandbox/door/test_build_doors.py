"""The door of a build: the repository's policy and no one's session, as the audit shows."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from sandbox.broker.door.doors import Doors
from session.catalogue import UnknownRepository
from session.people import Person
from session.policy import EgressRule
from tests.sandbox.door.relay import relay
from tests.sandbox.door.stage import HOST, SESSION, Stage, stage

BUILD = "build-1a2b"


@asynccontextmanager
async def build_client(s: Stage, doors: Doors | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client in the box of a build."""
    directory = await (doors or s.doors).open_for_build("ACME/billing", BUILD, {})
    trust = ssl.create_default_context(cafile=str(directory / "authority.pem"))
    async with relay(directory / "door.sock") as port:
        proxy = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(proxy=proxy, verify=trust, trust_env=False, timeout=60) as client:
            yield client


async def test_a_build_reads_what_its_repository_s_policy_names_and_the_audit_says_which() -> None:
    async with stage(secrets={"DB": "hunter2hunter2"}, box_secrets=("DB",)) as s, build_client(s) as client:
        assert (await client.get(s.url())).status_code == 200
        refused = await client.get(s.url(host="other.example.com"))
        assert refused.status_code == 403
        assert "A person can allow it" not in refused.text
        (allowed, denied) = [row.entry for row in await s.audited()]
        assert (allowed.actor, allowed.session_id, allowed.outcome) == (f"build {BUILD}", "", "allowed")
        assert (allowed.detail["repository"], denied.outcome) == ("acme/billing", "refused")
        assert await s.read_from() == [], "no session's log hears of it"
        assert not list((s.home / "doors" / BUILD / "secrets").iterdir())


async def test_a_build_of_a_private_repository_carries_nothing_out() -> None:
    def egress(port: int) -> list[EgressRule]:
        return [EgressRule(host=HOST, port=port, methods=("GET", "POST"))]

    async with stage(egress) as s, build_client(s) as client:
        # What people allowed in a session is that session's.
        await s.allow(f"POST {HOST}:{s.upstream.port}")
        assert (await s.ask("POST")).status_code == 200
        refused = await client.post(s.url(), content=b"the repository")
        assert refused.status_code == 403
        assert "the build has read what strangers can write" in refused.text
    async with stage(egress, public=True) as s, build_client(s) as client:
        assert (await client.post(s.url(), content=b"x")).status_code == 200


async def test_a_build_s_door_is_served_again_and_ends_with_the_box() -> None:
    async with stage() as s:
        async with build_client(s):
            pass
        await s.doors.aclose()
        again = Doors(s.home / "doors", s.parts)
        try:
            await again.restore()
            async with build_client(s, again) as client:
                assert (await client.get(s.url())).status_code == 200
            await again.close(BUILD)
            assert not (s.home / "doors" / BUILD).exists()
        finally:
            await again.aclose()


async def test_while_all_work_is_halted_a_build_reaches_nothing() -> None:
    async with stage() as s, build_client(s) as client:
        await s.switch.engage(Person(id="p_ada", name="Ada"), "an odd request")
        with pytest.raises(httpx.ProxyError, match="503"):
            await client.get(s.url())


async def test_a_build_cannot_take_a_session_s_door_nor_one_of_a_stranger_s_repository() -> None:
    async with stage() as s:
        with pytest.raises(ValueError, match="no name of a build's box"):
            await s.doors.open_for_build("acme/billing", "bellhop-s1", {})
        with pytest.raises(UnknownRepository):
            await s.doors.open_for_build("acme/elsewhere", BUILD, {})
        build = await s.doors.open_for_build("acme/billing", BUILD, {})
        before = (build / "authority.pem").read_text()
        assert (await s.doors.open(SESSION, BUILD, {}) / "authority.pem").read_text() != before
