"""Choice of the API generation: what a pair of keys opens, and by which API an integration should be driven."""

from __future__ import annotations

import dataclasses

from ..api.v2 import Integration as RemoteIntegration
from ..conf import conf
from ..enums import ApiGeneration
from ..exceptions import NotFound, PermissionDenied
from ..models import Integration
from ..models.connection import in_v2_words

__all__ = ["Opened", "open_keys", "usual_generation"]


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """Integrations that a pair of keys opens.

    Args:
        generation: The API generation to drive them by.
        integrations: The integrations, under the names of v2.
    """

    generation: ApiGeneration
    integrations: list[RemoteIntegration]


def usual_generation() -> ApiGeneration:
    """Return the generation for keys that could not be tried: v2 for a certified partner, else v3."""
    return ApiGeneration.V2 if conf().PARTNER_ID else ApiGeneration.V3


def open_keys(candidate: Integration, generation: ApiGeneration | None = None) -> Opened:
    """Ask Sendcloud for the integrations of these keys (operation: GET /integrations), and propose a generation.

    v3 is open to every shop. v2's upsert is open to certified partners only, so v2 is proposed where a partner id is
    configured, or where the keys do not open v3.

    Args:
        candidate: An integration with the keys; it need not be stored.
        generation: The generation a person chose. ``None``: propose one.

    Raises:
        APIError: Sendcloud rejects the keys, or could not be asked.
        SendcloudConfigurationError: a key is missing, or cannot be one.
    """
    with candidate.client(retries=0) as client:
        if generation is None and conf().PARTNER_ID:
            generation = ApiGeneration.V2
        if generation is not ApiGeneration.V2:
            try:
                found = [in_v2_words(remote) for remote in client.v3.integrations.list()]
                return Opened(ApiGeneration.V3, found)
            except (PermissionDenied, NotFound):
                if generation is ApiGeneration.V3:
                    raise
        return Opened(ApiGeneration.V2, client.v2.integrations.list())
