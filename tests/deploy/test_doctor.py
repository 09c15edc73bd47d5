"""`bellhop doctor` finds each part that is missing or wrong, and says what to do about it."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from bot.platforms.slack.needs import scopes
from deploy.boxes import open_environment
from deploy.doctor import examine
from deploy.doctor_of_sandboxes import SANDBOX_CHECKS
from deploy.finding import Finding
from sandbox.broker.operations import application
from sandbox.broker.presence import presence
from sandbox.broker.socket_server import serving
from sandbox.environments.protocol import SandboxSpec
from session.audit import Audit, AuditEntry
from session.database import Database
from session.halt import KillSwitch
from session.hosts import Hosts
from session.people import Person
from session.settings import Settings, SettingsError
from tests.deploy.commands import bare_environment, bellhop
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.faults import Denied
from tests.emulators.github import GitHubEmulator
from tests.emulators.model.emulator import ModelEmulator
from tests.emulators.slack.emulator import SlackEmulator
from tests.provision.docker_engine import another_runtime

NOBODY = "127.0.0.1:1"
REGISTRY = "registry.internal:5000/bellhop"
ENTRY = AuditEntry(actor="broker", action="forge.publish", target="acme/billing", outcome="done")


async def finding(part: str, environment: dict[str, str]) -> Finding:
    """What the doctor finds out about that part."""
    found = {item.part: item async for item in examine(Settings.load(environment))}
    return found[part]


def catalogue(environment: dict[str, str], content: str) -> None:
    """Put that into the catalogue's file."""
    Path(environment["REPOSITORIES_FILE"]).write_text(content)


async def test_where_all_is_well_it_says_so(whole: dict[str, str]) -> None:
    ended = await bellhop("doctor", environment=whole)
    assert ended.code == 0, ended
    lines = ended.printed.splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == []
    assert any(line.startswith("--") and "SLACK_BOT_TOKEN is empty" in line for line in lines)
    assert any("catalogue: 1 repositor" in line for line in lines)


