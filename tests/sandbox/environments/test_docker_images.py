"""Images in an engine: what a Dockerfile or a name leads to, and what a kept image must not hold."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from docker import DockerClient

from sandbox.environments.images import DockerfileBuild, ImageTag, ImageUnavailable, WantedBase
from sandbox.images.machine_packages import PIP_FILE
from tests.sandbox.environments.boxes import Bench, run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("docker")]


def build(dockerfile: str, digest: str, **files: str) -> DockerfileBuild:
    async def context(path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            for name, text in {"Dockerfile": dockerfile, **files}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))

    return DockerfileBuild("acme/billing", digest, "Dockerfile", context, {"GREETING": "hello $HOME"})


async def test_a_kept_image_holds_nothing_of_the_door_or_the_box(
    containers: Bench, engine: DockerClient, base_image: str
) -> None:
    door = containers.directory / "door"
    (door / "secrets").mkdir(parents=True)
    spec = replace(
        containers.spec(door=door),
        env={"API_KEY": "bellhop-placeholder-API_KEY", "TZ": "UTC"},
        labels={"bellhop.purpose": "build"},
    )
    async with containers.box(spec) as box:
        assert "placeholder" in (await run(box, "env")).output
        first = await box.keep(ImageTag("acme/billing", "1-a"), {"bellhop.layers": "1"})
    try:
        image = engine.images.get(first.reference)
        said = str(image.attrs["Config"])
        assert [word for word in ("placeholder", "bellhop-door", "3128", "UTC") if word in said] == []
        assert image.attrs["Config"]["Entrypoint"] == ["/bin/sh"]
        assert (image.labels["bellhop.layers"], image.labels["bellhop.purpose"]) == ("1", "")
        own = dict(
            entry.split("=", 1) for entry in engine.images.get(base_image).attrs["Config"]["Env"] or []
        )
        kept = dict(entry.split("=", 1) for entry in image.attrs["Config"]["Env"])
        assert {name: kept[name] for name in own} == own
        # Its snapshots and moves are no repository images.
        async with containers.box(containers.spec(image=first.reference)) as box:
            reference = await box.snapshot("turn-1")
            assert [each.reference for each in await containers.environment.images()] == [first.reference]
            assert "placeholder" not in (await run(box, "env; ls /run/bellhop-door")).output
        # And nobody starts from them by name: they hold the code of their repository.
        for named in (first.reference, reference):
            with pytest.raises(ImageUnavailable, match="a box that was kept"):
                await containers.environment.base(WantedBase(image=named))
        await containers.environment.remove_snapshot(reference)
    finally:
        await containers.environment.remove_image(first.reference)


async def test_an_image_that_cannot_be_had_is_a_sentence(containers: Bench) -> None:
    with pytest.raises(
        ImageUnavailable, match=r"image registry\.invalid/none:1 is not in the engine and could"
    ):
        await containers.environment.base(WantedBase(image="registry.invalid/none:1"))
    wanted = WantedBase(build=build("FROM registry.invalid/none:1\n", "d1"))
    with pytest.raises(ImageUnavailable, match="registry that the engine must reach; mend the Dockerfile"):
        await containers.environment.base(wanted)


async def test_a_dockerfile_is_built_once_and_boxes_start_from_it(
    containers: Bench, engine: DockerClient, base_image: str
) -> None:
    text = f"FROM {base_image}\nARG GREETING\nENV SAID=$GREETING\nCOPY note /opt/note\n"
    wanted = WantedBase(build=build(text, "d2", note="from the repository"))
    base = await containers.environment.base(wanted)
    assert base == await containers.environment.base(wanted)
    assert base.reference is not None
    async with containers.box(containers.spec(image=base.reference)) as box:
        assert (
            await run(box, "cat /opt/note; echo; echo $SAID")
        ).output == "from the repository\nhello $HOME\n"
    later = await containers.environment.base(
        WantedBase(build=build(f"{text}ENV MORE=1\n", "d3", note="and more"))
    )
    assert later.identity != base.identity
    name = base.reference.rpartition(":")[0]
    assert [tag for image in engine.images.list(name=name) for tag in image.tags] == [later.reference]
    assert later.reference is not None
    await containers.environment.remove_image(later.reference)


async def test_a_stranger_s_image_is_given_this_machine_s_package_indexes(
    containers: Bench, engine: DockerClient, base_image: str
) -> None:
    text = f"FROM {base_image}\nCOPY pip.conf /{PIP_FILE}\n"
    base = await containers.environment.base(
        WantedBase(
            build=build(text, "d4", **{"pip.conf": "[global]\nindex-url = https://elsewhere.invalid/\n"})
        )
    )
    assert base.reference is not None
    async with containers.box(containers.spec()) as box:
        ours = (await run(box, f"cat /{PIP_FILE} 2>/dev/null")).output
    theirs = containers.spec(image=base.reference)
    async with containers.box(replace(theirs, machine_packages=True)) as box:
        assert (await run(box, f"cat /{PIP_FILE}")).output == ours
    await containers.environment.remove_image(base.reference)
