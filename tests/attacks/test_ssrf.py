"""Server-side request forgery.

asset: what only this machine and its network can reach: metadata services, databases, other people's pages.
attacker: code in a box, servers outside that answer it with names and redirects of their choice, and whoever
    attaches a file in chat.
path: an address in another form, a name that leads inside, now or later, a request that two readers read
    differently.
control: the door looks each name up once, looks at every address, connects to those and no other; refuses
    every target, host and length that can be read in two ways.

The "public" server stands at 127.0.0.2, which the setting of the door allows; everything else of this machine
is inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

from bot.platforms.attached import MOST_FILES
from bot.platforms.slack.files import SlackFiles
from sandbox.broker.door.authority import Authority
from session.policy import EgressEntry, EgressRule
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import Sink, attack, box_at, program, sink
from tests.sandbox.door.stage import Stage, stage
from tests.sandbox.door.upstream import NAME, Got, Reply, Upstream, upstream
from tests.sandbox.environments.boxes import Bench

CONTROLS = (
    Control(
        "sandbox/broker/door/addresses.py",
        (
            (
                "    if not all(permitted(ip_address(each), networks) for each in found):",
                "    if False:",
            ),
        ),
    ),
)
PROOF = "test_a_name_that_leads_inside_is_not_followed"

PUBLIC, PUBLIC_ADDRESS = "public.example.com", "127.0.0.2"
REBINDING = "rebinding.example.com"
LEADS = {
    PUBLIC: [PUBLIC_ADDRESS],
    "loopback.example.com": ["127.0.0.1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "other.example.com": ["127.7.7.7"],
    "everywhere.example.com": ["0.0.0.0"],
    "both.example.com": [PUBLIC_ADDRESS, "127.0.0.1"],
    "private.example.com": ["10.0.0.1"],
    "carrier.example.com": ["100.64.0.1"],
    "metadata.example.com": ["169.254.169.254"],
    "loopback6.example.com": ["::1"],
    "local6.example.com": ["fc00::1"],
    "link6.example.com": ["fe80::1"],
    "nat64.example.com": ["64:ff9b::7f00:1"],
    "sixtofour.example.com": ["2002:7f00:1::"],
    "teredo.example.com": ["2001:0:7f00:1::"],
    "compatible.example.com": ["::127.0.0.1"],
}
NAMED_ADDRESSES = (
    "127.0.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "127.1",
)
ADDRESSES = [
    *NAMED_ADDRESSES, "127.0.1", "0", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]",
    "localhost", "LOCALHOST", "localhost.", "loopback.example.com.", "LoopBack.Example.COM",
    f"{PUBLIC}@127.0.0.1", f"{PUBLIC}:x@127.0.0.1", f"127.0.0.1#@{PUBLIC}", f"{PUBLIC}\\@127.0.0.1",
    f"127.0.0.1%2f@{PUBLIC}", f"127.0.0.1/{PUBLIC}", f"127.0.0.1?{PUBLIC}", f"{PUBLIC} 127.0.0.1",
    f"127.0.0.1%00.{PUBLIC}", f"{PUBLIC}%0d%0aHost:127.0.0.1", "xn--pblic-kva.example.com",
    "xn--exmple-cua.com",
    *(each.encode().decode("latin-1") for each in ("127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1")),
    "p\u00fcblic.example.com", "127.0.0.1.", "127.0.0.1.nip.example.com", "_.example.com",
]  # fmt: skip
REDIRECTS = ["127.0.0.1", "[::1]", "169.254.169.254", "2130706433", "loopback.example.com", "localhost"]

TAKEN_AS_ONE = {
    f"tunnel to {REBINDING}", "a request behind another",
    "smuggled by a folded header", "smuggled by a bare line feed",
}  # fmt: skip
"""What reached the public server as one request, the way the door reads it."""
UNKNOWN_CODING = {"smuggled by an obscure TE", "smuggled by TE twice"}
"""Refused with 501."""


@dataclass(slots=True)
class Leading:
    """Where names lead; what is not listed leads to this machine. One leads elsewhere the second time."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host == REBINDING:
            return [PUBLIC_ADDRESS] if self.asked.count(host) == 1 else ["127.0.0.1"]
        return LEADS.get(host, ["127.0.0.1"])


