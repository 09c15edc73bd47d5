"""Every sentence the bot says, in one place: short, warm, no jargon.

What has many of its own stands next door, in modules that end in `_sentences`: the sandbox, voice clips,
plain words, preferences, and the overview of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bot.long_text import one_line
from session import events as e
from session.broker_accounts import DeviceCode
from session.view import ApprovalView, SessionView, State

STATES: dict[State, str] = {
    "routing": "Finding the repository",
    "awaiting_repository": "Waiting for you: which repository?",
    "queued": "In line",
    "starting": "Getting a workspace ready",
    "running": "Working",
    "awaiting_approval": "Waiting for your approval",
    "awaiting_answer": "Waiting for your answer",
    "paused": "Paused, goes on by itself",
    "idle": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
    "archived": "Closed",
}

HOW_TO = (
    "Hi! Tell me in the same message what you would like changed, in your own words, for example: "
    "“the invoice total is wrong when a discount is 100 %, please fix it and add a test”."
)
GUEST = "I can only take requests from members of this workspace. You are welcome to watch, though."
CODE_SPENT = "That code has been used, or its time is over. Your account page gives you a new one."
ACCOUNT_TAKEN = (
    "This chat account is linked already, together with others, so I cannot give it to somebody else. "
    "Ask an admin if that is wrong."
)
CODE_RAN_OUT = "The code ran out before it was typed in. Say “link github” for a new one."
NOT_LINKED = "No GitHub account of yours is linked, so there is nothing to unlink."
UNEXPECTED = (
    "Something went wrong on my side and I could not take that in. Please try again in a moment; "
    "if it happens again, show your admins this code: `{code}`."
)
NO_FORK_YET = "Forking a session is not possible yet. Start a new request and I will pick up from the branch."
ALREADY_HERE = "I am already on this one: the card is in its thread."
MESSAGE_GONE = "I cannot find that message any more, so I have nothing to start from."
NOTHING_TO_START = "There is no text in that message for me to work from."
NOT_IN_CHANNEL = "I am not in that channel, so I could not answer there. Invite me first, then try again."
OLD_BUTTON = "That has changed since; please use the newest message."
THANKS_GOOD = "Thank you, noted that this was good."
THANKS_BAD = "Thank you, noted. Tell me in a reply what should be different and I will go at it again."
WRONG_REPOSITORY = "**Sorry about that! Which repository is it?** I start anew as soon as you pick."
NEARLY_A_REPOSITORY = "**No repository is called quite so. Is it one of these?**"
DATABASE_DOWN = (
    "My memory does not answer right now, so I have not taken that in. Please try again in a minute."
)
GONE = "I do not know that session any more."
SAVED = "The work is saved. "
HOW_TO_GO_ON = "If no pull request follows, tell me here how to go on."
MOST_HOLDS = 5
MIDDLE_ON_PAGE = "_… the part in between is on the session's page …_"
EMPTY_ANSWER = (
    "The agent ended without saying what it did, so please treat this as not done. "
    "The work so far is saved. Tell me here what to look at, and I will go at it again."
)


def linked(name: str) -> str:
    """A chat account and a person of the companion page are one from now on."""
    return f"Linked: what you ask for here is done as {name} from now on. If a turn failed over it, try 🔁."


def device_code(code: DeviceCode) -> str:
    """How to link a GitHub account, for the person alone."""
    return (
        f"To link your GitHub account, open {code.verification_uri} and type in **{code.user_code}** "
        f"within {duration(code.expires_in)}. I tell you here when it is done. The code is yours alone: give "
        "it to nobody, and type in none that somebody else gave you."
    )


def github_linked(login: str) -> str:
    """The code was typed in."""
    return (
        f"Linked: what you ask for is done as {login} on GitHub from now on. If a turn failed over it, "
        "try 🔁. “unlink github” takes it back."
    )


def unlinked(login: str) -> str:
    """The account is forgotten."""
    return f"Unlinked: nothing is done as {login} on GitHub for you any more. “link github” links it again."


def state_words(view: SessionView) -> str:
    """The state as people read it."""
    if view.stop_requested is not None and (view.turn_open or view.state in ("routing", "queued")):
        return "Stopping"
    if view.state == "idle" and view.open_approvals:
        return "Done, and one thing waits for your approval"
    return STATES[view.state]


def unread_file(name: str) -> str:
    """Said once for a file that cannot be read."""
    return f"I see the file “{one_line(name, 80)}”, but I cannot read that kind yet: I go by your words."


def unexpected(code: str) -> str:
    """Said when this edge itself fails; `code` finds the log line."""
    return UNEXPECTED.format(code=code)


def ask_repository(asked: e.RepositoryAsked) -> str:
    """The question which repository is meant."""
    lines = ["**Which repository do you mean?**"]
    if asked.reason:
        lines.append(asked.reason)
    lines.append("Pick one below, or just write its name.")
    return "\n\n".join(lines)


def repository_settled(chosen: e.RepositoryChosen) -> str:
    """What the question turns into once it is answered."""
    who = f", picked by {chosen.by.name}" if chosen.by else ""
    return f"Repository: **{chosen.slug}**{who}."


def question(asked: e.QuestionAsked) -> str:
    """A question of the agent."""
    return f"**A question before I go on:**\n\n{asked.text}"


def question_settled(asked: e.QuestionAsked, answer: e.QuestionAnswered) -> str:
    """What a question turns into once it is answered."""
    return f"**A question:**\n\n{asked.text}\n\n→ {answer.by.name}: {one_line(answer.text, 300)}"


_APPROVAL_HEADINGS: dict[e.ApprovalKind, str] = {
    "repository": "May I work in this repository?",
    "plan": "Is this plan right?",
    "command": "This needs your word. Shall I?",
    "egress": "A new address. Shall I?",
    "pull_request": "Ready. Shall I?",
    "merge": "Next step. Shall I?",
    "budget": "A budget is used up. Shall I go on?",
}


def approval(request: e.ApprovalRequested) -> str:
    """What people are asked to approve, exactly."""
    parts = [_APPROVAL_HEADINGS[request.kind], f"**{request.title}**" if request.title else ""]
    if request.kind == "egress" and request.subject:
        parts.append(f"`{request.subject}`")
    return "\n\n".join(part for part in [*parts, request.detail] if part)


def approval_small_print(request: e.ApprovalRequested) -> tuple[str, ...]:
    """What an approval is bound to, and how to give it."""
    until = f"until {request.expires_at:%H:%M} UTC"
    match request.kind:
        case "egress":
            yes = f"✅ allows it for this session only; answer {until}"
        case "command" if request.subject.startswith("mcp call "):
            yes = f"✅ allows what is said above; answer {until}"
        case "command":
            yes = f"✅ allows exactly this, once; answer {until}"
        case "budget":
            yes = f"✅ grants as much again; answer {until}"
        case "plan":
            yes = f"✅ lets me work by these steps, others I ask about again; answer {until}"
        case _:
            commit = f" (commit {request.head_sha[:10]})" if request.head_sha else ""
            yes = f"✅ says yes to exactly this{commit}, {until}"
    no = "🛑 says no; or just write what should be different" if request.kind == "plan" else "🛑 says no"
    return (yes, no)


def approval_settled(item: ApprovalView) -> str:
    """The line that replaces the buttons of an approval."""
    name = item.by.name if item.by else "someone"
    match item.state:
        case "given":
            return f"✅ Approved by {name}. Take ✅ away to take it back before it happens."
        case "used" if item.request.kind == "plan":
            return f"✅ Approved by {name}; I work by it."
        case "used":
            return f"✅ Approved by {name}, and done."
        case "refused":
            return f"🛑 {name} said no."
        case "voided":
            return f"No longer open: {item.reason or 'what it showed has changed'}"
        case _:
            return ""


def failure(cause: str, advice: str, *, saved: bool = True) -> str:
    """What failed, that the work is saved unless it could not be, and what to do."""
    kept = "" if advice.startswith(SAVED) or not saved else "The work so far is saved. "
    advice = advice if saved else advice.removeprefix(SAVED)
    return f"**That did not work:** {cause}\n\n{kept}{advice}".strip()


def budget_warned(text: str) -> str:
    """How much is used, and what happens when all is."""
    return f"{text} When all of it is used, the work stops until somebody here says how to go on."


def held_back(event: e.WorkHeldBack) -> str:
    """What keeps the work in the sandbox, that nothing has left, and what to do."""
    shown = [_hold(hold) for hold in event.holds[:MOST_HOLDS]]
    if len(event.holds) > MOST_HOLDS:
        shown.append(f"{len(event.holds) - MOST_HOLDS} more, on the session's page")
    what = f" {shown[0]}." if len(shown) == 1 else "\n\n" + "\n".join(f"- {line}" for line in shown)
    kept = ", and the work is saved" if event.saved else "; the work is still in it"
    parts = [f"**Held back:**{what}", f"Nothing has left the sandbox{kept}. {HOW_TO_GO_ON}"]
    if any(hold.kind == "secret" for hold in event.holds):
        parts.append("If the secret is real, please replace it where it is in use: the agent has seen it.")
    return "\n\n".join(parts)


def held_back_note(holds: Sequence[e.Hold]) -> str:
    """The same for the card, as short as it can be."""
    more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
    return f"Held back: {_hold(holds[0])}{more}"


def _hold(hold: e.Hold) -> str:
    """One thing that keeps the work in, without a full stop."""
    what = hold.what.rstrip(".")
    if not hold.commit:
        return what
    commit = f"commit {hold.commit[:12]}"
    path = one_line(hold.path, 120).replace("`", "'")
    return f"`{path}` in {commit} {what}" if path else f"{commit[:1].upper()}{commit[1:]} {what}"


def merge_failure(cause: str, advice: str) -> str:
    """Why an approved merge was not carried out."""
    return f"**I could not merge it:** {cause}\n\nThe pull request is untouched. {advice}".strip()


def branch_only(branch: str, public_url: str) -> str:
    """Said with the answer when the work is on the forge, but no pull request could be opened."""
    account = f"{public_url.rstrip('/')}/account" if public_url else "the account page"
    return (
        f"The branch `{branch}` is published, but no pull request was opened: open it by hand with the "
        "button below. To have me do it in your name, say “link github” to me, or "
        f"connect your GitHub account on {account}."
    )


def degraded(part: e.PartDegraded) -> str:
    """A part that does not answer, and what that means here."""
    # What these two are away for is a sentence of its own; their names mean nothing in a thread.
    words = part.detail if part.part in ("broker", "audit") else f"{part.part}: {part.detail}"
    return words[:1].upper() + words[1:]


def unsaved(part: e.PartDegraded) -> str:
    """Said when a turn's work could not be saved: the sandbox has the only copy."""
    return f"{degraded(part).rstrip('.')}. Tell me here what can be left out, or to try again."


