"""A local Sendcloud on a real socket, because Sendcloud has no test environment.

It answers both generations of Sendcloud's API over one store, checks requests by their contracts, sends signed
webhooks, has a panel for people, and plays faults on demand. It needs only the standard library.
"""

from __future__ import annotations

from .requestlog import LoggedItem, LoggedRequest
from .sandbox import Sandbox
from .store import ANY, SandboxIntegration
from .webhooks import DeliveredWebhook

__all__ = ["ANY", "DeliveredWebhook", "LoggedItem", "LoggedRequest", "Sandbox", "SandboxIntegration"]
