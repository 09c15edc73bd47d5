"""Chat Completions requests as the real service takes them: parsed into types, or refused with its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from deploy.demo.strict_schemas import SchemaRefused, check_strict_schema

_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_MAX_TOOLS = 128
_KNOWN_FIELDS = frozenset(
    {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "n", "stop"}
    | {"stream", "stream_options", "max_tokens", "max_completion_tokens", "reasoning_effort", "verbosity"}
    | {"temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "logprobs"}
    | {"top_logprobs", "user", "metadata", "store", "service_tier", "modalities"}
    | {"prompt_cache_key", "safety_identifier"}
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class RequestRefused(Exception):
    """The request is invalid: what the real service would say, and about which field."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400):
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A tool call as it stands in an assistant message of the request."""

    call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation; `images` holds the URLs of its pictures."""

    role: str
    text: str
    images: tuple[str, ...] = ()
    tool_calls: tuple[RequestedCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A valid request; `response_schema` is the JSON Schema of a structured answer, if one is wanted."""

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[OfferedTool, ...]
    stream: bool
    include_usage: bool
    response_schema: dict[str, Any] | None

    @property
    def last(self) -> ChatMessage:
        """The newest message."""
        return self.messages[-1]

    def said_by(self, role: str) -> tuple[ChatMessage, ...]:
        """The messages of one role, oldest first."""
        return tuple(message for message in self.messages if message.role == role)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the tools on offer, in the order given."""
        return tuple(tool.name for tool in self.tools)


def parse_chat_request(body: object) -> ChatRequest:
    """The request in `body` (decoded JSON).

    Raises:
        RequestRefused: the real service would answer 400.
    """
    if not isinstance(body, dict):
        raise RequestRefused("The request body must be a JSON object.")
    unknown = sorted(set(body) - _KNOWN_FIELDS)
    if unknown:
        raise RequestRefused(f"Unrecognized request argument supplied: {', '.join(unknown)}")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise RequestRefused("you must provide a model parameter")
    options = _stream_options(body)
    messages = _messages(body.get("messages"))
    _check_tool_answers(messages)
    return ChatRequest(
        model=body["model"],
        messages=messages,
        tools=_tools(body.get("tools")),
        stream=bool(body.get("stream", False)),
        include_usage=options,
        response_schema=_response_schema(body.get("response_format")),
    )


def _stream_options(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not body.get("stream"):
        raise RequestRefused("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    return bool(options.get("include_usage", False))


def _messages(raw: object) -> tuple[ChatMessage, ...]:
    if not isinstance(raw, list) or not raw:
        raise RequestRefused("Invalid 'messages': expected a non-empty array.", "messages")
    return tuple(_message(entry, f"messages.[{index}]") for index, entry in enumerate(raw))


def _message(entry: object, where: str) -> ChatMessage:
    if not isinstance(entry, dict):
        raise RequestRefused(f"Invalid type for '{where}': expected an object.", where)
    role = entry.get("role")
    if role not in _ROLES:
        raise RequestRefused(f"Invalid value: '{role}'. Supported values are: {sorted(_ROLES)}.", where)
    calls = _tool_calls(entry.get("tool_calls"), role, where)
    content = entry.get("content")
    if content is None and not (role == "assistant" and calls):
        raise RequestRefused(f"Invalid value for '{where}.content': expected a string, got null.", where)
    text, images = _content(content, role, where)
    call_id = entry.get("tool_call_id")
    if role == "tool" and not isinstance(call_id, str):
        raise RequestRefused(f"Missing parameter '{where}.tool_call_id'.", where)
    return ChatMessage(role, text, images, calls, call_id)


def _content(content: object, role: str, where: str) -> tuple[str, tuple[str, ...]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list) or not content:
        raise RequestRefused(f"Invalid '{where}.content': expected a string or a non-empty array.", where)
    texts: list[str] = []
    images: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and role == "user" and _is_image(part.get("image_url")):
            images.append(part["image_url"]["url"])
        else:
            raise RequestRefused(f"Invalid content part of type '{kind}' in a {role} message.", where)
    return "\n".join(texts), tuple(images)


def _is_image(image: object) -> bool:
    url = image.get("url") if isinstance(image, dict) else None
    return isinstance(url, str) and bool(re.match(r"^(https?://|data:image/[a-z+.-]+;base64,)", url))


def _tool_calls(raw: object, role: str, where: str) -> tuple[RequestedCall, ...]:
    if raw is None:
        return ()
    if role != "assistant":
        raise RequestRefused(f"'tool_calls' is only allowed on assistant messages ('{where}').", where)
    if not isinstance(raw, list) or not raw:
        raise RequestRefused(f"Invalid '{where}.tool_calls': empty array. Expected at least 1 item.", where)
    calls = tuple(_tool_call(call, where) for call in raw)
    if len({call.call_id for call in calls}) != len(calls):
        raise RequestRefused(f"Duplicate tool call id in '{where}.tool_calls'.", where)
    return calls


def _tool_call(call: object, where: str) -> RequestedCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or call.get("type") != "function" or not isinstance(function, dict):
        raise RequestRefused(f"Invalid tool call in '{where}'.", where)
    name, arguments, call_id = function.get("name"), function.get("arguments"), call.get("id")
    if not isinstance(name, str) or not _NAME.match(name):
        raise RequestRefused(f"Invalid '{where}.tool_calls.function.name': {name!r}.", where)
    if not isinstance(arguments, str) or not isinstance(call_id, str) or not call_id:
        raise RequestRefused(f"Invalid tool call in '{where}': id and arguments must be strings.", where)
    return RequestedCall(call_id, name, arguments)


def _check_tool_answers(messages: tuple[ChatMessage, ...]) -> None:
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages.[{index}]"
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise RequestRefused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    f"with 'tool_calls' (tool_call_id '{message.tool_call_id}').",
                    where,
                )
            waiting.discard(message.tool_call_id)
            continue
        _refuse_unanswered(waiting, where)
        waiting = {call.call_id for call in message.tool_calls}
    _refuse_unanswered(waiting, "messages")


def _refuse_unanswered(waiting: set[str], where: str) -> None:
    if waiting:
        raise RequestRefused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. No response for: {', '.join(sorted(waiting))}",
            where,
        )


def _tools(raw: object) -> tuple[OfferedTool, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or not 1 <= len(raw) <= _MAX_TOOLS:
        raise RequestRefused(f"Invalid 'tools': expected 1 to {_MAX_TOOLS} items.", "tools")
    tools = tuple(_tool(entry, f"tools[{index}]") for index, entry in enumerate(raw))
    if len({tool.name for tool in tools}) != len(tools):
        raise RequestRefused("Tool names must be unique.", "tools")
    return tools


def _tool(entry: object, where: str) -> OfferedTool:
    function = entry.get("function") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or entry.get("type") != "function" or not isinstance(function, dict):
        raise RequestRefused(f"Missing required parameter: '{where}.function'.", where)
    name, parameters = function.get("name"), function.get("parameters", {"type": "object", "properties": {}})
    if not isinstance(name, str) or not _NAME.match(name):
        raise RequestRefused(f"Invalid '{where}.function.name': {name!r}.", where)
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise RequestRefused(f"Invalid schema for function '{name}': type must be 'object'.", where)
    if not isinstance(parameters.get("properties", {}), dict):
        raise RequestRefused(f"Invalid schema for function '{name}': properties must be an object.", where)
    if function.get("strict"):
        _refuse_loose(parameters, f"function '{name}'", where)
    return OfferedTool(name, str(function.get("description", "")), parameters)


def _response_schema(raw: object) -> dict[str, Any] | None:
    kind = raw.get("type") if isinstance(raw, dict) else None
    if raw is None or kind in ("text", "json_object"):
        return None
    wanted = raw.get("json_schema") if isinstance(raw, dict) else None
    if kind != "json_schema" or not isinstance(wanted, dict):
        raise RequestRefused(f"Invalid value for 'response_format': {kind!r}.", "response_format")
    name, schema = wanted.get("name"), wanted.get("schema")
    if not isinstance(name, str) or not _NAME.match(name):
        raise RequestRefused("Missing or invalid 'response_format.json_schema.name'.", "response_format")
    if not isinstance(schema, dict):
        raise RequestRefused("Missing 'response_format.json_schema.schema'.", "response_format")
    if wanted.get("strict"):
        _refuse_loose(schema, f"response_format '{name}'", "response_format")
    return schema


def _refuse_loose(schema: dict[str, Any], subject: str, where: str) -> None:
    try:
        check_strict_schema(schema)
    except SchemaRefused as error:
        raise RequestRefused(f"Invalid schema for {subject}: {error}", where) from error
