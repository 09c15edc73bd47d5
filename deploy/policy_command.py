"""`bellhop policy SLUG`: what holds for one repository, and what enforces it."""

from __future__ import annotations

import sys

from session.catalogue import Catalogue, UnknownRepository
from session.policy_description import describe
from session.settings import Settings


def show_policy(settings: Settings, slug: str) -> int:
    """Prints the policy of that repository; 1 when the catalogue has none of that name.

    Raises: CatalogueError.
    """
    catalogue = Catalogue.load(settings.repositories_file)
    try:
        repository = catalogue.get(slug)
    except UnknownRepository as error:
        print(f"bellhop: {error.sentence}", file=sys.stderr)
        return 1
    print(describe(repository))
    print(
        "\nThe repository's own .bellhop/config.yaml can add to: commands refused or asked about, and files "
        "whose change needs an approval."
    )
    return 0
