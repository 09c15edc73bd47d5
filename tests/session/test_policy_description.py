"""A policy in plain text names every rule, and the layer that enforces it."""

from __future__ import annotations

from session.catalogue import Approvals, Repository
from session.policy import PRESETS
from session.policy_description import describe

FULL: dict[str, object] = {
    "slug": "acme/web",
    "forge": "local",
    "url": "/srv/web.git",
    "approvals": {"merge": "ask"},
    "egress": [
        *PRESETS,
        {
            "host": "api.example.com",
            "methods": ["POST"],
            "paths": ["/v1/*"],
            "credential": {"secret": "API_KEY"},
        },
        {"host": "*.example.org", "port": 8443},
        {"host": "db.example.com", "port": 5432, "tunnel": True},
    ],
    "deny": ["git push **"],
    "ask": [{"command": "npm publish", "reason": "it cannot be taken back"}],
    "protected_paths": ["migrations/*"],
    "budgets": {"money_usd": "2.50", "tool_calls": 100},
    "secrets": ["TEST_KEY"],
    "mcp": [{"name": "tracker", "url": "https://mcp.example.com/", "tools": ["search"]}],
}


def test_every_rule_is_described() -> None:
    described = describe(Repository.model_validate(FULL)).splitlines()
    for line in (
        "  merge: ask [boundary] the broker, before a merge",
        "  command: off [parser] shell commands",
        "Hosts that can be reached [boundary]",
        "  api.example.com:443: POST, /v1/*, with the secret API_KEY in Authorization",
        "  *.example.org:8443: to read",
        "  db.example.com:5432: anything, unread (a tunnel)",
        "Commands refused [parser]",
        "  git push **",
        "  npm publish: it cannot be taken back",
        "  migrations/*",
        "  money_usd: 2.50",
        "  tool_calls: 100",
        "  TEST_KEY",
        "  tracker: https://mcp.example.com/, search",
    ):
        assert line in described
    assert sum(line.startswith(tuple(f"  {preset}:" for preset in PRESETS)) for line in described) == len(
        PRESETS
    )


def test_every_approval_has_its_layer() -> None:
    described = describe(Repository.model_validate(FULL))
    for name in Approvals.model_fields:
        assert f"\n  {name}: " in described


def test_without_a_policy_it_says_what_holds() -> None:
    plain = Repository(slug="acme/web", forge="local", url="/srv/web.git", public=True)
    described = describe(plain)
    assert "  forge" in described
    closed = describe(plain.model_copy(update={"egress": ()}))
    assert "none: a box reaches nothing" in closed
    assert "off: the repository is public" in described
