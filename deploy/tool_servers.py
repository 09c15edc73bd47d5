"""Tool servers behind the broker's socket."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from deploy.core import Core
from sandbox.broker.door.addresses import Network
from sandbox.broker.mcp_connection import Ways
from sandbox.broker.mcp_gateway import MCP_KINDS, McpGateway, McpParts, mcp_operations
from sandbox.broker.operations import Operation
from sandbox.broker.secret_desk import StoredSecrets
from session.mcp_pins import McpPins

__all__ = ["MCP_KINDS", "tool_servers"]


def tool_servers(
    core: Core, secrets: StoredSecrets, networks: Sequence[Network], tls: ssl.SSLContext
) -> Sequence[Operation[Any, Any]]:
    """The broker's operations on them. `networks` may be reached although they are not public; `tls` is how
    servers are verified."""
    return mcp_operations(
        McpGateway(
            McpParts(
                log=core.log,
                catalogue=core.catalogue,
                audit=core.audit,
                switch=core.switch,
                pins=McpPins(core.database),
                effects=core.effects,
                secrets=secrets,
                ways=Ways(networks, tls=tls),
            )
        )
    )
