"""`bellhop policy` prints what holds for a repository, and says what is wrong with the file in a sentence."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.commands import bare_environment, bellhop

CATALOGUE = "- slug: acme/web\n  forge: local\n  url: /srv/web.git\n  egress: [python]\n  deny: [git push]\n"


async def test_the_policy_of_a_repository_is_printed(bellhop_home: Path) -> None:
    file = bellhop_home / "repositories.yaml"
    file.write_text(CATALOGUE)
    environment = {**bare_environment(bellhop_home), "REPOSITORIES_FILE": str(file)}
    ended = await bellhop("policy", "acme/web", environment=environment)
    assert ended.code == 0, ended
    assert "Commands refused [parser]\n  git push\n" in ended.printed
    unknown = await bellhop("policy", "acme/wbe", environment=environment)
    assert unknown.code == 1
    assert "Did you mean acme/web?" in unknown.complained
    file.write_text(f"{CATALOGUE}  budgets: {{cents: 1}}\n")
    wrong = await bellhop("policy", "acme/web", environment=environment)
    assert wrong.code == 1
    assert wrong.complained.startswith(
        "bellhop: repositories.yaml:6: budgets.cents: is no setting of budgets"
    )