def stopped(by: str, waiting: int, saved: bool, halt: str | None) -> str:
    """Said when everything stands still. `saved`: there is work, and it is. `halt`: why all work was stopped,
    None where only this session is."""
    first = f"Stopped by {by}."
    after = ""
    if halt is not None:
        why = one_line(halt, 300).rstrip(".")
        first = f"{by} stopped all work{': ' if why else ''}{why}."
        after = " once an admin has resumed work"
    kept = " The work so far is saved." if saved else ""
    if waiting:
        line = "1 follow-up is" if waiting == 1 else f"{waiting} follow-ups are"
        kept += f" {line} kept in line; 🔁 on the card, or a new message, gets me going again{after}."
    else:
        kept += f" 🔁 on the card tries again{after}."
    return first + kept


def merged(number: int, by: str) -> str:
    """Said when the pull request is in."""
    return f"🎉 Pull request #{number} was merged" + (f" by {by}." if by else ".")


def closed(number: int, by: str) -> str:
    """Said when the pull request was closed without merging."""
    who = f" by {by}" if by else ""
    return f"Pull request #{number} was closed{who} without merging. Tell me here if I should go at it again."


def from_page(author: str, text: str) -> str:
    """A prompt that came in on the companion page, shown where the others can see it."""
    return f"{author} added on the session's page:\n\n{_quoted(text)}"


