"""Whether a request may leave: the repository's rules, its presets, what people allowed in the session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sandbox.broker.door.targets import BadTarget, Endpoint, Scheme, decoded, endpoint_of
from session.catalogue import Repository
from session.policy import READING, EgressRule, SecretUse, policy_version
from session.view import ApprovalView

MAX_PRESET_LINE_BYTES = 2048
"""A longer request to a package index carries something out rather than naming a package."""

MAX_PRESET_HEADER_BYTES = 4096

USUAL_MAX_BYTES: int = EgressRule.model_fields["max_bytes"].default
TUNNEL = "CONNECT"
NEVER = frozenset({"TRACE", "TRACK", TUNNEL})
"""Methods that no rule lets through: they hand the credential back, or open a tunnel inside the tunnel."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the rules see it. line_bytes: of method and target; header_bytes: of all headers."""

    endpoint: Endpoint
    method: str
    path: str
    line_bytes: int
    header_bytes: int = 0
    has_body: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may leave. why: what allowed it, for the audit."""

    why: str
    credential: SecretUse | None = None
    max_bytes: int = USUAL_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not. allowable: a person's yes would change that."""

    reason: str
    allowable: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """The policy of one session, or of one build, at one moment.

    package_hosts: for each preset the origins that the box's own configuration names, as `host`, `host:port`
    or `scheme://host[:port]`. approvals: what people were asked in the session. untrusted: where it read what
    strangers can write. askable: there are people who can be asked.
    """

    repository: Repository
    package_hosts: Mapping[str, tuple[str, ...]]
    approvals: Sequence[ApprovalView] = ()
    untrusted: Sequence[str] = ()
    askable: bool = True

    def decide(self, asked: Asked) -> Allowed | Refused:
        """Whether the request may leave."""
        if asked.method in NEVER:
            return Refused(f"{asked.method} never leaves a box", allowable=False)
        if asked.method in READING and asked.has_body:
            return Refused(f"a {asked.method} that carries something out is no reading", allowable=False)
        approved = self.approved(asked.method, asked.endpoint)
        allowed = self._by_rule(asked) or self._by_preset(asked)
        if allowed is None and approved:
            return Allowed("approval")
        if allowed is None:
            return self._refusal(self._missing(asked))
        if asked.method not in READING and self.tainted and not approved:
            return self._refusal(self._taint(asked.method))
        if allowed.credential is not None and asked.endpoint.scheme != "https":
            return Refused("its rule has a credential, which goes out by https only", allowable=False)
        return allowed

    def tunnel(self, endpoint: Endpoint) -> EgressRule | None:
        """The rule that lets bytes through unread to that server; never where another rule reads them."""
        rules = [rule for rule in self._rules if _names(rule.host, endpoint.host)]
        if any(not rule.tunnel for rule in rules) or endpoint.host in self._preset_hosts:
            return None
        return next((rule for rule in rules if rule.port == endpoint.port), None)

    def tunnel_refusal(self, endpoint: Endpoint) -> Refused | None:
        """Why the tunnel must stay shut at the moment. What goes through it may as well be writing."""
        if self.tainted and not self.approved(TUNNEL, endpoint):
            return self._refusal(self._taint("A tunnel"))
        return None

    def port_refusal(self, port: int) -> Refused | None:
        """Why nothing may be asked of that port, None when a rule or an approval names it."""
        named = {443, *(rule.port for rule in self._rules)}
        named |= {endpoint.port for endpoint in self._preset_endpoints}
        named |= {self.forge.port} if self.forge is not None and self.forge_served else set()
        if port in named or any(subject.endswith(f":{port}") for subject in self._subjects):
            return None
        return self._refusal(f"no rule of {self.repository.slug} names port {port}")

    def names_literal(self, host: str) -> bool:
        """Whether the policy names exactly this host."""
        return any(rule.host == host for rule in self._rules) or host in self._preset_hosts

    def approved(self, method: str, endpoint: Endpoint) -> bool:
        """Whether a person allowed that method on that server in this session."""
        methods = ("GET", "HEAD") if method == "HEAD" else (method,)
        return any(f"{each} {endpoint.host}:{endpoint.port}" in self._subjects for each in methods)

    @property
    def tainted(self) -> bool:
        """Whether the session has read what strangers write while it holds what is private."""
        return bool(self.untrusted) and not self.repository.public

    @property
    def forge_served(self) -> bool:
        """Whether the box may reach its own repository."""
        return "forge" in self.repository.egress

    @property
    def forge(self) -> Endpoint | None:
        """The session's forge, None for one that is a directory."""
        return next(iter(_origins((self.repository.url,))), None) if "://" in self.repository.url else None

    @property
    def _rules(self) -> tuple[EgressRule, ...]:
        return tuple(entry for entry in self.repository.egress if isinstance(entry, EgressRule))

    @property
    def _subjects(self) -> frozenset[str]:
        if self.repository.approvals.egress == "off":
            return frozenset()
        given = [
            each.request
            for each in self.approvals
            if each.request.kind == "egress" and each.state in {"given", "used"}
        ]
        version = policy_version(self.repository) if given else ""
        return frozenset(request.subject for request in given if request.policy_version == version)

    @property
    def _preset_endpoints(self) -> Iterator[Endpoint]:
        for entry in self.repository.egress:
            if isinstance(entry, str):
                yield from _origins(self.package_hosts.get(entry, ()))

    @property
    def _preset_hosts(self) -> frozenset[str]:
        return frozenset(endpoint.host for endpoint in self._preset_endpoints)

    def _by_rule(self, asked: Asked) -> Allowed | None:
        for rule in self._rules:
            if (
                not rule.tunnel
                and rule.port == asked.endpoint.port
                and _names(rule.host, asked.endpoint.host)
                and asked.method in rule.methods
                and _fits(rule.paths, asked.path)
            ):
                return Allowed("rule", rule.credential, rule.max_bytes)
        return None

    def _by_preset(self, asked: Asked) -> Allowed | None:
        if asked.method not in READING or self._too_long(asked):
            return None
        return Allowed("preset") if asked.endpoint in self._preset_endpoints else None

    def _too_long(self, asked: Asked) -> bool:
        return asked.line_bytes > MAX_PRESET_LINE_BYTES or asked.header_bytes > MAX_PRESET_HEADER_BYTES

    def _missing(self, asked: Asked) -> str:
        host, slug = asked.endpoint.host, self.repository.slug
        if asked.endpoint in self._preset_endpoints:
            if asked.method in READING:
                return (
                    f"a request to a package index is at most {MAX_PRESET_LINE_BYTES} bytes long, and "
                    f"{MAX_PRESET_HEADER_BYTES} with its headers"
                )
            return "a package index may only be read"
        if any(_names(rule.host, host) and not rule.tunnel for rule in self._rules):
            return f"the rules of {slug} for {host} do not include this method, path and port"
        return f"no rule of {slug} names {host}"

    def _taint(self, what: str) -> str:
        who = "the session" if self.askable else "the build"
        return (
            f"{who} has read what strangers can write ({', '.join(self.untrusted)[:200]}), and "
            f"{what} could carry private data out"
        )

    def _refusal(self, reason: str) -> Refused:
        return Refused(reason, allowable=self.askable and self.repository.approvals.egress == "ask")


def _names(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _fits(patterns: tuple[str, ...], path: str) -> bool:
    """Whether the path fits as it is written and as it may be read."""
    return all(any(_pattern(each).fullmatch(form) for each in patterns) for form in (path, decoded(path)))


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


@lru_cache(maxsize=1024)
def _origins(texts: tuple[str, ...]) -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for text in texts:
        before, _, rest = text.rpartition("://")
        scheme: Scheme = "http" if before == "http" else "https"
        try:
            found.append(endpoint_of(rest.split("/")[0], scheme))
        except BadTarget:
            continue
    return tuple(found)
