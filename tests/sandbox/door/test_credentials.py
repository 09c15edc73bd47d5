"""The real credential goes out in its header, nowhere else, and never comes back; the box's own stay in."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from session.policy import EgressRule, SecretUse
from tests.sandbox.door.stage import BOX, HOST, stage
from tests.sandbox.door.upstream import Got, Reply

SECRET = "s3cr3t/with+signs=and-length"
PLACEHOLDER = "bellhop-placeholder-API_KEY"
METHODS = ("GET", "POST")


def keyed(port: int) -> list[EgressRule]:
    return [EgressRule(host=HOST, port=port, methods=METHODS, credential=SecretUse(secret="API_KEY"))]


def echo(got: Got) -> Reply:
    sent = got.headers.get("authorization", "nothing").removeprefix("Bearer ")
    forms = [
        sent,
        base64.b64encode(sent.encode()).decode(),
        base64.b64encode(b"me:" + sent.encode()).decode(),
        quote(sent, safe=""),
        quote(sent, safe="").lower(),
        sent.encode().hex(),
        sent.replace("/", "\\/"),
    ]
    text = " | ".join(forms).encode()
    return Reply(headers=(("X-Echo", sent), ("Set-Cookie", "a=b")), body=text)


@pytest.mark.parametrize(
    "sent", [{}, {"Authorization": f"Bearer {PLACEHOLDER}"}, {"authorization": PLACEHOLDER}]
)
async def test_the_credential_takes_the_place_of_its_placeholder(sent: dict[str, str]) -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        assert (await s.ask(headers=sent)).status_code == 200
        assert s.upstream.got[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_a_placeholder_in_a_basic_credential_is_known_too() -> None:
    sent = base64.b64encode(f"me:{PLACEHOLDER}".encode()).decode()
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        assert (await s.ask(headers={"Authorization": f"Basic {sent}"})).status_code == 200
        assert s.upstream.got[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_the_box_s_own_credential_is_dropped_and_not_replaced() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        assert (await s.ask(headers={"Authorization": "Bearer attacker"})).status_code == 200
        assert "authorization" not in s.upstream.got[0].headers


@pytest.mark.parametrize(
    "header",
    ["Authorization", "Cookie", "X-Api-Key", "Api-Key", "Private-Token", "X-Auth-Token",
     "Proxy-Authorization", "X-Amz-Security-Token", "X-HTTP-Method-Override"],
)  # fmt: skip
async def test_no_credential_of_the_box_leaves(header: str) -> None:
    async with stage() as s:
        assert (await s.ask(headers={header: "attacker", "X-Plain": "stays"})).status_code == 200
        assert header.lower() not in s.upstream.got[0].headers
        assert s.upstream.got[0].headers["x-plain"] == "stays"


async def test_the_encoding_is_identity_and_connection_headers_end_at_the_door() -> None:
    async with stage() as s:
        await s.ask(
            headers={"Accept-Encoding": "gzip", "Connection": "x-mine", "X-Mine": "1", "Upgrade": "h2c"}
        )
        headers = s.upstream.got[0].headers
        assert headers["accept-encoding"] == "identity"
        assert not {"x-mine", "upgrade", "connection"} & set(headers)


async def test_nothing_is_replaced_in_body_and_query() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        await s.ask("POST", f"/?key={PLACEHOLDER}", content=PLACEHOLDER.encode())
        assert PLACEHOLDER in s.upstream.got[0].target
        assert s.upstream.got[0].body == PLACEHOLDER.encode()


@pytest.mark.parametrize("header", ["Authorization", "X-Other"])
async def test_a_placeholder_that_is_not_for_there_is_refused_by_name(header: str) -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET, "OTHER": "o"}) as s:
        answer = await s.ask(headers={header: "Bearer bellhop-placeholder-OTHER"})
        assert answer.status_code == 403
        assert "the placeholder of OTHER" in answer.text
        assert s.upstream.connections == 0
        assert not s.doors.refusals(BOX, 0)[0].allowable


async def test_a_rule_whose_secret_is_not_set_says_so() -> None:
    async with stage(keyed) as s:
        answer = await s.ask()
        assert answer.status_code == 403
        assert "bellhop secrets set API_KEY" in answer.text
        assert s.upstream.connections == 0


async def test_a_credential_never_goes_out_in_the_clear() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}, tls=False) as s:
        assert (await s.ask(scheme="http")).status_code == 403
        assert s.upstream.connections == 0


async def test_the_secret_does_not_come_back_in_any_form() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        s.upstream.reply = echo
        answer = await s.ask()
        plain = echo(Got("GET", "/", {"authorization": f"Bearer {SECRET}"}, b""))
        assert len(answer.content) == len(plain.body)
        for form in plain.body.decode().split(" | "):
            assert form[4:-4] not in answer.text
        assert answer.headers["x-echo"] == "*" * len(SECRET)
        assert "set-cookie" not in answer.headers


async def test_the_secret_does_not_come_back_across_the_borders_of_chunks() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        pieces = tuple(bytes([byte]) for byte in f"before {SECRET} after".encode())
        s.upstream.reply = lambda got: Reply(pieces=pieces)
        assert (await s.ask()).text == f"before {'*' * len(SECRET)} after"


async def test_the_password_in_a_basic_credential_does_not_come_back() -> None:
    use = SecretUse(secret="API_KEY", form="Basic {}")
    value = base64.b64encode(b"me:passw0rd!").decode()
    rules = [EgressRule(host=HOST, credential=use)]
    async with stage(
        lambda port: [each.model_copy(update={"port": port}) for each in rules], secrets={"API_KEY": value}
    ) as s:
        s.upstream.reply = lambda got: Reply(body=b"your password is passw0rd!")
        assert (await s.ask()).text == "your password is *********"
        assert s.upstream.got[0].headers["authorization"] == f"Basic {value}"


async def test_an_answer_that_cannot_be_looked_through_is_kept_out() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        s.upstream.reply = lambda got: Reply(headers=(("Content-Encoding", "gzip"),))
        assert (await s.ask()).status_code == 502


async def test_a_part_of_an_answer_cannot_be_asked_for_where_secrets_are() -> None:
    async with stage(keyed, secrets={"API_KEY": SECRET}) as s:
        await s.ask(headers={"Range": "bytes=0-3"})
        assert "range" not in s.upstream.got[0].headers
