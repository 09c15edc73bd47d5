"""What is the local forge's own: its people file and its records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.forge.local import LocalForge
from sandbox.forge.local_records import PullRequestRecords
from sandbox.forge.protocol import ForgeError, ForgeRefused, ForgeRepository, HeadMoved, PullRequestRef
from tests.sandbox.forge.conftest import BRANCH, SLUG, Site


async def opened(site: Site, forge: LocalForge) -> int:
    await site.published()
    reference = await forge.open_pull_request(
        site.repository, branch=BRANCH, base="main", title="T", body="B", draft=False, as_person=None
    )
    return reference.number


def record(reference: PullRequestRef) -> Path:
    return Path(reference.url.removeprefix("file://"))


def local(site: Site) -> LocalForge:
    assert isinstance(site.forge, LocalForge)
    return site.forge


async def test_everyone_may_write_where_no_people_are_named(tmp_path: Path) -> None:
    forge = LocalForge(tmp_path)
    assert await forge.permission(ForgeRepository(SLUG, "/nowhere", "main"), "anyone") == "write"


async def test_people_of_all_repositories(tmp_path: Path) -> None:
    people = tmp_path / "people.yaml"
    people.write_text('"*": {ada: admin}\nacme/billing: {ada: read}\n')
    forge = LocalForge(tmp_path, people=people, default_permission="none")
    asked = [("acme/billing", "ada"), ("acme/web", "ada"), ("acme/web", "grace")]
    told = [await forge.permission(ForgeRepository(slug, "", "main"), login) for slug, login in asked]
    assert told == ["read", "admin", "none"]


@pytest.mark.parametrize("content", ["acme/billing: {ada: owner}", "- ada", "{", "acme/billing: 3"])
async def test_a_people_file_that_makes_no_sense_is_told(tmp_path: Path, content: str) -> None:
    people = tmp_path / "people.yaml"
    people.write_text(content)
    with pytest.raises(ForgeError, match=r"people\.yaml"):
        await LocalForge(tmp_path, people=people).check()


async def test_without_a_person_the_author_is_bellhop(local_site: Site) -> None:
    number = await opened(local_site, local(local_site))
    assert (await local_site.forge.pull_request(local_site.repository, number)).author == "bellhop"


async def test_records_outlive_the_process(local_site: Site) -> None:
    number = await opened(local_site, local(local_site))
    again = LocalForge(local_site.directory / "forge")
    assert (await again.pull_request(local_site.repository, number)).title == "T"
    assert await again.body(local_site.repository, number) == "B"


async def test_the_url_is_a_record_or_a_page(local_site: Site) -> None:
    number = await opened(local_site, local(local_site))
    reference = await local_site.forge.pull_request(local_site.repository, number)
    assert json.loads(record(reference).read_text())["number"] == number
    paged = LocalForge(local_site.directory / "forge", web_url="http://bell.example/forge/")
    reference = await paged.pull_request(local_site.repository, number)
    assert reference.url == f"http://bell.example/forge/{SLUG}/pull/{number}"


def close(site: Site, number: int) -> None:
    """Closed by hand: the local forge keeps pull requests as records."""
    records = PullRequestRecords(site.directory / "forge" / "pull_requests")
    found = records.get(SLUG, number)
    assert found is not None
    records.save(SLUG, replace(found, state="closed"))


async def test_a_closed_one_makes_room_for_another(local_site: Site) -> None:
    forge = local(local_site)
    number = await opened(local_site, forge)
    close(local_site, number)
    reference = await forge.open_pull_request(
        local_site.repository, branch=BRANCH, base="main", title="T", body="B", draft=True, as_person=None
    )
    assert (reference.number, reference.adopted) == (number + 1, False)
    closed = await forge.pull_request(local_site.repository, number)
    assert closed.state == "closed"
    with pytest.raises(ForgeRefused, match="is closed"):
        await forge.merge(local_site.repository, number, closed.head_sha, as_person=None, message="m")


async def test_a_merge_is_only_of_the_approved_commit(local_site: Site) -> None:
    number = await opened(local_site, local(local_site))
    approved = (await local_site.forge.pull_request(local_site.repository, number)).head_sha
    moved_to = local_site.push_by_hand(BRANCH)
    with pytest.raises(HeadMoved) as moved:
        await local_site.forge.merge(local_site.repository, number, approved, as_person=None, message="m")
    assert moved.value.actual == moved_to


async def test_a_damaged_record_is_told(local_site: Site) -> None:
    number = await opened(local_site, local(local_site))
    reference = await local_site.forge.pull_request(local_site.repository, number)
    record(reference).write_text("{")
    with pytest.raises(ForgeError, match="damaged"):
        await local_site.forge.pull_request(local_site.repository, number)


@pytest.mark.parametrize("slug", ["../etc", "acme", "acme/..", "acme/a/b", "acme/.git", ""])
async def test_a_slug_that_is_no_slug_is_refused(local_site: Site, slug: str) -> None:
    with pytest.raises(ForgeError, match="slug"):
        await local_site.forge.sync_mirror(ForgeRepository(slug, str(local_site.bare), "main"))
