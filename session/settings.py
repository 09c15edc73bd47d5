"""Settings: read once from the environment, each with what it is for; nothing else reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from session.people import Role
from session.settings_faults import explained
from session.settings_of_discord import DiscordSettings, address_of, setting

_REGISTRY = (
    r"^$|^(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+:[0-9]+)(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+$"
)
"""A host with a dot or a port, and a path: to an engine, other names are those of the public registry."""


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it, says what it is for and gives an example."""


class Settings(DiscordSettings):
    """All settings of Bellhop. The environment variable of each is its name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    # Where things live
    bellhop_home: Path = setting(
        Path("~/.bellhop"), "directory of the embedded database, keys and mirrors", "/var/lib/bellhop"
    )
    database_url: str = setting(
        "",
        "where the record is kept; empty means a SQLite file in BELLHOP_HOME",
        "postgres://bellhop:secret@db.internal:5432/bellhop",
        secret=True,
    )
    redis_url: str = setting(
        "",
        "where the job queue and the doorbell live; empty means the bundled server",
        "redis://redis.internal:6379/0",
        secret=True,
    )
    repositories_file: Path = setting(
        Path("repositories.yaml"), "the catalogue of repositories", "/etc/bellhop/repositories.yaml"
    )
    public_url: str = setting(
        "", "address of the companion pages as people reach them", "https://bellhop.example.com"
    )
    web_host: str = setting("127.0.0.1", "address the web process listens on", "0.0.0.0")
    web_port: int = setting(
        8300, "port the web process listens on; 0 picks a free one", "8300", ge=0, le=65535
    )
    secret_key: str = setting(
        "",
        "key that seals stored credentials and signs cookies; empty means one made in BELLHOP_HOME",
        "the output of `openssl rand -base64 48`",
        secret=True,
    )

    former_secret_keys: str = setting(
        "",
        "earlier values of SECRET_KEY, parted by commas; they open what they sealed until it is rotated",
        "the key before this one",
        secret=True,
    )

    # The broker
    broker_socket: Path | None = setting(
        None, "socket of the broker; empty means one in BELLHOP_HOME", "/run/bellhop/broker.sock"
    )
    broker_clients: str = setting(
        "",
        "who may speak to the broker besides its own user, as part:user for bot, web and worker",
        "bot:bellhop-bot,web:bellhop-web,worker:bellhop-worker",
    )
    egress_networks: str = setting(
        "",
        "networks that boxes may reach through the door although they are not public, parted by commas",
        "10.20.0.0/16",
    )
    egress_authorities: Path | None = setting(
        None,
        "file of certificates (PEM) that servers outside are verified with, besides the system's own",
        "/etc/bellhop/company-ca.pem",
    )
    audit_anchors: Path | None = setting(
        None,
        "file that the head of the audit is written to each minute; empty means one in BELLHOP_HOME",
        "/var/log/bellhop/audit-anchors.jsonl",
    )

    # Slack
    slack_bot_token: str = setting("", "token of the Slack app's bot user", "xoxb-…", secret=True)
    slack_app_token: str = setting("", "Slack app-level token for Socket Mode", "xapp-…", secret=True)
    slack_signing_secret: str = setting(
        "", "signing secret of the Slack app, for events over HTTP", "8f742231b10e…", secret=True
    )
    slack_client_id: str = setting("", "client id of the Slack app, to add it to workspaces", "123.456")
    slack_client_secret: str = setting("", "client secret of the Slack app", "9f3c…", secret=True)
    slack_teams: str = setting(
        "",
        "ids of the workspaces that admins may add the Slack app to, parted by commas; empty means any",
        "T012AB3C4,T9TK3CUKW",
    )
    slack_api_url: str = setting(
        "https://slack.com/api/", "address of Slack's Web API", "https://slack.com/api/"
    )

    # Models
    openai_api_key: str = setting("", "key of the model provider", "sk-…", secret=True)
    openai_base_url: str = setting(
        "https://api.openai.com/v1", "address of an OpenAI-compatible API", "https://api.openai.com/v1"
    )
    agent_model: str = setting("gpt-5.2", "model that does the work", "gpt-5.2")
    fallback_models: str = setting(
        "",
        "models asked in this order while the one that does the work is unavailable, parted by commas",
        "gpt-5.1,gpt-5-mini",
    )
    offered_models: str = setting(
        "",
        "further models that people may choose for their requests, parted by commas",
        "gpt-5-mini,gpt-5.2-pro",
    )
    classifier_model: str = setting("gpt-5-mini", "fast model that finds the repository", "gpt-5-mini")

    transcription_model: str = setting(
        "gpt-4o-mini-transcribe", "model that writes voice clips out", "whisper-1"
    )

    # GitHub
    github_api_url: str = setting(
        "https://api.github.com", "address of GitHub's REST API", "https://api.github.com"
    )
    github_url: str = setting("https://github.com", "address of GitHub's pages and git", "https://github.com")
    github_app_id: str = setting("", "id of the GitHub App that clones and publishes", "123456")
    github_app_private_key: str = setting(
        "",
        "private key of the GitHub App: PEM text, or the path of its file",
        "/etc/bellhop/app.pem",
        secret=True,
    )
    github_client_id: str = setting("", "OAuth client id, with which people link their account", "Iv23li…")
    github_client_secret: str = setting("", "OAuth client secret", "0c8f…", secret=True)
    github_webhook_secret: str = setting(
        "", "secret that GitHub signs its webhooks with", "a long random text", secret=True
    )
    allowed_logins: str = setting(
        "", "GitHub logins that may sign in on the companion page, parted by commas", "ada,grace"
    )
    admin_logins: str = setting(
        "",
        "GitHub logins that may sign in and are admins from then on, parted by commas",
        "ada",
    )
    allowed_organisations: str = setting(
        "", "GitHub organisations whose members may sign in, parted by commas", "acme"
    )

    # Sandboxes
    docker_host: str = setting(
        "", "address of the container engine; empty means the usual socket", "unix:///run/docker.sock"
    )
    sandbox_backend: Literal["docker", "local", "auto"] = setting(
        "auto", "where boxes run; auto takes Docker when an engine answers", "docker"
    )
    sandbox_base_image: str = setting(
        "", "image of a box; empty means the one this version builds", "registry.internal/bellhop-box:1"
    )
    sandbox_runtime: str = setting("", "container runtime; empty means the engine's default", "runsc")
    sandbox_registry: str = setting(
        "",
        "where hosts share images and snapshots of boxes: a registry, and a path in it; empty means one host",
        "registry.internal:5000/bellhop",
        pattern=_REGISTRY,
    )
    saved_work_days: int = setting(
        30,
        "days that a quiet session's work is kept outside its sandbox; 0: for ever",
        "90",
        ge=0,
    )
    disk_free_gb: float = setting(
        5,
        "gigabytes that stay free on the disks of sandboxes: below, what can be spared is removed, and no "
        "new sandbox starts where that does not help; 0: nobody looks",
        "20",
        ge=0,
    )
    disk_most_gb: float = setting(
        0,
        "most gigabytes of disk that sandboxes, their snapshots and images may take, above which the same "
        "happens; 0 means no limit",
        "200",
        ge=0,
    )
    image_interval_minutes: int = setting(
        30,
        "minutes between two looks whether repositories need new images; 0 builds none by itself",
        "30",
        ge=0,
        le=60,
    )

    warm_boxes: int = setting(
        2,
        "sandboxes that may wait for sessions on one host, with about 13 MB of memory each; 0: none",
        "4",
        ge=0,
        le=50,
    )

    # How it behaves
    default_role: Role = setting("approver", "role of people seen for the first time", "prompter")
    mentions_required: bool = setting(False, "whether a follow-up in a thread must mention the bot", "true")
    approval_minutes: float = setting(30, "minutes an approval can be given", "30", gt=0, le=1440)
    feed_interval_seconds: float = setting(3.0, "least seconds between two edits of one card", "3", ge=0)
    worker_concurrency: int = setting(8, "turns one worker runs at once", "8", ge=1, le=256)
    lease_seconds: float = setting(20.0, "seconds after which a silent worker loses its turn", "20", gt=0)
    heartbeat_seconds: float = setting(5.0, "seconds between a worker's signs of life", "5", gt=0)
    sweep_seconds: float = setting(
        5.0, "seconds between two looks for work that nobody does, and of quiet before it counts", "5", gt=0
    )
    pause_seconds: float = setting(
        30.0,
        "seconds between two tries of a turn that waits for an outside part, such as the model",
        "30",
        gt=0,
    )
    turn_limit_seconds: int = setting(7200, "longest a turn may work, in seconds", "7200", ge=1)
    max_steps: int = setting(200, "most model calls in one turn", "200", ge=1)
    session_budget_usd: Decimal | None = setting(
        None,
        "dollars a session may use before it asks, where its repository sets no limit; empty means no limit",
        "5.00",
        gt=0,
    )
    max_sessions: int = setting(0, "sessions that may work at once; 0 means no limit", "40", ge=0)
    max_sessions_per_person: int = setting(
        0, "sessions that may work at once for one person; 0 means no limit", "4", ge=0
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "what is logged", "debug")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: a test's or an embedding program's environment must not leak in."""
        return (init_settings,)

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Self:
        """The settings of that environment (None: the process's own); empty variables count as unset.

        Raises: SettingsError.
        """
        given = os.environ if env is None else env
        values = {name: given[name.upper()] for name in cls.model_fields if given.get(name.upper())}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(explained(cls.model_fields, error)) from error
        if settings.heartbeat_seconds * 2 > settings.lease_seconds:
            raise SettingsError(
                "HEARTBEAT_SECONDS must be at most half of LEASE_SECONDS, so that one late sign of life does "
                "not cost a turn; for example HEARTBEAT_SECONDS=5 and LEASE_SECONDS=20"
            )
        if settings.discord_bot_token and settings.discord_guild is None:
            raise SettingsError(
                "DISCORD_GUILD is missing: it names the Discord server that the bot works in, and is needed "
                "with DISCORD_BOT_TOKEN; for example DISCORD_GUILD=112233445566778899"
            )
        return settings

    @field_validator(
        "bellhop_home",
        "repositories_file",
        "broker_socket",
        "egress_authorities",
        "audit_anchors",
        mode="after",
    )
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return path and path.expanduser()

    @field_validator("public_url", "slack_api_url", "openai_base_url", "github_api_url", "github_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return address_of(value, ("http", "https"))

    @field_validator("database_url")
    @classmethod
    def _database_address(cls, value: str) -> str:
        return address_of(value, ("sqlite", "postgres", "postgresql"))

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: str) -> str:
        return address_of(value, ("redis", "rediss", "unix"))

    @property
    def embedded(self) -> bool:
        """Whether this is the one-process set-up: SQLite file and bundled Redis."""
        return not self.redis_url and self.database_address.startswith("sqlite:")

    @property
    def database_address(self) -> str:
        """DATABASE_URL, or that of the SQLite file in BELLHOP_HOME."""
        return self.database_url or f"sqlite://{self.bellhop_home.absolute() / 'bellhop.db'}"

    @property
    def broker_address(self) -> Path:
        """BROKER_SOCKET, or the usual place in BELLHOP_HOME."""
        return self.broker_socket or self.bellhop_home / "run" / "broker.sock"

    @property
    def anchors_file(self) -> Path:
        """AUDIT_ANCHORS, or the usual place in BELLHOP_HOME."""
        return self.audit_anchors or self.bellhop_home / "audit-anchors.jsonl"

    @property
    def models(self) -> tuple[str, ...]:
        """The models that people may choose, the one that works unless they do first."""
        named = (self.agent_model, *parted(self.fallback_models), *parted(self.offered_models))
        return tuple(dict.fromkeys(named))

    @property
    def page_address(self) -> str:
        """PUBLIC_URL without a slash at its end, or the address that the web process listens on."""
        return self.public_url.rstrip("/") or f"http://{self.web_host}:{self.web_port}"


def parted(value: str) -> list[str]:
    """The entries of a setting that holds several, parted by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]
