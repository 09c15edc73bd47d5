"""What the pages for admins have in common: nobody else sees or does anything there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from companion_web.door import Door, Form
from companion_web.visitors import Visitor
from session.access import reaches
from session.refusals import NotAllowed


class AdminsPage(ABC):
    """A page for admins. `admins_only` is what others are told."""

    admins_only: ClassVar[str]

    def __init__(self, door: Door) -> None:
        self._door = door

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The page."""
        self._require_admin(visitor)
        return await self._page(request, visitor)

    async def refused(
        self, request: Request, visitor: Visitor, form: Form, sentence: str, status: int
    ) -> Response:
        """The page with a sentence; of what was typed nothing comes back, since it may be a secret."""
        if not reaches(visitor.role, "admin"):
            return self._door.message(request, visitor, status, "Not done", sentence)
        return await self._page(request, visitor, said=sentence, status=status)

    @abstractmethod
    async def _page(
        self, request: Request, visitor: Visitor, *, said: str = "", status: int = 200
    ) -> Response:
        """The page, with a sentence of what was said to a form."""

    def _require_admin(self, visitor: Visitor) -> None:
        """Let admins pass. Raises: NotAllowed."""
        if not reaches(visitor.role, "admin"):
            raise NotAllowed(self.admins_only)
