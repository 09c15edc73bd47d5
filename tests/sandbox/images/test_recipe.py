"""What a repository's box is made of is read at the base commit, and its digest tells what changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.base_commit import BaseCommit, read_base
from sandbox.forge.protocol import Mirror
from sandbox.images.devcontainer import BadDevcontainer
from sandbox.images.recipe import Recipe, read_recipe
from session.catalogue import Repository
from tests.sandbox.workbench import Workbench

FILE = ".devcontainer/devcontainer.json"
REPOSITORY = Repository(slug="acme/billing", forge="local", url="/srv/billing.git", verify=("make test",))


async def base_of(bench: Workbench, repository: Repository = REPOSITORY) -> BaseCommit:
    return await read_base(repository, Mirror(bench.path / ".git", ""), "main")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench.new(tmp_path / "work")


async def test_set_up_comes_first_and_the_devcontainer_after_it(bench: Workbench) -> None:
    own = (
        '{"onCreateCommand": "once", "updateContentCommand": "new", "postCreateCommand": "last", '
        '"remoteUser": "node"}'
    )
    bench.commit("Add", {".bellhop/config.yaml": "setup: make deps\n", FILE: own})
    recipe = await read_recipe(await base_of(bench))
    assert recipe.at_first == ("make deps", "once", "new", "last")
    assert recipe.again == ("make deps", "new", "last"), "what creates a box does not run in it again"
    assert recipe.variables == {"USER": "node", "LOGNAME": "node"}
    company = REPOSITORY.model_copy(update={"setup": ("ours",), "image": "registry.internal/box:1"})
    recipe = await read_recipe(await base_of(bench, company))
    assert (recipe.at_first[0], recipe.base) == ("ours", "registry.internal/box:1")
    ignored = REPOSITORY.model_copy(update={"devcontainer": False})
    assert (await read_recipe(await base_of(bench, ignored))).at_first == ("make deps",)


async def test_only_the_base_commit_counts(bench: Workbench) -> None:
    bench.commit("Add", {FILE: '{"image": "python:3.12"}'})
    (bench.path / FILE).write_text('{"image": "evil:1"}')
    assert (await read_recipe(await base_of(bench))).base == "python:3.12"


async def test_the_digest_changes_with_what_makes_a_box_ready_and_the_fingerprint_with_all(
    bench: Workbench,
) -> None:
    bench.commit("Add", {FILE: '{"image": "a:1", "containerEnv": {"A": "1"}}'})
    first = await read_recipe(await base_of(bench))
    bench.commit("Say more", {FILE: '{"image": "a:1", /* more */ "containerEnv": {"A": "1"}, "name": "x"}'})
    same = await read_recipe(await base_of(bench))
    assert (same.digest, same.fingerprint("id")) == (first.digest, first.fingerprint("id"))
    assert len(first.fingerprint("id")) == 8
    assert first.fingerprint("another id") != first.fingerprint("id")
    checked = Recipe(first.image, first.setup, ("make lint",), first.devcontainer)
    assert checked.digest == first.digest
    assert checked.fingerprint("id") != first.fingerprint("id")
    for text in (
        '{"image": "a:2", "containerEnv": {"A": "1"}}',
        '{"image": "a:1", "containerEnv": {"A": "2"}}',
        '{"image": "a:1", "containerEnv": {"A": "1"}, "remoteUser": "node"}',
        '{"image": "a:1", "containerEnv": {"A": "1"}, "onCreateCommand": "true"}',
        '{"image": "a:1", "containerEnv": {"A": "1"}, "postCreateCommand": "true"}',
    ):
        bench.commit("Change", {FILE: text})
        assert (await read_recipe(await base_of(bench))).digest != first.digest, text


async def test_a_dockerfile_counts_with_what_it_takes(bench: Workbench) -> None:
    file = '{"build": {"dockerfile": "Dockerfile", "context": ".."}}'
    bench.commit("Add", {FILE: file, ".devcontainer/Dockerfile": "FROM a:1\nCOPY --from=b /x /x\n"})
    first = await read_recipe(await base_of(bench))
    bench.commit("Work", {"app.py": "print('more')\n"})
    assert (await read_recipe(await base_of(bench))).digest == first.digest
    bench.commit("Take", {".devcontainer/Dockerfile": "FROM a:1\nCOPY app.py /\n"})
    taking = await read_recipe(await base_of(bench))
    assert taking.digest != first.digest
    bench.commit("Work", {"app.py": "print('and more')\n"})
    assert (await read_recipe(await base_of(bench))).digest != taking.digest
    company = REPOSITORY.model_copy(update={"image": "ours:1"})
    assert (await read_recipe(await base_of(bench, company))).dockerfile is None
    bench.commit("Lose", {".devcontainer/Dockerfile": None})
    with pytest.raises(
        BadDevcontainer, match=r"names the Dockerfile \.devcontainer/Dockerfile, which is not"
    ):
        await read_recipe(await base_of(bench))
