"""What a person prefers: the model, a branch for each repository, how much is told in the thread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from session.audit import Audit, AuditEntry
from session.catalogue import Catalogue, UnknownRepository
from session.database import Database, Transaction, marks
from session.directory import Directory
from session.people import Person
from session.refusals import NotAllowed, NotFound, Refusal

Verbosity = Literal["quiet", "normal", "detailed"]

VERBOSITIES: tuple[Verbosity, ...] = get_args(Verbosity)
DEFAULT_VERBOSITY: Verbosity = "normal"

MAX_BRANCH_CHARACTERS = 200

_GUEST = "Guests can watch here, so there is nothing to set. Ask a full member."

# Source: git-check-ref-format(1), narrowed to what a branch is ever called.
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[\w](?:[\w./@+#-]*[\w@+#-])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody prefers.

    model: None means the installation's own. verbosity: "quiet" is the card, questions and the answer,
    "normal" also the agent's updates, "detailed" also what each run of the checks said. branches: by
    repository.
    """

    model: str | None = None
    verbosity: Verbosity = DEFAULT_VERBOSITY
    branches: Mapping[str, str] = field(default_factory=dict)

    def branch(self, slug: str) -> str | None:
        """The branch that work in this repository starts from; None means the repository's own default."""
        return self.branches.get(slug)


class PreferenceBook:
    """Everybody's preferences. models: those that may be chosen, the installation's own first.

    Reading raises DatabaseDown. Changing also raises Refusal with the sentence to show, and AuditDown: a
    change is on the audit before it is made. `through` names where it was asked for (`slack`, `web`).
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        catalogue: Catalogue,
        audit: Audit,
        models: Sequence[str],
    ) -> None:
        self._database = database
        self._directory = directory
        self._catalogue = catalogue
        self._audit = audit
        self.models = tuple(models)

    async def of(self, person_id: str) -> Preferences:
        """What that person prefers, under whichever id; a model that is no longer offered is left out."""
        ids = await self._directory.ids(person_id)
        rows = await self._database.rows(
            f"SELECT person_id, kind, subject, value FROM preferences WHERE person_id IN {marks(len(ids))}",
            *ids,
        )
        # The person's present id comes last, so that it has the last word.
        rows.sort(key=lambda row: ids.index(row["person_id"]), reverse=True)
        found = {(row["kind"], row["subject"]): str(row["value"]) for row in rows}
        model = found.get(("model", ""))
        verbosity = found.get(("verbosity", ""))
        return Preferences(
            model=model if model in self.models else None,
            verbosity=next((known for known in VERBOSITIES if known == verbosity), DEFAULT_VERBOSITY),
            branches={slug: branch for (kind, slug), branch in sorted(found.items()) if kind == "branch"},
        )

    async def set_model(self, by: Person, model: str | None, *, through: str) -> Preferences:
        """From now on their requests go to that model; None: to the installation's own."""
        return await self._set(by, "model", "", self._model(model), through)

    async def set_verbosity(self, by: Person, verbosity: str | None, *, through: str) -> Preferences:
        """From now on so much is told in the threads of their sessions; None: as usual."""
        if verbosity is not None and verbosity not in VERBOSITIES:
            raise Refusal(f"I know {', '.join(VERBOSITIES[:-1])} and {VERBOSITIES[-1]}, not “{verbosity}”.")
        return await self._set(by, "verbosity", "", verbosity, through)

    async def set_branch(self, by: Person, slug: str, branch: str | None, *, through: str) -> Preferences:
        """From now on their work in that repository starts from that branch; None: from its default."""
        try:
            repository = self._catalogue.get(slug)
        except UnknownRepository as unknown:
            raise NotFound(unknown.sentence) from unknown
        if branch is not None and (len(branch) > MAX_BRANCH_CHARACTERS or not _BRANCH.fullmatch(branch)):
            raise Refusal(f"“{branch[:80]}” cannot be a branch. Write its name as git does: release/2.0")
        return await self._set(by, "branch", repository.slug, branch, through)

    def _model(self, model: str | None) -> str | None:
        if model is None:
            return None
        known = next((name for name in self.models if name.lower() == model.lower()), None)
        if known is None:
            raise NotFound(f"I do not know a model called “{model[:80]}”. There is {_listed(self.models)}.")
        return known

    async def _set(self, by: Person, kind: str, subject: str, value: str | None, through: str) -> Preferences:
        await self._refuse_guests(by)
        what = f"{kind} {subject}".strip()
        entry = AuditEntry(
            actor=f"{through} for {by.id}",
            action="preferences.set" if value is not None else "preferences.clear",
            target=what,
            outcome="done",
            detail={"by": by.name} if value is None else {"by": by.name, "value": value},
        )
        await self._audit.write(entry)
        ids = await self._directory.ids(by.id)

        async def work(transaction: Transaction) -> None:
            kept = ids[1:] if value is not None else ids
            if kept:
                await transaction.execute(
                    "DELETE FROM preferences WHERE kind = ? AND subject = ? "
                    f"AND person_id IN {marks(len(kept))}",
                    *(kind, subject, *kept),
                )
            if value is not None:
                await transaction.execute(
                    "INSERT INTO preferences (person_id, kind, subject, value) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (person_id, kind, subject) DO UPDATE SET value = excluded.value",
                    *(ids[0], kind, subject, value),
                )

        await self._database.run(work)
        return await self.of(by.id)

    async def _refuse_guests(self, by: Person) -> None:
        accounts = await self._directory.identities(by.id)
        if not accounts or all(account.guest for account in accounts):
            raise NotAllowed(_GUEST)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "none") if part)
