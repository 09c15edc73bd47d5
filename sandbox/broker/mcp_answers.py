"""What a tool answered, as text for the model."""

from __future__ import annotations

import json
from collections.abc import Callable

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from sandbox.broker.mcp_wire import McpResult

MAX_TEXT_BYTES = 256 * 1024


def as_result(answer: CallToolResult, hide: Callable[[str], str]) -> McpResult:
    """The answer's texts, one after the other; what is no text is named only. `hide` takes secrets out."""
    texts = [_text(block) for block in answer.content]
    if not texts and answer.structured_content is not None:
        texts = [json.dumps(answer.structured_content, ensure_ascii=False)]
    return cut("\n".join(texts), hide, is_error=bool(answer.is_error))


def cut(text: str, hide: Callable[[str], str], *, is_error: bool) -> McpResult:
    """The text without the credential, at most 256 KB of it."""
    data = hide(text).encode("utf-8", "replace")
    kept = data[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return McpResult(text=kept, is_error=is_error, truncated=len(data) > MAX_TEXT_BYTES)


def _text(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ResourceLink():
            return f"[resource {block.name}: {block.uri}]"
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[resource {block.resource.uri}, not text, left out]"
        case ImageContent() | AudioContent():
            return f"[{block.type} of type {block.mime_type}, left out]"
