"""No form of an address leads into the house: names are looked up once, and every answer is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from sandbox.broker.door.addresses import NotReachable, permitted, reachable
from session.policy import EgressRule
from tests.sandbox.door.stage import BOX, HOST, stage
from tests.sandbox.door.upstream import Reply

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1",
    "ff02::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:1::1", "::127.0.0.1", "fec0::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_public_is_not_permitted(address: str) -> None:
    assert not permitted(ip_address(address), ())


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_a_public_address_is_permitted(address: str) -> None:
    assert permitted(ip_address(address), ())


def test_a_network_that_is_named_is_permitted_but_not_what_only_leads_there() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("::/0"))
    assert permitted(ip_address("10.1.2.3"), networks)
    assert not permitted(ip_address("::ffff:10.1.2.3"), networks)
    assert not permitted(ip_address("fe80::1%eth0"), networks)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "127.0.1", "1.2.3.4.5", "127.0.0.1",
     "8.8.8.8", "::1", "::ffff:8.8.8.8", "localhost", "registry", "a..b", "host.", "-a.b", "a b.c",
     "example.com.0x7f"],
)  # fmt: skip
async def test_an_address_in_any_form_and_half_a_name_are_refused(host: str) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError("it was looked up")

    with pytest.raises(NotReachable):
        await reachable(host, 443, (), never)


async def test_an_address_that_is_written_out_is_reached_only_in_a_named_network() -> None:
    assert await reachable("10.0.0.1", 443, (ip_network("10.0.0.0/8"),)) == ("10.0.0.1",)


async def test_one_bad_address_among_several_is_enough() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(NotReachable):
        await reachable("rebind.example.com", 443, (), both)


async def test_a_host_that_leads_inside_is_refused_though_a_rule_names_it() -> None:
    async with stage(networks=()) as s:
        answer = await s.ask()
        assert answer.status_code == 403
        assert "EGRESS_NETWORKS" in answer.text
        assert s.upstream.connections == 0
        assert not s.doors.refusals(BOX, 0)[0].allowable
        assert [row.entry.outcome for row in await s.audited()] == ["allowed", "refused"]


async def test_a_name_is_looked_up_once_for_a_connection() -> None:
    async with stage() as s, s.client() as client:
        for _ in range(3):
            await client.get(s.url())
        assert s.resolved == [HOST]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_an_address_needs_a_rule_of_its_own(host: str) -> None:
    async with stage(tls=False) as s:
        await s.allow(f"GET {host.strip('[]')}:{s.upstream.port}")
        reader, writer = await asyncio.open_unix_connection(str(s.directory / "door.sock"))
        writer.write(f"GET {s.url(host=host, scheme='http')} HTTP/1.0\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 403")
        writer.close()
        assert s.upstream.connections == 0


async def test_an_address_with_a_rule_in_a_named_network_is_reached() -> None:
    async with stage(lambda port: [EgressRule(host="127.0.0.1", port=port)], tls=False) as s:
        assert (await s.ask(host="127.0.0.1", scheme="http")).status_code == 200
    async with stage(lambda port: [EgressRule(host="127.0.0.1", port=port)], tls=False, networks=()) as s:
        assert (await s.ask(host="127.0.0.1", scheme="http")).status_code == 403


async def test_a_redirect_is_the_client_s_to_follow_through_the_door() -> None:
    async with stage() as s, s.client(follow_redirects=True) as client:
        away = f"https://169.254.169.254:{s.upstream.port}/latest"
        s.upstream.reply = lambda got: Reply(status=302, headers=(("Location", away),))
        answer = await client.get(s.url())
        assert (answer.status_code, str(answer.url)) == (403, away)
