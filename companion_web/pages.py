"""The pages of one session: timeline, changes, checks, artifacts, log, and one call unfolded."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from companion_web.diff import FileDiff, UnreadableDiff, read_patches, show
from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.rooms import Room, Rooms
from companion_web.timeline import Item
from companion_web.visitors import Visitor
from session import events as e
from session.artifacts import Artifact, Artifacts
from session.log import Log
from session.view import SessionView

FIRST_ITEMS = 300
"""Items of a long timeline that are shown at first; the earlier ones are one click away."""

LOG_EVENTS = 200

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What a browser may show in place; anything else is downloaded, so that nothing in it can run."""


class SessionPages:
    """Everything under `/s/<session>` that is looked at."""

    def __init__(
        self, rooms: Rooms, log: Log, artifacts: Artifacts, fragments: Fragments, door: Door
    ) -> None:
        self._rooms = rooms
        self._log = log
        self._artifacts = artifacts
        self._fragments = fragments
        self._door = door

    def routes(self) -> list[Route]:
        """Where they are."""
        page = self._door.page
        return [
            Route("/s/{session_id}", page(self.timeline), methods=["GET"]),
            Route("/s/{session_id}/changes", page(self.changes), methods=["GET"]),
            Route("/s/{session_id}/checks", page(self.checks), methods=["GET"]),
            Route("/s/{session_id}/artifacts", page(self.artifacts), methods=["GET"]),
            Route("/s/{session_id}/artifacts/{artifact_id}", page(self.artifact), methods=["GET"]),
            Route("/s/{session_id}/log", page(self.log), methods=["GET"]),
            Route("/s/{session_id}/calls/{seq:int}", page(self.call), methods=["GET"]),
        ]

    async def timeline(self, request: Request, visitor: Visitor) -> Response:
        """The session as it stands, ready to be kept up to date."""
        return await self._timeline(request, visitor)

    async def refused(
        self, request: Request, visitor: Visitor, form: Form, sentence: str, status: int
    ) -> Response:
        """The same page, with the sentence that says why something was not done, and the text kept."""
        return await self._timeline(request, visitor, said=sentence, draft=form.text("text"), status=status)

    async def changes(self, request: Request, visitor: Visitor) -> Response:
        """The diff by file."""
        room = await self._room(request)
        # The room goes on while the diff is read. What is shown is of one moment, where the stream goes on.
        view = room.view
        files: list[FileDiff] = []
        problem = (
            ""
            if view.changes
            else "Nothing has changed yet. The diff appears here once a turn has changed files."
        )
        if view.changes and view.changes.diff_artifact:
            artifact = await self._artifacts.get(room.session_id, view.changes.diff_artifact)
            try:
                patches = read_patches(artifact.content) if artifact else ()
                files = await asyncio.to_thread(lambda: [show(patch) for patch in patches])
            except UnreadableDiff as error:
                problem = f"The changes cannot be shown: {error}."
        return self._render(
            request, visitor, view, "changes.html", tab="changes", files=files, problem=problem
        )

    async def checks(self, request: Request, visitor: Visitor) -> Response:
        """The last verification with what each check printed."""
        room = await self._room(request)
        return self._render(request, visitor, room.view, "checks.html", tab="checks")

    async def artifacts(self, request: Request, visitor: Visitor) -> Response:
        """All artifacts, newest first."""
        room = await self._room(request)
        return self._render(
            request, visitor, room.view, "artifacts.html", tab="artifacts", image_types=IMAGE_TYPES
        )

    async def artifact(self, request: Request, visitor: Visitor) -> Response:
        """One artifact's content, which can do nothing here but be looked at."""
        found = await self._artifacts.get(
            request.path_params["session_id"], request.path_params["artifact_id"]
        )
        return _content(found) if found else self._door.missing(request, visitor)

    async def log(self, request: Request, visitor: Visitor) -> Response:
        """Raw events, `?after=` a sequence; the newest without it."""
        room = await self._room(request)
        newest = max(room.view.seq - LOG_EVENTS, 0)
        asked = request.query_params.get("after", "")
        after = min(int(asked), newest) if asked.isdecimal() and len(asked) < 12 else newest
        records = await self._log.read(room.session_id, after=after, limit=LOG_EVENTS)
        return self._render(
            request,
            visitor,
            room.view,
            "log.html",
            tab="log",
            records=records,
            older=max(after - LOG_EVENTS, 0) if after else None,
            newer=min(after + LOG_EVENTS, newest) if after < newest else None,
        )

    async def call(self, request: Request, visitor: Visitor) -> Response:
        """One tool call with its arguments and output; only that for a script that unfolds it in place."""
        room = await self._room(request)
        item = room.timeline.item_at(request.path_params["seq"])
        if item is None or item.kind != "call":
            return self._door.missing(request, visitor)
        arguments, result = await asyncio.gather(self._arguments(room, item), self._result(room, item))
        whole = request.headers.get("sec-fetch-dest") != "empty"
        html = self._fragments.page(
            "call.html" if whole else "call_body.html",
            item=item,
            view=room.view,
            arguments=arguments,
            result=result,
            **self._door.context(request, visitor),
        )
        return HTMLResponse(html, headers={"Vary": "Sec-Fetch-Dest"})

    async def _arguments(self, room: Room, item: Item) -> str:
        event = await self._event(room, item.reply_seq)
        if not isinstance(event, e.ModelReplied) or not isinstance(item.event, e.ToolCalled):
            return ""
        asked = (call for call in event.tool_calls if call.call_id == item.event.call_id)
        return next((_readable(call.arguments) for call in asked), "")

    async def _result(self, room: Room, item: Item) -> e.ToolReturned | None:
        event = await self._event(room, item.result_seq)
        return event if isinstance(event, e.ToolReturned) else None

    async def _event(self, room: Room, seq: int | None) -> e.Event | None:
        if seq is None:
            return None
        records = await self._log.read(room.session_id, after=seq - 1, limit=1)
        return records[0].event if records else None

    async def _room(self, request: Request) -> Room:
        return await self._rooms.enter(request.path_params["session_id"])

    async def _timeline(
        self, request: Request, visitor: Visitor, said: str = "", draft: str = "", status: int = 200
    ) -> Response:
        room = await self._room(request)
        items = list(room.timeline.items.values())
        earlier = 0 if "all" in request.query_params else max(len(items) - FIRST_ITEMS, 0)
        return self._render(
            request,
            visitor,
            room.view,
            "session.html",
            tab="timeline",
            items=[room.item_html(item) for item in items[earlier:]],
            earlier=earlier,
            said=said,
            draft=draft,
            status=status,
        )

    def _render(
        self,
        request: Request,
        visitor: Visitor,
        view: SessionView,
        template: str,
        status: int = 200,
        **context: object,
    ) -> Response:
        defaults: dict[str, object] = {"draft": "", **self._door.context(request, visitor)}
        html = self._fragments.page(
            template, **{**defaults, **context}, view=view, parts=self._fragments.parts(view)
        )
        return HTMLResponse(html, status)


def _readable(arguments: str) -> str:
    """The model's JSON laid out in lines; text that is no JSON as it is."""
    try:
        parsed: object = json.loads(arguments)
    except ValueError:
        return arguments
    if isinstance(parsed, dict):
        return "\n".join(f"{key}: {_value(value)}" for key, value in parsed.items())
    return json.dumps(parsed, ensure_ascii=False, indent=2)


def _value(value: object) -> str:
    if isinstance(value, str):
        return f"\n{value}" if "\n" in value else value
    return json.dumps(value, ensure_ascii=False, indent=2)


def _content(artifact: Artifact) -> Response:
    shown = artifact.media_type in IMAGE_TYPES
    plain = artifact.media_type.startswith("text/") or artifact.media_type == "application/json"
    media_type = artifact.media_type if shown else "text/plain" if plain else "application/octet-stream"
    disposition = "inline" if shown or plain else "attachment"
    return Response(
        artifact.content,
        media_type=media_type,
        headers={
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(artifact.name, safe='')}",
            "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        },
    )
