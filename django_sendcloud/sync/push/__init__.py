"""Push what was claimed: plan → reserve → upsert → delete → settle, one module per stage."""

from .pipeline import push_claim
from .session import PushSession

__all__ = ["PushSession", "push_claim"]
