"""Choices where the contracts leave one, or where reality is known to differ from them."""

from __future__ import annotations

from typing import Literal

__all__ = ["Behaviour", "Reference"]

#: Field of a parcel that refers to its order.
Reference = Literal["shipment_uuid", "order_number", "external_order_id", "external_shipment_id"]


class Behaviour:
    """Settings of how the sandbox behaves.

    Attributes:
        page_size: Number of elements on a page of v2.
        omit_empty_links: Whether ``next`` and ``previous`` are absent where there is no page. The schema of v2 has it
            so; by default they are null, as its sibling for parcels shows them.
        external_ids_null: Whether results of v2 shipments without an id say null instead of ``""``.
        partner_ids: Known values of ``Sendcloud-Partner-Id``; ``None`` accepts any UUID.
        closed_service_points: Ids of service points that have closed. All others are open.
        unknown_service_points: Ids of service points that v3 answers with 404.
        certified_partners_only: Whether v2 shipments need a known ``Sendcloud-Partner-Id``, as at Sendcloud.
        oauth_scopes: OAuth2 scopes that clients may ask for, and get if they ask for none.
        save_delay: Seconds between the acceptance of a v3 order and its saving; ``None`` waits for ``save_orders()``.
        conflict_while_saving: Whether v3 refuses a batch with an order whose earlier request is still being saved.
        delete_before_save: Effect of deleting a v3 order before its saving. With ``not found``, Sendcloud answers 404
            to a new order, which then appears; a deleted order stays deleted. With ``recreated``, an order that was
            deleted while a change of it was being saved appears again, too. With ``cancelled``, the deletion ends the
            saving.
        omitted_blocks: Effect of leaving out optional blocks of a v3 order in an update.
        report_first_error_only: Whether v3 names only the first failing order of a batch.
        any_currency: Whether v3 accepts all currency codes of three letters, and not only those of its contract.
        list_labelled_orders: Whether the v3 list still has orders with a label.
        as_documented: Whether v3 keeps to its schema where live responses are known to differ: costs as text,
            dangerous goods in upper case.
        v3_references: Fields that refer to the order in parcels of orders that came by v3.
        v3_references_empty: Whether the other fields are there and empty, or absent.
    """

    def __init__(self) -> None:
        self.page_size = 100
        self.omit_empty_links = False
        self.external_ids_null = False
        self.partner_ids: set[str] | None = None
        self.closed_service_points: set[int] = set()
        self.unknown_service_points: set[int] = set()
        self.certified_partners_only = False
        self.oauth_scopes = {"api"} | {
            f"{verb}:{noun}" for verb in ("read", "write") for noun in ("integration", "order", "parcel")
        }
        self.save_delay: float | None = 0.0
        self.conflict_while_saving = True
        self.delete_before_save: Literal["not found", "recreated", "cancelled"] = "not found"
        self.omitted_blocks: Literal["cleared", "kept"] = "cleared"
        self.report_first_error_only = False
        self.any_currency = False
        self.list_labelled_orders = True
        self.as_documented = False
        self.v3_references: set[Reference] = {
            "shipment_uuid",
            "order_number",
            "external_order_id",
            "external_shipment_id",
        }
        self.v3_references_empty = True