@dataclass(frozen=True, slots=True)
class Scene:
    """`s.upstream` and `plain` stand inside, for TLS and without; `public` is the server one may reach."""

    s: Stage
    plain: Sink
    public: Upstream

    def judge(self) -> None:
        """Nothing came inside, and the public server was asked nothing that was meant for another."""
        refuted(self.s.upstream.connections == 0, "a server inside was met by TLS")
        refuted(self.plain.met == 0, f"a server inside was met: {bytes(self.plain.heard)[:80]!r}")
        fine = {f"{name}:{self.s.upstream.port}" for name in (PUBLIC, REBINDING)}
        for got in self.public.got:
            refuted(got.headers.get("host") in fine, f"a request for {got.headers.get('host')} came through")
        refuted(b"/hidden" not in self.public.raw, "a request came through in the body of another")


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """A door whose policy names every host below example.com, and addresses too."""
    async with sink("127.0.0.1") as plain:

        def rules(port: int) -> list[EgressEntry]:
            hosts = ("*.example.com", *NAMED_ADDRESSES)
            ways = ("GET", "POST")
            return [EgressRule(host=h, port=p, methods=ways) for h in hosts for p in (port, plain.port)]

        networks = [ip_network(f"{PUBLIC_ADDRESS}/32")]
        async with stage(rules, addresses=Leading(), networks=networks, public=True) as s:
            authority = Authority.new("public")
            s.parts.ssl_context.load_verify_locations(cadata=authority.certificate)
            public = Upstream(s.upstream.port, s.parts.ssl_context, answer)
            listener = await asyncio.start_server(
                public.serve, PUBLIC_ADDRESS, public.port, ssl=authority.context(NAME)
            )
            try:
                yield Scene(s, plain, public)
            finally:
                listener.close()


def answer(got: Got) -> Reply:
    return (
        Reply(status=302, headers=(("Location", "http://127.0.0.1/"),))
        if "redirect" in got.target
        else Reply()
    )


async def test_a_name_that_leads_inside_is_not_followed() -> None:
    async with scene() as at:
        for name in ("loopback.example.com", "mapped.example.com", "both.example.com", REBINDING, REBINDING):
            await at.s.ask(host=name)
        at.judge()
        assert [got.headers["host"] for got in at.public.got] == [f"{REBINDING}:{at.s.upstream.port}"]


async def test_no_form_of_an_address_leads_inside(bench: Bench) -> None:
    async with scene() as at, box_at(at.s, bench.environment) as box:
        told = {
            "port": at.s.upstream.port,
            "plain": at.plain.port,
            "names": [*(name for name in LEADS if name != PUBLIC), REBINDING],
            "addresses": ADDRESSES,
            "redirects": REDIRECTS,
        }
        outcomes = await attack(box, program("confuser"), told)
        at.judge()
        audit = [row.entry for row in await at.s.audited()]
    passed = {way for way, end in outcomes.items() if "200" in end.split()}
    assert passed == TAKEN_AS_ONE
    fine = passed | UNKNOWN_CODING
    assert all("400" in end or "403" in end for way, end in outcomes.items() if way not in fine), outcomes
    assert {row.outcome for row in audit} == {"allowed", "refused"}


async def test_what_people_attach_leads_to_slack_s_own_hosts_only() -> None:
    async with sink("127.0.0.1") as inside, upstream(tls=False) as slack:
        there, own = f"127.0.0.1:{inside.port}", f"127.0.0.1:{slack.port}"
        slack.reply = lambda got: Reply(status=302, headers=(("Location", f"http://{there}/"),))
        addresses = (
            f"http://{there}/", f"http://{own}@{there}/", f"http://{there}#@{own}/", f"http://{there}\\@{own}/",
            f"https://files.slack.com@{there}/", f"https://{there}/files.slack.com",
            f"http://files.slack.com@{there}/", f"https://files.slack.com.{there}/", f"//{there}/",
            f"https://{there}\\.files.slack.com/", f"http://{there}\t@{own}/", "file:///etc/passwd",
            f"http://{own}/redirect",
        )  # fmt: skip
        files = SlackFiles("xoxb-emulated", f"http://{own}/api/")
        for at in range(0, len(addresses), MOST_FILES):
            asked = [
                {"mimetype": "text/plain", "size": 1, "url_private": address}
                for address in addresses[at : at + MOST_FILES]
            ]
            got = await files.attachments(asked)
            refuted(not any(each.text for each in got), "a file of another host's was read")
        refuted(inside.met == 0, f"a server inside was met: {bytes(inside.heard)[:80]!r}")
        assert [each.target for each in slack.got] == ["/redirect"]