async def test_where_something_is_wrong_it_goes_on_and_fails_at_the_end(bellhop_home: Path) -> None:
    ended = await bellhop("doctor", environment={**bare_environment(bellhop_home), "SECRET_KEY": "short"})
    assert ended.code == 1
    failed = [line for line in ended.printed.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0].split()[1] for line in failed][:2] == ["secret", "catalogue"]
    assert any("OPENAI_API_KEY is missing" in line for line in failed)
    assert "Traceback" not in ended.complained


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("secret key", {"SECRET_KEY": "short"}, "SECRET_KEY is too short"),
        ("secret key", {"REDIS_URL": f"redis://{NOBODY}/0"}, "SECRET_KEY is missing"),
        (
            "catalogue",
            {"REPOSITORIES_FILE": "/nowhere/repositories.yaml"},
            "there is no /nowhere/repositories",
        ),
        ("database", {"DATABASE_URL": f"postgres://nobody@{NOBODY}/bellhop"}, "Check DATABASE_URL"),
        ("redis", {"REDIS_URL": f"redis://{NOBODY}/0"}, "Check REDIS_URL"),
        ("sandbox", {"SANDBOX_BACKEND": "docker", "DOCKER_HOST": "unix:///nowhere/docker.sock"}, "engine"),
        ("model", {"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is missing"),
        ("model", {"OPENAI_BASE_URL": f"http://{NOBODY}/v1"}, "does not answer"),
        ("model", {"AGENT_MODEL": "of-nobody"}, "does not offer of-nobody. Check AGENT_MODEL"),
        (
            "model",
            {"OFFERED_MODELS": "of-nobody, too"},
            "does not offer of-nobody, too. Check OFFERED_MODELS",
        ),
        ("broker", {"BROKER_CLIENTS": "worker"}, "such as worker:bellhop-worker"),
        ("broker", {"BROKER_CLIENTS": "worker:no-such-user"}, "no-such-user, who does not exist here"),
        ("egress", {"EGRESS_NETWORKS": "10.0.0.0/99"}, "Example: EGRESS_NETWORKS=10.20.0.0/16"),
        ("egress", {"EGRESS_AUTHORITIES": "/nowhere/ca.pem"}, "EGRESS_AUTHORITIES: /nowhere/ca.pem"),
        ("anchors", {"AUDIT_ANCHORS": "/dev/null/anchors.jsonl"}, "let AUDIT_ANCHORS name another place"),
        ("slack", {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_API_URL": f"http://{NOBODY}/"}, "does not answer"),
        ("hosts", {"SANDBOX_REGISTRY": REGISTRY}, "Set DATABASE_URL"),
        ("registry", {"SANDBOX_REGISTRY": REGISTRY, "SANDBOX_BACKEND": "local"}, "cannot be shared"),
    ],
)
async def test_what_is_missing_is_named(
    whole: dict[str, str], part: str, changes: dict[str, str], words: str
) -> None:
    found = await finding(part, {**whole, **changes})
    assert found.ok is False
    assert words in found.sentence


async def test_what_runs_and_what_it_costs_is_listed_under_the_runtime_that_is_asked_for(
    whole: dict[str, str], docker_host: str, base_image: str, bellhop_home: Path
) -> None:
    runtime = another_runtime(docker_host)
    boxes = {
        **whole,
        "SANDBOX_BACKEND": "docker",
        "DOCKER_HOST": docker_host,
        "SANDBOX_BASE_IMAGE": base_image,
    }
    environment = await open_environment(Settings.load(boxes))
    async with await environment.open(SandboxSpec("s-17", "doctored", None, bellhop_home / "in")) as box:
        await box.runner.exec("write", "head -c 2M /dev/urandom > two", timeout_seconds=20)
        in_use = await SANDBOX_CHECKS["in use"](Settings.load(boxes))
        ended = await bellhop("doctor", environment={**boxes, "SANDBOX_RUNTIME": runtime})
        full = await SANDBOX_CHECKS["in use"](Settings.load({**boxes, "DISK_FREE_GB": "1000000"}))
    await environment.remove("doctored")
    await environment.aclose()
    assert in_use.ok
    assert in_use.sentence.startswith("1 box (1 running), 0 services, 0 snapshots, 0 images: ")
    assert " free, and 5.0 GB have to stay so" in in_use.sentence
    [line] = in_use.details
    assert re.fullmatch(r"session s-17 +running +\d+ MB +\d+\.\d s +2 MB of disk", line)
    assert f"        {line[:20]}" in ended.printed
    assert f"ok    runtime: a box starts under {runtime}, and sees the kernel Linux " in ended.printed
    assert (full.ok, "New sandboxes wait: this host's disk is too full" in full.sentence) == (False, True)
    nowhere = Settings.load({**boxes, "SANDBOX_RUNTIME": "nowhere"})
    for part in ("sandbox", "runtime"):
        unknown = await SANDBOX_CHECKS[part](nowhere)
        assert (unknown.ok, "knows no runtime 'nowhere', only " in unknown.sentence) == (False, True)
    assert not (bellhop_home / "doctor").exists()


async def test_a_stranger_with_nothing_set_is_told_what_to_do(bellhop_home: Path) -> None:
    found = {item.part: item async for item in examine(Settings.load(bare_environment(bellhop_home)))}
    assert {part for part, item in found.items() if item.ok is False} == {"catalogue", "model"}
    remedies = {
        "catalogue": "Write it",
        "model": "Set it to your provider's key",
        "forge": "Mend that first",
        "slack": "docs/set-up-slack.md says how",
        "discord": "docs/set-up-discord.md says how",
    }
    assert {part for part, words in remedies.items() if words in found[part].sentence} == set(remedies)


async def test_hosts_that_work_are_named_and_must_share(whole: dict[str, str]) -> None:
    async with await Database.open(Settings.load(whole).database_address) as database:
        await database.migrate()
        await Hosts(database).beat("docker:a", "anna")
        assert (await finding("hosts", whole)).sentence.startswith("anna (heard of ")
        await Hosts(database).beat("docker:b", "bert")
    found = await finding("hosts", whole)
    assert found.ok is False
    assert "SANDBOX_REGISTRY is empty" in found.sentence


async def test_a_refused_model_key_is_named(whole: dict[str, str], model: ModelEmulator) -> None:
    found = await finding("model", {**whole, "OPENAI_API_KEY": "sk-of-somebody-else"})
    assert (found.ok, "Check OPENAI_API_KEY" in found.sentence) == (False, True)
    assert len(model.take_violations()) == 1


async def test_a_model_for_voice_clips_that_is_not_there_fails_nothing_and_is_said(
    whole: dict[str, str],
) -> None:
    found = await finding("model", {**whole, "TRANSCRIPTION_MODEL": "of-nobody"})
    assert (found.ok, "Set TRANSCRIPTION_MODEL" in found.sentence) == (None, True)


async def test_a_malformed_catalogue_is_named_by_its_line(whole: dict[str, str]) -> None:
    catalogue(whole, "- slug: acme/web\n  forge: gitlab\n  url: x\n")
    found = await finding("catalogue", whole)
    assert found.ok is False
    assert found.sentence.startswith("repositories.yaml:2: ")
    assert (await finding("forge", whole)).ok is None


async def test_an_empty_catalogue_is_nothing_to_work_with(whole: dict[str, str]) -> None:
    catalogue(whole, "[]\n")
    found = await finding("catalogue", whole)
    assert (found.ok, "lists no repository" in found.sentence) == (False, True)


async def test_a_forge_without_its_app_is_named(whole: dict[str, str]) -> None:
    catalogue(whole, "- {slug: acme/web, forge: github, url: https://github.com/acme/web}\n")
    found = await finding("forge", whole)
    assert found.ok is False
    assert "GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY, GITHUB_CLIENT_ID" in found.sentence


async def test_the_key_of_the_forge_app_is_read_from_its_file(
    whole: dict[str, str], bellhop_home: Path
) -> None:
    catalogue(whole, "- {slug: acme/web, forge: github, url: https://github.com/acme/web}\n")
    key = bellhop_home / "app.pem"
    async with GitHubEmulator(bellhop_home / "github") as github:
        github.add_user("ada")
        known = {
            **whole,
            "GITHUB_API_URL": github.api_url,
            "GITHUB_URL": github.web_url,
            "GITHUB_APP_ID": str(github.app.id),
            "GITHUB_APP_PRIVATE_KEY": str(key),
            "GITHUB_CLIENT_ID": github.app.client_id,
            "GITHUB_CLIENT_SECRET": github.app.client_secret,
        }
        missing = await finding("forge", known)
        assert (missing.ok, "the path of a file that this user can read" in missing.sentence) == (False, True)
        key.write_bytes(b"\xff")
        assert (await finding("forge", known)).ok is False
        key.write_text(github.app.private_key)
        assert (await finding("forge", known)).ok is True
        assert (
            await finding("forge", {**known, "GITHUB_APP_PRIVATE_KEY": github.app.private_key})
        ).ok is True


async def test_scopes_the_token_lacks_are_named_with_the_remedy(whole: dict[str, str]) -> None:
    granted = scopes() - {"commands", "emoji:read"}
    async with SlackEmulator(bot_scopes=granted) as slack:
        found = await finding(
            "slack",
            {
                **whole,
                "SLACK_API_URL": slack.api_url,
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_APP_TOKEN": slack.app_token,
            },
        )
    assert found.ok is False
    assert "lacks the scopes commands, emoji:read. " in found.sentence
    assert "Reinstall to Workspace" in found.sentence


async def test_slack_is_asked_whether_it_takes_the_token(whole: dict[str, str]) -> None:
    async with SlackEmulator() as slack:
        known = {**whole, "SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token}
        neither = await finding("slack", known)
        assert (neither.ok, "needs SLACK_APP_TOKEN" in neither.sentence) == (False, True)
        assert (await finding("slack", {**known, "SLACK_APP_TOKEN": slack.app_token})).ok is True
        refused = await finding("slack", {**known, "SLACK_BOT_TOKEN": "xoxb-of-nobody"})
        assert refused.ok is False
        assert "Check SLACK_BOT_TOKEN" in refused.sentence
        assert slack.take_violations() == ["auth.test: invalid_auth"]


async def test_discord_is_asked_for_all_that_the_bot_needs(whole: dict[str, str]) -> None:
    async with DiscordEmulator(message_content=False) as discord:
        known = {
            **whole,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "DISCORD_BOT_TOKEN": discord.token,
            "DISCORD_GUILD": discord.guild_id,
        }
        world = discord.world

        async def said(ok: bool, *words: str, **changes: str) -> None:
            found = await finding("discord", {**known, **changes})
            assert found.ok is ok, found.sentence
            assert [word for word in words if word not in found.sentence] == []

        await said(True, "bellhop", "in Acme", "registered when the bot starts", "Message Content Intent")
        await said(False, "has no role 5", "Check DISCORD_MEMBER_ROLE", DISCORD_MEMBER_ROLE="5")
        await said(True, DISCORD_MEMBER_ROLE=str(discord.role("engineer")))
        discord.fail_next("GET /applications/{}/guilds/{}/commands", Denied(403, 50001))
        await said(False, "does not let the bot have commands", "applications.commands")
        every = world.everyone.permissions
        world.everyone.permissions = world.bot_role.permissions = every & ~(1 << 35)
        await said(False, "lacks Create Public Threads", f"client_id={world.application_id}")
        world.bot.member = False
        await said(False, "Check DISCORD_GUILD", f"guild_id={discord.guild_id}")
        world.interactions_endpoint = "https://acme.example/interactions"
        await said(False, "Interactions Endpoint URL")
        await said(False, "does not answer", DISCORD_API_URL=f"http://{NOBODY}/api/v10")
        await said(False, "Reset Token", "DISCORD_BOT_TOKEN", DISCORD_BOT_TOKEN="of-nobody")
        assert len(discord.take_violations()) == 1


def test_discord_needs_to_know_its_server() -> None:
    with pytest.raises(SettingsError, match="DISCORD_GUILD=112233445566778899"):
        Settings.load({"DISCORD_BOT_TOKEN": "a token"})


async def test_a_broker_that_answers_says_whom_it_takes_us_for(whole: dict[str, str]) -> None:
    assert (await finding("broker", whole)).ok is None
    settings = Settings.load(whole)
    async with serving(application([presence()], {}), settings.broker_address, {}):
        answers = await finding("broker", whole)
    assert answers.ok is True
    assert answers.sentence.endswith("takes this user for bot, operator, web, worker")


async def test_a_socket_that_nobody_answers_at_is_named(whole: dict[str, str]) -> None:
    path = Settings.load(whole).broker_address
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    found = await finding("broker", whole)
    assert found.ok is False
    assert "See whether `bellhop broker` runs" in found.sentence


async def test_the_audit_and_the_kill_switch_are_looked_at(whole: dict[str, str]) -> None:
    assert (await finding("audit", whole)).ok is None
    settings = Settings.load(whole)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        assert "empty so far" in (await finding("audit", whole)).sentence
        assert (await finding("kill switch", whole)).ok is True
        await Audit(database).write(ENTRY)
        await KillSwitch(database).engage(Person(id="grace", name="Grace"), "a key leaked")
    assert "its newest row is 1," in (await finding("audit", whole)).sentence
    stopped = await finding("kill switch", whole)
    assert stopped.ok is False
    assert "(a key leaked). Once it may go on: `bellhop resume`" in stopped.sentence
