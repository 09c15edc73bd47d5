"""`.bellhop/config.yaml`: what a repository says of itself. Its rules only make the company's stricter."""

from __future__ import annotations

from pydantic import ValidationError, field_validator

from sandbox.environments.service import MOST_SERVICES
from sandbox.policy.service_config import ServiceConfig
from session.lined_yaml import Misplaced, read
from session.people import Declared
from session.policy import POLICY_FIELDS, CommandRule, check_pattern
from session.policy_words import first_problem

STRICTER = ("deny", "ask", "protected_paths")
"""The fields of a policy that a repository may add to: each of them only takes away."""
_EXAMPLE = "Example: `verify: [make test]`."


class RepositoryConfig(Declared):
    """Shell commands that prepare a box and that check a change; commands refused or asked about, and files
    whose change needs an approval, beside those of the catalogue; services that run beside a box or in it."""

    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    deny: tuple[CommandRule, ...] = ()
    ask: tuple[CommandRule, ...] = ()
    protected_paths: tuple[str, ...] = ()
    services: tuple[ServiceConfig, ...] = ()

    @field_validator("setup", "verify", "deny", "ask", "protected_paths", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("protected_paths")
    @classmethod
    def _below_the_root(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_pattern(pattern) for pattern in patterns)

    @field_validator("services")
    @classmethod
    def _few_with_names(cls, services: tuple[ServiceConfig, ...]) -> tuple[ServiceConfig, ...]:
        names = [service.name.lower() for service in services]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two services are called {twice!r}: give each a name of its own")
        if len(services) > MOST_SERVICES:
            raise ValueError(f"there are {len(services)} services, at most {MOST_SERVICES} can run")
        return services


def read_config(text: str) -> RepositoryConfig:
    """What the file says. Raises: Misplaced, with a sentence that says what to write instead."""
    content = read(text)
    if content is None:
        return RepositoryConfig()
    if not content.is_mapping:
        raise Misplaced(content.line, f"must be settings with their names. {_EXAMPLE}")
    values = content.value()
    assert isinstance(values, dict)
    for field in POLICY_FIELDS - set(STRICTER):
        if field in values:
            raise Misplaced(
                content.line_of((field,)),
                f"`{field}` is decided in the catalogue of the company. A repository itself can only add "
                f"stricter rules: {', '.join(STRICTER)}.",
            )
    try:
        return RepositoryConfig.model_validate(values)
    except ValidationError as error:
        problem = first_problem(error, RepositoryConfig)
        example = "" if "Example:" in problem.sentence else f". {_EXAMPLE}"
        raise Misplaced(content.line_of(problem.path), f"{problem.sentence.rstrip('.')}{example}") from error
