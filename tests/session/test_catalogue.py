"""The catalogue: what it holds, and how it says what is wrong where."""

from __future__ import annotations

from pathlib import Path

import pytest

from session.catalogue import Catalogue, CatalogueError, UnknownRepository

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
        (
            "- slug: acme/web\n  forge: local\n  url: x\n  approvals: {merge: maybe}\n",
            "repositories.yaml:4: approvals",
        ),
        ("- slug: !!python/name:os.system\n", "repositories.yaml:1"),
        ("- {[a]: b}\n", "repositories.yaml:1"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_an_example(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(says)
    assert "Example: - {slug: acme/web" in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.load(tmp_path / "nothing.yaml")
