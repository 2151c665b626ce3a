from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from salesman.orders.status import BaseOrderStatus


class Status(BaseOrderStatus):  # type: ignore[misc]
    """A longer way than Salesman's own, on which nothing may be left out."""

    NEW = "NEW", "New"
    CREATED = "CREATED", "Created"
    PROCESSING = "PROCESSING", "Processing"
    PACKED = "PACKED", "Packed"
    SHIPPED = "SHIPPED", "Shipped"
    COMPLETED = "COMPLETED", "Completed"
    REFUNDED = "REFUNDED", "Refunded"
    LOCKED = "LOCKED", "Locked"

    @classmethod
    def get_transitions(cls) -> dict[str, list[Any]]:
        return {
            "NEW": [cls.CREATED],
            "CREATED": [cls.PROCESSING],
            "PROCESSING": [cls.PACKED, cls.REFUNDED],
            "PACKED": [cls.SHIPPED],
            "SHIPPED": [cls.COMPLETED],
            "COMPLETED": [cls.REFUNDED],
            "REFUNDED": [],
            "LOCKED": [],
        }

    @classmethod
    def validate_transition(cls, status: str, order: Any) -> str:
        if order.gift_note == "locked":
            raise ValidationError("Locked.")
        return str(super().validate_transition(status, order))
