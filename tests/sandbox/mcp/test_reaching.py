"""Where the broker connects to for a tool server, and where it does not."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.broker.mcp_transport import AddressRefused, AnswerRefused, PinnedTransport, address_of
from tests.emulators.mcp.emulator import HOST, McpEmulator
from tests.sandbox.mcp.stage import LOOPBACK, staged, tracker


def emulator() -> McpEmulator:
    """A server with one tool."""
    server = McpEmulator()
    server.offer("close", "Close a ticket.")
    return server


async def test_a_private_address_is_refused_unless_its_network_is_named() -> None:
    server = emulator()
    async with server.serving() as url:
        async with staged(tracker(url), networks=()) as stage:
            (problem,) = (await stage.offered(await stage.session())).problems
            assert "EGRESS_NETWORKS" in problem
            assert server.requests == 0
        async with staged(tracker(url), networks=LOOPBACK) as stage:
            assert (await stage.offered(await stage.session())).problems == ()


async def test_an_answer_that_leads_elsewhere_is_not_followed() -> None:
    server, thief = emulator(), emulator()
    async with server.serving() as url, thief.serving() as elsewhere, staged(tracker(url)) as stage:
        server.redirect = elsewhere
        assert (await stage.offered(await stage.session())).tools == ()
        assert thief.requests == 0


@pytest.mark.parametrize(
    ("url", "addresses", "why"),
    [
        ("http://tools.acme.test/mcp", ["93.184.216.34"], "https://"),
        ("ftp://tools.acme.test/mcp", ["93.184.216.34"], "https://"),
        ("https://user:word@tools.acme.test/mcp", ["93.184.216.34"], "without a password"),
        ("https://tools.acme.test/mcp", ["169.254.169.254"], "not public"),
        ("https://tools.acme.test/mcp", ["93.184.216.34", "10.0.0.1"], "not public"),
        ("https://tools.acme.test/mcp", ["::ffff:10.0.0.1"], "not public"),
        ("https://tools.acme.test/mcp", ["64:ff9b::a00:1"], "not public"),
        ("https://2130706433/mcp", ["127.0.0.1"], "unusual form"),
        ("https://tools/mcp", ["93.184.216.34"], "not a full host name"),
    ],
)
async def test_addresses_that_are_refused(url: str, addresses: list[str], why: str) -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    with pytest.raises(AddressRefused, match=why):
        await address_of(httpx2.URL(url), (ip_network("192.168.7.0/24"),), resolver)


async def test_a_request_to_another_origin_is_refused_by_the_transport() -> None:
    transport = PinnedTransport(httpx2.URL("http://tools.acme.test:1/mcp"), "127.0.0.1", ())
    async with httpx2.AsyncClient(transport=transport) as client:
        for url in (
            "http://other.acme.test:1/mcp",
            "https://tools.acme.test:1/mcp",
            "http://tools.acme.test:2/",
        ):
            with pytest.raises(AnswerRefused, match="another server"):
                await client.get(url)


async def test_tls_is_checked_against_the_name_although_the_address_is_pinned(tmp_path: Path) -> None:
    server = emulator()
    pem = _certificate(tmp_path / "server.pem", HOST)
    other = _certificate(tmp_path / "other.pem", "other.acme.test")
    async with server.serving(pem) as url:
        async with staged(tracker(url), tls=ssl.create_default_context(cafile=pem)) as stage:
            session_id = await stage.session()
            assert (await stage.call(session_id, "mcp__tracker__close")).text == "done"
        before = server.requests
        async with staged(tracker(url), tls=ssl.create_default_context(cafile=other)) as stage:
            (problem,) = (await stage.offered(await stage.session())).problems
            assert "its certificate is not trusted" in problem
            assert server.requests == before


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    server = emulator()
    pem = _certificate(tmp_path / "server.pem", "other.acme.test")
    async with (
        server.serving(pem) as url,
        staged(tracker(url), tls=ssl.create_default_context(cafile=pem)) as stage,
    ):
        (problem,) = (await stage.offered(await stage.session())).problems
        assert "not for this name" in problem
        assert server.requests == 0


def _certificate(path: Path, host: str) -> Path:
    """A file with a certificate for the host, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path
