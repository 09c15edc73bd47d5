"""A catalogue of a small company, and a fast model that answers what the test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from classifier.decision import Classifier
from classifier.fast_model import FastModel
from deploy.demo.chat_requests import ChatRequest
from deploy.demo.model_server import ModelServer
from deploy.demo.replies import Reply
from sandbox.agent.provider_client import provider_client
from session.catalogue import Catalogue, Repository

MODEL = "fast"


def repository(slug: str, **more: object) -> Repository:
    """A catalogue entry with the least that it needs."""
    return Repository.model_validate({"slug": slug, "forge": "local", "url": f"/srv/{slug}.git", **more})


COMPANY = (
    repository(
        "acme/billing",
        description="invoices, tax, payments",
        aliases=["invoicing"],
        url="https://git.acme.test/billing.git",
    ),
    repository("acme/web", description="the public site", channels=["website"], common=True),
    repository("acme/notify", description="mails and pushes to customers", keywords=["newsletter"]),
    repository("acme/attic", description="old things", archived=True),
)


class Replies:
    """Answers with one text after the other; the last one stays. Keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.requests: list[ChatRequest] = []

    def says(self, **opinion: object) -> None:
        """The next answer is this opinion."""
        whole = {"kind": "repository", "repository": None, "confidence": 0.9, "reason": "it fits"}
        self.texts.append(json.dumps({**whole, "alternatives": [], **opinion}))

    def reply(self, request: ChatRequest) -> Reply:
        """The next answer."""
        self.requests.append(request)
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return Reply(text=text)


@pytest.fixture
def replies() -> Replies:
    """What the fast model answers."""
    return Replies()


@pytest.fixture
async def client(replies: Replies) -> AsyncIterator[AsyncOpenAI]:
    """A client of the scripted model."""
    async with (
        ModelServer({MODEL: replies}, "key").serve() as base_url,
        provider_client(base_url, "key") as opened,
    ):
        yield opened


@pytest.fixture
def classifier(client: AsyncOpenAI) -> Classifier:
    """The classifier over the small company."""
    return Classifier(Catalogue(COMPANY), FastModel(client, MODEL, timeout_seconds=60))
