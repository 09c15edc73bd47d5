"""The catalogue: what it holds, and how it says what is wrong where."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from session.catalogue import Catalogue, CatalogueError, UnknownRepository
from session.policy import POLICY_FIELDS, CommandRule, EgressRule, policy_version

GOOD = """
- slug: acme/web
  forge: github
  url: https://github.com/acme/web
  aliases: [frontend, site]
  channels: web-team
  verify: make test
  approvals: {merge: ask}
- slug: acme/old
  forge: local
  url: /srv/old.git
  archived: true
"""


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "repositories.yaml"
    path.write_text(text)
    return Catalogue.load(path)


def test_repositories_are_read_with_their_defaults(tmp_path: Path) -> None:
    catalogue = load(tmp_path, GOOD)
    web = catalogue.get("ACME/Web ")
    assert (web.default_branch, web.verify, web.channels) == ("main", ("make test",), ("web-team",))
    assert (web.approvals.merge, web.approvals.pull_request) == ("ask", "ask")
    assert [repository.slug for repository in catalogue.active] == ["acme/web"]
    assert load(tmp_path, "").repositories == ()


def test_an_unknown_repository_is_answered_with_near_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownRepository) as caught:
        load(tmp_path, GOOD).get("acme/wbe")
    assert caught.value.near == ("acme/web",)
    assert "Did you mean acme/web?" in caught.value.sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- slug: acme/web\n  forge: github\n", "repositories.yaml:1: url: is missing"),
        (
            GOOD + "- slug: acme/web\n  forge: local\n  url: x\n",
            "repositories.yaml:13: acme/web is listed before",
        ),
        ("\n- slug: acme/web\n  forge: gitlab\n  url: x\n", "repositories.yaml:3: forge"),
        ("- slug: acme/web\n  forge: local\n  url: x\n  colour: red\n", "repositories.yaml:4: colour"),
        ("- slug: web\n  forge: local\n  url: x\n", "repositories.yaml:1: slug"),
        ("- slug: acme/web\n  url: x\n  url: y\n", "repositories.yaml:3: 'url' is there twice"),
        ("- slug: [acme\n", "repositories.yaml:2"),
        ("- just text\n", "repositories.yaml:1: must be a repository"),
        ("slug: acme/web\n", "repositories.yaml:1: must be a list"),
        ("- slug: !!python/name:os.system\n", "repositories.yaml:1"),
        ("- {[a]: b}\n", "repositories.yaml:1"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_an_example(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(says)
    assert "Example: - {slug: acme/web" in str(caught.value)


HEAD = "- slug: acme/web\n  forge: local\n  url: x\n"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            "  approvals:\n    plan: off\n    merge: maybe\n",
            "6: approvals.merge: must be 'off' or 'ask', not 'maybe'. Example: approvals: {",
        ),
        (
            "  approvals:\n    plan: ask\n    mergers: ask\n",
            "6: approvals.mergers: is no setting of approvals; known are plan, pull_request, merge, ",
        ),
        ("  approvals: ask\n", "4: approvals: 'ask' must be settings with their names"),
        (
            "  egress:\n    - python\n    - pyhton\n",
            "6: egress.1: there is no preset called 'pyhton'; there are python, npm, debian, forge, and ",
        ),
        (
            "  egress:\n    - host: api.example.com\n      method: GET\n",
            "6: egress.0.method: is no setting of a rule of egress; known are host, port, methods, ",
        ),
        ("  egress:\n    - host: https://example.com\n", "5: egress.0.host: 'https://example.com' is not "),
        (
            "  egress:\n    - host: a.example\n      methods: [get]\n",
            "6: egress.0.methods: 'get' is no method",
        ),
        (
            "  egress:\n    - host: a.example\n      paths: [v1]\n",
            "6: egress.0.paths: 'v1' must begin with /",
        ),
        ("  egress:\n    - port: 80\n", "5: egress.0.host: is missing. Example: egress: ["),
        (
            "  egress:\n    - host: a.example\n\n      port: 0\n",
            "7: egress.0.port: must be greater than or equal to 1",
        ),
        (
            "  egress:\n    - python\n    - host: a.example\n      tunnel: true\n      methods: POST\n",
            "6: egress.1: a tunnel is not read, so it cannot have methods",
        ),
        (
            "  egress:\n    - host: a.example\n      credential:\n        secret: api-key\n",
            "7: egress.0.credential.secret: 'api-key' is not written as this must be. Example: credential: {",
        ),
        (
            "  egress:\n    - host: a.example\n      credential:\n        secret: K\n        form: Basic\n",
            "8: egress.0.credential.form: must hold {} once",
        ),
        ("  egress: [python,\n    {host: a.example, host: b.example}]\n", "5: 'host' is there twice"),
        ("  deny:\n    - git push\n    - command: a && b\n", "6: deny.1.command: must be the words of one "),
        ("  deny:\n    - command: git ** push\n", "5: deny.0.command: ** stands for the rest"),
        (
            "  ask:\n    - command: git push\n      layer: boundary\n",
            "6: ask.0.layer: must be 'parser', not 'boundary'",
        ),
        (
            "  ask:\n    - cmd: git push\n",
            "5: ask.0.cmd: is no setting of a rule of ask; known are command, ",
        ),
        ("  protected_paths: [../x]\n", "4: protected_paths: '../x' must be a pattern as"),
        (
            "  budgets:\n    tokens: -1\n",
            "5: budgets.tokens: must be greater than 0, not -1. Example: budgets",
        ),
        ("  budgets:\n    euros: 1\n", "5: budgets.euros: is no setting of budgets; known are money_usd, "),
        ("  secrets:\n    - OK\n    - not ok\n", "6: secrets.1: 'not ok' is not written as this must be"),
        ("  mcp:\n    - name: t\n      url: ftp://x\n", "6: mcp.0.url: 'ftp://x' is not written as"),
        (
            "  mcp:\n    - {name: t, url: 'http://x/'}\n    - {name: t, url: 'http://y/'}\n",
            "4: mcp: there are two servers called t",
        ),
        ("  public: perhaps\n", "4: public: must be a valid boolean, unable to interpret input, not"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_with_the_line_of_the_entry(
    tmp_path: Path, policy: str, says: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, HEAD + policy)
    assert str(caught.value).startswith(f"repositories.yaml:{says}")
    assert "Example: " in str(caught.value)


def test_a_policy_is_read_with_its_short_forms(tmp_path: Path) -> None:
    policy = """\
  approvals: {merge: off, command: ask}
  egress: [python, {host: api.example.com, methods: POST, paths: /v1/*}, {host: "*.b.example", tunnel: true}]
  deny: git push **
  ask:
    - terraform apply
    - {command: npm publish, reason: it cannot be taken back}
  protected_paths: migrations/*
  budgets: {money_usd: 2.50, tool_calls: 100}
  secrets: TEST_KEY
  public: true
"""
    web = load(tmp_path, HEAD + policy).get("acme/web")
    assert (web.approvals.merge, web.approvals.command) == ("off", "ask")
    assert web.egress[1] == EgressRule(host="api.example.com", methods=("POST",), paths=("/v1/*",))
    assert web.deny == (CommandRule(command="git push **"),)
    assert [rule.reason for rule in web.ask] == ["", "it cannot be taken back"]
    assert web.budgets.money_usd == Decimal("2.5")
    assert (web.protected_paths, web.secrets, web.public) == (("migrations/*",), ("TEST_KEY",), True)


def test_every_field_of_a_policy_changes_its_version(tmp_path: Path) -> None:
    plain = load(tmp_path, HEAD).get("acme/web")
    changes = {
        "approvals": "{merge: ask}", "egress": "[npm]", "deny": "[x]", "ask": "[x]", "protected_paths": "[x]",
        "budgets": "{tokens: 1}", "secrets": "[X]", "mcp": "[{name: t, url: 'http://x/'}]", "public": "true",
    }  # fmt: skip
    assert set(changes) == POLICY_FIELDS
    versions = {
        policy_version(load(tmp_path, f"{HEAD}  {field}: {value}\n").get("acme/web"))
        for field, value in changes.items()
    }
    assert len(versions | {policy_version(plain)}) == len(changes) + 1
    assert policy_version(load(tmp_path, HEAD + "  description: new\n").get("acme/web")) == policy_version(
        plain
    )


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.load(tmp_path / "nothing.yaml")