def changes(change: e.ChangesRecorded) -> str:
    """How big the diff is."""
    files = "1 file" if change.files == 1 else f"{change.files} files"
    return f"{files}, +{change.insertions} −{change.deletions}"


def checks(finished: e.VerificationFinished) -> str:
    """What the harness found on which commit."""
    sha = finished.head_sha[:10]
    names = ", ".join(f"`{one_line(check.command, 60)}`" for check in finished.checks)
    match finished.verdict:
        case "passed":
            return f"Checks passed on {sha}: {names}" if names else f"Checks passed on {sha}"
        case "failed":
            red = ", ".join(f"`{one_line(c.command, 60)}`" for c in finished.checks if c.verdict == "failed")
            return f"Checks failed on {sha}: {red or names}"
        case _:
            why = f" ({finished.reason})" if finished.reason else ""
            return f"Checks did not run on {sha}{why}: unverified"


def cost(amount: Decimal, known: bool) -> str:
    """Money so far; an unknown price is said, not guessed."""
    shown = f"${amount:.2f}" if amount >= Decimal("0.01") or amount == 0 else "under $0.01"
    return shown if known else (f"at least {shown}" if amount else "price unknown")


def duration(seconds: float) -> str:
    """A length of time in words as short as they can be."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def names(people: Sequence[str]) -> str:
    """Names in a row."""
    return ", ".join(people)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in one_line(text, 600).splitlines())
