"""A local Sendcloud on a real socket, to develop and test against, since Sendcloud offers nothing of the kind.

It answers the Integrations API v2 as its contract says, and what a shop needs of parcels and labels; it checks
what it is sent by the contract; it sends signed webhooks; it has a panel for people, and every fault one could
wish for. Standard library only, no Django.
"""

from __future__ import annotations

from .requestlog import LoggedItem, LoggedRequest
from .sandbox import Sandbox
from .state import ANY, SandboxIntegration
from .webhooks import DeliveredWebhook

__all__ = ["ANY", "DeliveredWebhook", "LoggedItem", "LoggedRequest", "Sandbox", "SandboxIntegration"]
