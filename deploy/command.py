"""The `bellhop` command. Each program imports what it needs: nobody waits for the others' libraries."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.bundled_redis import BundledRedisFailed
from deploy.demo.samples import NoRepository
from deploy.logs import configure
from sandbox.environments.protocol import EnvironmentUnavailable
from sandbox.forge.protocol import ForgeError
from session.catalogue import CatalogueError
from session.database import Database, DatabaseDown
from session.settings import Settings, SettingsError

_SAID = (
    SettingsError,
    CatalogueError,
    DatabaseDown,
    EnvironmentUnavailable,
    ForgeError,
    BundledRedisFailed,
    NoRepository,
)
"""What goes wrong in ways people can mend: said in a sentence, without a traceback."""

Program = Callable[[argparse.Namespace, Settings], Awaitable[int]]


def main() -> int:
    """Runs one of the programs; returns what the shell is told."""
    arguments = _parser().parse_args()
    try:
        settings = Settings.load()
        configure(settings.log_level)
        program: Program = arguments.program
        return asyncio.run(_until_signalled(program(arguments, settings)))
    except _SAID as error:
        print(f"bellhop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _until_signalled(program: Awaitable[int]) -> int:
    """What the program returns; SIGTERM and SIGINT end it in good order first, and then count as success."""
    running = asyncio.ensure_future(program)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return 0


def _forever(name: str) -> Program:
    async def program(arguments: argparse.Namespace, settings: Settings) -> int:
        from deploy import wiring

        await wiring.PROCESSES[name](settings)
        return 0

    return program


async def _migrate(arguments: argparse.Namespace, settings: Settings) -> int:
    settings.bellhop_home.mkdir(parents=True, exist_ok=True)
    database = await Database.open(settings.database_address)
    try:
        await database.migrate()
    finally:
        await database.aclose()
    print("The database is up to date.")
    return await _grant(arguments, settings) if arguments.role else 0


async def _doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.doctor import examine

    healthy = True
    async for finding in examine(settings):
        mark = {True: "ok  ", False: "FAIL", None: "--  "}[finding.ok]
        print(f"{mark}  {finding.part}: {finding.sentence}")
        for detail in finding.details:
            print(f"        {detail}")
        healthy = healthy and finding.ok is not False
    return 0 if healthy else 1


async def _classify(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.classify_command import Said, classify

    said = Said(arguments.text, arguments.channel, arguments.workspace)
    return await classify(settings, said, explain=arguments.explain)


async def _evaluate(arguments: argparse.Namespace, settings: Settings) -> int:
    from classifier.evaluate import CasesError
    from deploy.evaluate_command import evaluate_cases

    try:
        return await evaluate_cases(settings, arguments.cases, offline=arguments.offline)
    except CasesError as error:
        print(f"bellhop: {error}", file=sys.stderr)
        return 1


async def _policy(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.policy_command import show_policy

    return show_policy(settings, arguments.slug)


async def _verify_audit(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.audit_command import audit_verify

    return await audit_verify(settings)


async def _grant(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.audit_command import grant_role

    return await grant_role(settings, arguments.role)


async def _secrets(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.secrets_command import secrets

    return await secrets(settings, arguments.action, getattr(arguments, "name", ""))


async def _stop(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.stop_command import stop_all

    return await stop_all(settings, arguments.reason)


async def _resume(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.stop_command import resume

    return await resume(settings)


async def _images(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy import images_command

    match arguments.action:
        case "build":
            return await images_command.build_image(settings, arguments.slug)
        case "prune":
            return await images_command.prune_images(settings)
    return await images_command.list_images(settings)


async def _demo(arguments: argparse.Namespace, settings: Settings) -> int:
    from deploy.demo.demo import demo

    # Between the lines of a conversation there is no place for what processes tell operators.
    configure("warning" if settings.log_level == "info" else settings.log_level)
    return await demo(settings, arguments.repo)


_Add = Callable[[str, Program, str], argparse.ArgumentParser]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bellhop", description="A chat-first background coding agent.")
    add = _adding(parser)
    add("up", _forever("up"), "run all processes in one")
    add("bot", _forever("bot"), "run the chat process")
    add("web", _forever("web"), "run the companion pages and webhooks")
    add("broker", _forever("broker"), "run the broker, which alone holds credentials")
    add("worker", _forever("worker"), "run a worker: routing, turns, merges on this host")
    migrate = add("migrate", _migrate, "bring the database's tables up to date")
    migrate.add_argument("--role", metavar="ROLE", help="then do what `bellhop audit grant ROLE` does")
    add("doctor", _doctor, "check every outside part and say what to do")
    demo_ = add("demo", _demo, "see one request go through, with nothing to set up")
    demo_.add_argument("--repo", metavar="PATH_OR_URL", help="work on a copy of this repository")
    classify = add("classify", _classify, "say which repository a text is about")
    classify.add_argument("text")
    classify.add_argument("--channel", default="", help="name or id of the channel it was said in")
    classify.add_argument(
        "--workspace", default="", help="id of the channel's, where several have one so called"
    )
    classify.add_argument("--explain", action="store_true", help="say why")
    evaluate = add("evaluate", _evaluate, "measure how well repositories are found, over labelled requests")
    evaluate.add_argument("cases", nargs="?", type=Path, help="YAML file of them; left out: those of Bellhop")
    evaluate.add_argument("--offline", action="store_true", help="leave out what the model would decide")
    _of_images(_adding(add("images", _images, "see, build and remove the images that sessions start from")))
    _governance(add)
    return parser


def _governance(add: _Add) -> None:
    """What operators do about rules, credentials and trouble."""
    policy = add("policy", _policy, "say what holds for a repository, and what enforces it")
    policy.add_argument("slug", metavar="SLUG", help="the repository, such as acme/web")
    _of_secrets(_adding(add("secrets", _secrets, "store credentials in the broker, which never shows them")))
    audit = _adding(add("audit", _verify_audit, "check the audit, or say who may not change it"))
    audit(
        "verify",
        _verify_audit,
        "name the first row of the audit that was changed; run it with the broker's environment: without its "
        "SECRET_KEY the keys named in the anchors' file have to be believed",
    )
    grant = audit("grant", _grant, "let a role of PostgreSQL do all work, but not change the audit")
    grant.add_argument("role", metavar="ROLE", help="the role that the processes connect as")
    stop = add("stop", _stop, "stop all work at once and kill every box; nothing is lost")
    stop.add_argument("--all", action="store_true", required=True, help="everything, in all sessions")
    stop.add_argument("--reason", default="", help="why, for the threads that are told")
    add("resume", _resume, "let work go on after `bellhop stop --all`")


def _of_images(add: _Add) -> None:
    for action, words in (
        ("list", "say which image each repository has"),
        ("build", "build a repository's image on this host, from its base, and show what that says"),
        ("prune", "remove the images of this host that nobody needs"),
    ):
        command = add(action, _images, words)
        command.set_defaults(action=action)
        if action == "build":
            command.add_argument("slug", metavar="SLUG", help="the repository, such as acme/web")


def _of_secrets(add: _Add) -> None:
    for action, words in (
        ("set", "store a secret, its value from standard input"),
        ("list", "say which secrets are stored, by name"),
        ("rotate", "seal all secrets anew under the newest SECRET_KEY"),
        ("delete", "forget a secret"),
    ):
        command = add(action, _secrets, words)
        command.set_defaults(action=action)
        if action in ("set", "delete"):
            command.add_argument("name", metavar="NAME", help="capitals, digits and _, such as EXAMPLE_TOKEN")


def _adding(parser: argparse.ArgumentParser) -> _Add:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, program: Program, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(program=program)
        return command

    return add


if __name__ == "__main__":
    raise SystemExit(main())
