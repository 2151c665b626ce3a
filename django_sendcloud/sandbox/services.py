"""Everything that operations work with."""

from __future__ import annotations

from dataclasses import dataclass

from .behaviour import Behaviour
from .faults import Faults
from .merchant import Merchant
from .parcels import Parcels
from .requestlog import RequestLog
from .store import Store

__all__ = ["Services"]


@dataclass(slots=True)
class Services:
    """Everything that operations work with.

    Attributes:
        origin: Scheme, host and port that links lead to. Known once the server listens.
    """

    store: Store
    parcels: Parcels
    merchant: Merchant
    log: RequestLog
    faults: Faults
    behaviour: Behaviour
    origin: str = ""
