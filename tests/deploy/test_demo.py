"""`bellhop demo` without a terminal plays its conversations and says how they went."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.commands import Ended, bare_environment, bellhop

SECONDS = 110
THREADS = (
    "A bug report becomes a merged pull request",
    "A long task is stopped midway",
    "An unclear request is asked about, then done",
)


def assert_played(ended: Ended) -> None:
    """All three threads are printed and went as they should."""
    assert ended.code == 0, ended.printed + ended.complained
    assert [title for title in THREADS if title in ended.printed] == list(THREADS)
    assert "All three conversations ended as they should." in ended.printed
    assert "NOT AS IT SHOULD" not in ended.printed
    assert "Traceback" not in ended.complained


async def test_the_demo_on_namespaces(bellhop_home: Path) -> None:
    # Recorded conversations are played by the rehearsal model, also where a key for a real one is at hand.
    key = {"OPENAI_API_KEY": "sk-none"}
    environment = {**bare_environment(bellhop_home), **key, "SANDBOX_BACKEND": "local"}
    ended = await bellhop("demo", environment=environment, seconds=SECONDS)
    assert_played(ended)
    assert "The model is a REHEARSAL" in ended.printed


async def test_the_demo_in_containers(bellhop_home: Path, docker_host: str, base_image: str) -> None:
    environment = {
        **bare_environment(bellhop_home),
        "SANDBOX_BACKEND": "docker",
        "DOCKER_HOST": docker_host,
        "SANDBOX_BASE_IMAGE": base_image,
    }
    assert_played(await bellhop("demo", environment=environment, seconds=SECONDS))


async def test_the_demo_says_what_a_repository_of_yours_needs(bellhop_home: Path) -> None:
    ended = await bellhop("demo", "--repo", ".", environment=bare_environment(bellhop_home))
    assert ended.code == 1
    assert "REPO needs a terminal and a real model" in ended.complained
