"""The rehearsal model: recorded scripts for the demo's sample repositories. It is not a language model.

It recognises a handful of requests by their words and plays, step by step, what a good engineer would do. The
tools it calls are real and so is all that they do; only the deciding is recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo.chat_requests import ChatMessage, ChatRequest
from deploy.demo.replies import Reply, ScriptedCall
from deploy.demo.scenes import Scene

AGENT = "rehearsal"
CLASSIFIER = "rehearsal-fast"


@dataclass(frozen=True, slots=True)
class RehearsedAgent:
    """Plays the scene that the newest recognised prompt calls for, one step for each reply."""

    scenes: Sequence[Scene]
    seconds_per_chunk: float = 0.01

    def reply(self, request: ChatRequest) -> Reply:
        """The next step of the scene, or a sentence that says what this model can play."""
        scene, step = self._place(request.messages)
        if scene is None:
            return self._say(_what_it_knows(self.scenes))
        if step >= len(scene.steps):
            return self._say("That is all that is recorded for this request.")
        played = scene.steps[step]
        calls = tuple(ScriptedCall(tool, json.dumps(arguments)) for tool, arguments in played.calls)
        return Reply(text=played.say, tool_calls=calls, delay_seconds=self.seconds_per_chunk)

    def _place(self, messages: Sequence[ChatMessage]) -> tuple[Scene | None, int]:
        for position in range(len(messages) - 1, -1, -1):
            if messages[position].role != "user":
                continue
            scene = next((s for s in self.scenes if s.asked_by(messages[position].text)), None)
            if scene is not None:
                return scene, sum(1 for m in messages[position:] if m.role == "assistant")
        return None, 0

    def _say(self, text: str) -> Reply:
        call = ScriptedCall("finish", json.dumps({"summary": text, "evidence": ""}))
        return Reply(tool_calls=(call,), delay_seconds=self.seconds_per_chunk)


def _what_it_knows(scenes: Sequence[Scene]) -> str:
    known = "\n".join(f"- {scene.example}" for scene in scenes)
    return (
        "This is the rehearsal model: it plays recorded scripts and does not understand anything else. "
        f"It knows these requests:\n\n{known}\n\nSet OPENAI_API_KEY to work with a real model."
    )


@dataclass(frozen=True, slots=True)
class RehearsedClassifier:
    """Chooses among the sample repositories by a few words, and says so when it cannot."""

    words: Sequence[tuple[str, str]] = (
        (r"\b(invoices?|totals?|cents?|tax)\b", "acme/billing"),
        (r"\b(soak|queue|messages? lost)\b", "acme/notify"),
        (r"\b(bells page|home page|site)\b", "acme/web"),
    )

    def reply(self, request: ChatRequest) -> Reply:
        """A choice in the form that the request's schema demands."""
        asked = json.loads(request.said_by("user")[-1].text)
        if "message" in asked:
            return Reply(text=json.dumps(_intent(asked["message"], asked["repositories"])))
        candidates = [candidate["slug"] for candidate in asked["candidates"]]
        found = [slug for pattern, slug in self.words if re.search(pattern, asked["request"], re.IGNORECASE)]
        slugs = [slug for slug in dict.fromkeys(found) if slug in candidates]
        choice = _choice(slugs[0]) if len(slugs) == 1 else _unknown(slugs or candidates)
        return Reply(text=json.dumps(choice))


def _intent(message: str, repositories: Sequence[str]) -> dict[str, object]:
    """What a short message in a thread wants, by a few words."""
    instead = re.search(r"\bin (?:\w+/)?(\w+) instead\b", message, re.IGNORECASE)
    named = [slug for slug in repositories if instead and slug.endswith(f"/{instead.group(1).lower()}")]
    far = re.search(r"\bhow far\b|\bstatus\b", message, re.IGNORECASE)
    intent = "move_repository" if named else "status" if far else "follow_up"
    repository = named[0] if named else None
    return {"intent": intent, "size": None, "model": None, "repository": repository, "confidence": 0.96}


def _choice(slug: str) -> dict[str, object]:
    return {
        "kind": "repository",
        "repository": slug,
        "confidence": 0.96,
        "reason": f"what you describe lives in {slug}",
        "alternatives": [],
    }


def _unknown(slugs: Sequence[str]) -> dict[str, object]:
    return {
        "kind": "unknown",
        "repository": None,
        "confidence": 0.3,
        "reason": "that could be in more than one place",
        "alternatives": list(slugs)[:5],
    }
