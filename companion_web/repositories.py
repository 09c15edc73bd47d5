"""The repositories with their images, and what one build said."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.visitors import Visitor
from session.access import reaches
from session.catalogue import Catalogue, UnknownRepository
from session.image_requests import ImageRequests, ImageState
from session.refusals import NotAllowed, NotFound

_ADMINS_ONLY = "Only admins build images by hand. Otherwise an image is built when something changes."


class RepositoriesPage:
    """Everything under `/repositories`."""

    def __init__(self, catalogue: Catalogue, images: ImageRequests, fragments: Fragments, door: Door) -> None:
        self._catalogue = catalogue
        self._images = images
        self._fragments = fragments
        self._door = door

    def routes(self) -> list[Route]:
        """Where it is."""
        page, action = self._door.page, self._door.action
        return [
            Route("/repositories", page(self.show), methods=["GET"]),
            Route("/repositories/build", action(self.build, self.refused), methods=["POST"]),
            Route("/repositories/builds/{build_id}", page(self.one), methods=["GET"]),
        ]

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The list."""
        return await self._page(request, visitor)

    async def refused(
        self, request: Request, visitor: Visitor, form: Form, sentence: str, status: int
    ) -> Response:
        """The list with the sentence that says why nothing is built."""
        return await self._page(request, visitor, said=sentence, status=status)

    async def build(self, request: Request, visitor: Visitor, form: Form) -> str:
        """Has a worker build an image now."""
        if not reaches(visitor.role, "admin"):
            raise NotAllowed(_ADMINS_ONLY)
        try:
            slug = self._catalogue.get(form.text("slug")).slug
        except UnknownRepository as unknown:
            raise NotFound(unknown.sentence) from unknown
        await self._images.build_now(slug)
        return f"/repositories?asked={quote(slug)}"

    async def one(self, request: Request, visitor: Visitor) -> Response:
        """One build with its log; with `?part` only that, for the script that follows it."""
        build = await self._images.builds.find(str(request.path_params["build_id"]))
        if build is None:
            return self._door.missing(request, visitor)
        others = await self._images.builds.of(build.made.repository)
        told = {"build": build, "log": await self._images.builds.log(build.id), "others": others}
        if "part" in request.query_params:
            return HTMLResponse(self._fragments.page("build_body.html", **told))
        html = self._fragments.page("build.html", **{**self._door.context(request, visitor), **told})
        return HTMLResponse(html)

    async def _page(
        self, request: Request, visitor: Visitor, *, said: str = "", status: int = 200
    ) -> Response:
        states = await self._images.states()
        rows = [
            (repository, states.get(repository.slug.lower(), ImageState()))
            for repository in self._catalogue.active
        ]
        html = self._fragments.page(
            "repositories.html",
            **{
                **self._door.context(request, visitor),
                "rows": rows,
                "asked": request.query_params.get("asked", "").lower(),
                "may_build": reaches(visitor.role, "admin"),
                "said": said,
            },
        )
        return HTMLResponse(html, status)
