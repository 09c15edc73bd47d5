"""What is accustomed here: preferences of people and rules of channels, in one hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from session.audit import Audit
from session.catalogue import Catalogue
from session.channel_rules import ChannelRuleBook
from session.database import Database
from session.directory import Directory
from session.preferences import PreferenceBook


@dataclass(frozen=True, slots=True)
class Customs:
    """Both books."""

    people: PreferenceBook
    channels: ChannelRuleBook

    @classmethod
    def over(
        cls,
        database: Database,
        directory: Directory,
        catalogue: Catalogue,
        audit: Audit,
        models: Sequence[str],
    ) -> Self:
        """Both books over that database. models: those that may be chosen, the installation's own first."""
        return cls(
            PreferenceBook(database, directory, catalogue, audit, models),
            ChannelRuleBook(database, directory, catalogue, audit),
        )
