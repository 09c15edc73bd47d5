"""Rules for shell commands: what they find, through which disguises, and what they leave alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.policy.commands import CommandRules, judge, matches_words
from sandbox.policy.shell import Word
from session.policy import CommandRule

PUSH = CommandRules(deny=(CommandRule(command="git push **", reason="publishing goes through Bellhop"),))
REMOVE = CommandRules(deny=(CommandRule(command="rm -rf **"),))

REFUSED = (
    "git push",
    "git push origin main",
    "cd /tmp && git push",
    "true; git push",
    "true || git push",
    "sleep 1 & git push &",
    "echo a | git push",
    "(git push)",
    "{ git push; }",
    "! git push",
    "if true; then git push; fi",
    "for a in 1 2; do git push; done",
    "while git push; do :; done",
    "case a in a) git push;; esac",
    "f() { git push; }; f",
    "echo $(git push)",
    "echo `git push`",
    'echo "all $(git push) done"',
    "x=$(git push)",
    "export X=$(git push)",
    "cat <(git push)",
    "[[ -n $(git push) ]]",
    "cat <<END\n$(git push)\nEND",
    "/usr/bin/git push",
    "../../usr/bin/git push",
    "'git' push",
    "g\"i\"t p'us'h",
    "\\git push",
    "g\\it pu\\sh",
    "gi\\\nt push",
    "$'\\x67it' $'pu\\163h'",
    "git -C /tmp push",
    'git -C "$HOME" push',
    "git -c user.name=a --git-dir=/tmp/.git push",
    "git --no-pager push",
    "/usr/lib/git-core/git-push origin",
    "A=1 B=2 git push",
    "env git push",
    "env -i A=1 git push",
    "env -u A git push",
    "env -S 'git push'",
    "sudo git push",
    "sudo -u root -- git push",
    "nice -n 10 git push",
    "timeout 5 git push",
    "timeout -k 1 -s KILL 5s git push",
    "nohup git push",
    "time git push",
    "command git push",
    "exec -a ls git push",
    "setsid nohup stdbuf -o0 git push",
    "coproc git push",
    "echo main | xargs git push origin",
    "xargs -n 1 -I{} git push {} < names",
    "find . -name x -exec git push {} \\;",
    "find . -exec sh -c 'git push' ';'",
    "busybox sh -c 'git push'",
    "sh -c 'git push'",
    "bash -lc 'cd x; git push'",
    "bash -e -c -- 'git push'",
    "bash -o pipefail -c 'git push'",
    "sh -c \"sh -c 'git push'\"",
    "eval git push",
    "eval 'git push'",
    "sh <<END\ngit push\nEND",
    "sh <<'END'\ngit push\nEND",
    "cd x && bash -s <<END\ngit push\nEND",
    "bash <<< 'git push'",
    ". /dev/stdin <<< 'git push'",
    "trap 'git push' EXIT",
    "alias p='git push'",
    "git -c alias.p=push p",
    "git -c alias.p='!git push' p",
    "su -c 'git push'",
    "uv run git push",
    "git 2>&1 push",
    "> out git push",
    "git push > out 2>&1",
    "git push\r\n",
    "cat <<END | sh\ngit push\nEND",
    "git push; echo 'unfinished",
)

ASKED = (
    "$GIT push",
    "x=git; $x push",
    "g?t push",
    "/usr/bin/g[i]t push",
    "{git,push}",
    "git${IFS}push",
    "git $1",
    'git "$verb" origin',
    "git pu*",
    "a=pu b=sh; git $a$b",
    "$(echo git) push",
    "$(echo git push)",
    "eval $CODE",
    'eval "$(printf %s git) push"',
    'sh -c "$CODE"',
    "sh -c '$0 $1' git push",
    "sh -c '\"$@\"' _ git push",
    "echo 'git push' | sh",
    "echo Z2l0IHB1c2g= | base64 -d | bash",
    "bash < script",
    "bash <(echo git push)",
    "source <(echo git push)",
    "echo 'git push' > x.sh; sh x.sh",
    "printf 'git push' > x; chmod +x x; ./x",
    "echo git push | tee x.sh; . ./x.sh",
    "ln -s /usr/bin/git g; ./g push",
    "hash -p /usr/bin/git g; g push",
    "echo push | xargs git",
    "python3 -c \"import os; os.system('git push')\"",
    "python - <<END\nimport subprocess\nsubprocess.run(['git', 'push'])\nEND",
    "perl -e 'exec \"git push\"'",
    "awk 'BEGIN { system(\"git push\") }'",
    "echo 'unfinished",
    'sh -c \'sh -c "echo \\"unfinished"\'',
    "vim -c ':!git push' -c q",
)

LEFT_ALONE = (
    "git status",
    "git commit -m 'git push later'",
    "git log --grep push",
    'git -C "$HOME" status',
    "git pull && make test",
    "grep -r 'git push' docs",
    "echo git push",
    "pushd /tmp",
    "gitk push",
    "cat <<'END' > notes\ngit push\nEND",
    "command -v git",
    "# git push",
    "python -m pytest tests/push",
    "find . -name push -print",
    'x=$HOME; ls "$x"',
    'for f in *.py; do wc -l "$f"; done',
    "make > build.log 2>&1; tail build.log",
    "timeout 60 pytest -q",
    "sh scripts/check.sh",
    "",
)

MISSED = (
    # A script that the repository or an earlier call holds: files are not looked into.
    "sh push.sh",
    "make publish",
    # Code of other languages that puts the words together, and data that is decoded there.
    "python3 -c \"import os; os.system('gi' + 't pu' + 'sh')\"",
    # Settings by which a program that is let through runs another one.
    "GIT_EDITOR='git push' git commit",
    "git -c core.fsmonitor='git push' status",
    "git config alias.p push; git p",
)


@pytest.mark.parametrize("script", REFUSED)
def test_a_refused_command_is_found_in_every_disguise(script: str) -> None:
    assert judge(script, PUSH).decision == "deny"


@pytest.mark.parametrize("script", ASKED)
def test_what_cannot_be_read_is_asked_about(script: str) -> None:
    judgement = judge(script, PUSH)
    assert judgement.decision == "ask"
    assert judgement.why.endswith(".")


@pytest.mark.parametrize("script", LEFT_ALONE)
def test_other_commands_run(script: str) -> None:
    assert judge(script, PUSH).decision == "allow"


@pytest.mark.parametrize("script", MISSED)
def test_what_these_rules_cannot_see_is_known(script: str) -> None:
    # The page for repository owners lists these: whoever teaches the rules one of them corrects it there.
    assert judge(script, PUSH).decision == "allow"


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf x", "rm -fr x", "rm -r -f x", "rm -f x -r", "rm -vrf x", "rm -Rf x", "rm --recur -f x",
        "rm --recursive --force x", "sudo rm -r -- -f x", "find . -type d -exec rm -rf {} +",
    ],
)  # fmt: skip
def test_options_count_in_every_form(script: str) -> None:
    decision = judge(script, REMOVE).decision
    # After `--` there are no options: this one looks like the rule, and is refused to be safe.
    assert decision == "deny"


@pytest.mark.parametrize(
    ("script", "decision"),
    [("rm -r x", "allow"), ("rm x", "allow"), ('rm -r "$x"', "ask"), ("find . | xargs rm", "ask")],
)
def test_options_that_are_not_there_do_not_count(script: str, decision: str) -> None:
    assert judge(script, REMOVE).decision == decision


@pytest.mark.parametrize(
    ("rule", "command", "match"),
    [
        ("git push", "git push origin", "yes"),
        ("git push **", "git push", "yes"),
        ("git push origin", "git push", "no"),
        ("docker * prune", "docker image prune -a", "yes"),
        ("docker * prune", "docker prune", "no"),
        ("npm publish", "npm --workspace a publish", "yes"),
        ("terraform apply", "terraform plan", "no"),
        ("terraform -auto-approve", "terraform apply -auto-approve", "yes"),
        ("kubectl delete **", "kubectl -n prod delete pod x", "yes"),
        ("./deploy.sh", "scripts/deploy.sh now", "no"),
        ("aws* s3", "awslocal s3 ls", "yes"),
        ("**", "anything", "yes"),
    ],
)
def test_a_rule_is_the_beginning_of_a_command(rule: str, command: str, match: str) -> None:
    words = [Word(text) for text in command.split()]
    assert matches_words(rule, words) == match


def test_deny_comes_before_ask_and_ask_before_what_cannot_be_read() -> None:
    rules = CommandRules(
        deny=(CommandRule(command="git push"),), ask=(CommandRule(command="git", reason="look first."),)
    )
    assert judge("git push; $X", rules).decision == "deny"
    asked = judge("git status; $X", rules)
    assert asked.why == "The rule `git` of this repository asks about it: look first."
    assert judge("ls", rules).decision == "allow"


def test_without_rules_nothing_is_asked_and_with_the_policy_everything() -> None:
    assert judge("$X push; 'unfinished", CommandRules()).decision == "allow"
    assert judge("ls", CommandRules(always=True)).decision == "ask"


def test_what_is_nested_too_deeply_or_too_much_is_asked_about() -> None:
    deep = "git status"
    for _ in range(7):
        deep = f"eval {_quoted(deep)}"
    assert judge(deep, PUSH).decision == "ask"
    assert judge("ls\n" * 2500, PUSH).decision == "ask"
    assert judge("(" * 20_000 + "git push" + ")" * 20_000, PUSH).decision != "allow"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@given(
    st.text(alphabet=st.sampled_from("git push;|&$(){}<>'\"`\\\n*?[]=-~!#EOFsh/c \ud800\x00"), max_size=60)
)
def test_no_script_breaks_the_reading(script: str) -> None:
    assert judge(script, PUSH).decision in ("allow", "ask", "deny")


@given(st.sampled_from(REFUSED), st.sampled_from(LEFT_ALONE))
def test_company_does_not_hide_a_refused_command(refused: str, other: str) -> None:
    assert judge(f"{other}\n{refused}\n", PUSH).decision == "deny"
