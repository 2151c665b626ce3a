"""Push, read and delete the shipments of one integration."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload
from uuid import UUID

from ...enums import UpsertStatus
from ...exceptions import InvalidResponse, NotFound, PayloadError
from ...hidden import HiddenBytes
from ...payloads import ShipmentPayload
from ...violations import Errors, Param, Violation
from ..pages import Page, nested_pages
from ..queries import dates, texts
from ..redact import flatten_errors, values_of
from ..requestor import Request, Requestor
from ..results import DeleteResult
from . import paths
from .results import Shipment, UpsertResult

__all__ = ["MAX_BATCH", "Shipments"]

#: Shipments one upsert takes (contract: operation ``create-a-list-of-shipments``).
MAX_BATCH: Final = 100

_STATUSES: Final = {status.value: status for status in UpsertStatus}


class Shipments:
    """The operations below ``/integrations/{id}/shipments``. Reached as ``client.v2.shipments``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def upsert(self, integration_id: int, payloads: Iterable[ShipmentPayload]) -> builtins.list[UpsertResult]:
        """Create or update up to 100 shipments (operation: POST /integrations/{id}/shipments).

        A shipment is known by ``external_order_id`` and ``external_shipment_id``. One that is there
        already is updated only where ``updated_at`` differs from what it was. The contract promises 200; 201 is
        accepted as well, as other clients do.

        Args:
            integration_id: Sendcloud's id.
            payloads: Each :meth:`~django_sendcloud.payloads.ShipmentPayload.stamped`.

        Returns:
            One result per payload, in the payloads' order, whatever the order of the answer.

        Raises:
            PayloadError: the batch is empty, too large, or holds a shipment twice; or a payload has
                no ``updated_at``. Nothing was sent.
            NotFound: there is no such integration.
            RequestRejected: Sendcloud rejects the batch as a whole.
            UnknownOutcome: it may have been applied; repeating it is safe.
            APIError: it did not end well.
        """
        batch = [*payloads]
        _check_batch(batch)
        body = HiddenBytes(b"[%b]" % b",".join([payload.encode() for payload in batch]))
        request = Request(
            operation="upsert shipments",
            method="POST",
            path=paths.shipments(integration_id),
            success=[200, 201],
            integration_id=integration_id,
            body=body,
        )
        answers = self._requestor.read(request, _answers)
        return [_result(payload, answers.get(payload.key, [])) for payload in batch]

    def list(
        self,
        integration_id: int,
        *,
        start_date: dt.date | None = None,
        end_date: dt.date | None = None,
        external_order_ids: Sequence[str] = (),
        external_shipment_ids: Sequence[str] = (),
        order_number: str | None = None,
        sender_address: int | None = None,
        shipping_rules: bool | None = None,
        cursor: str | None = None,
    ) -> Iterator[Shipment]:
        """Iterate over shipments, page by page as they are needed (operation: GET /integrations/{id}/shipments).

        Args:
            integration_id: Sendcloud's id.
            start_date: From this day on. Sendcloud's default is one year ago.
            end_date: Up to this day.
            external_order_ids: Only these orders.
            external_shipment_ids: Only these shipments.
            order_number: Only the order with this number.
            sender_address: Only those sent from the address with this id of Sendcloud's.
            shipping_rules: Whether shipping rules are applied to what is returned.
            cursor: The place to go on, from :attr:`Page.next_cursor`.

        Raises:
            ValueError: a filter has the wrong type. Raised immediately, before anything is sent.
            NotFound: there is no such integration (``integration``), or no such cursor (``page``).
            APIError: it did not end well.
        """
        pages = self.pages(
            integration_id,
            start_date=start_date,
            end_date=end_date,
            external_order_ids=external_order_ids,
            external_shipment_ids=external_shipment_ids,
            order_number=order_number,
            sender_address=sender_address,
            shipping_rules=shipping_rules,
            cursor=cursor,
        )
        return (shipment for page in pages for shipment in page.results)

    def pages(
        self,
        integration_id: int,
        *,
        start_date: dt.date | None = None,
        end_date: dt.date | None = None,
        external_order_ids: Sequence[str] = (),
        external_shipment_ids: Sequence[str] = (),
        order_number: str | None = None,
        sender_address: int | None = None,
        shipping_rules: bool | None = None,
        cursor: str | None = None,
    ) -> Iterator[Page[Shipment]]:
        """Iterate as :meth:`list` does, but over pages, whose ``next_cursor`` lets a scan go on later."""
        query = [
            *dates("start_date", start_date),
            *dates("end_date", end_date),
            *texts("external_order_ids", external_order_ids),
            *texts("external_shipment_ids", external_shipment_ids),
        ]
        if order_number is not None:
            query += texts("order_number", [order_number])
        if sender_address is not None:
            query.append(("sender_address", str(int(sender_address))))
        if shipping_rules is not None:
            query.append(("shipping_rules", "true" if shipping_rules else "false"))
        if cursor is not None:
            query += texts("cursor", [cursor])
        request = Request(
            operation="list shipments",
            method="GET",
            path=paths.shipments(integration_id),
            success=[200],
            integration_id=integration_id,
            query=query,
        )
        return nested_pages(self._requestor, request, Shipment.from_api)

    @overload
    def delete(self, integration_id: int, *, shipment_uuid: str | UUID) -> DeleteResult: ...

    @overload
    def delete(self, integration_id: int, *, external_order_id: str, external_shipment_id: str) -> DeleteResult: ...

    def delete(
        self,
        integration_id: int,
        *,
        shipment_uuid: str | UUID | None = None,
        external_order_id: str | None = None,
        external_shipment_id: str | None = None,
    ) -> DeleteResult:
        """Delete one shipment (operation: POST /integrations/{id}/shipments/delete).

        Args:
            integration_id: Sendcloud's id of the integration.
            shipment_uuid: Sendcloud's id of the shipment, or
            external_order_id: the shop's id of the order and
            external_shipment_id: of the shipment. A shipment stored without one can only be deleted by its uuid.

        Returns:
            The outcome. A shipment that was not there is no error: it is not there now.

        Raises:
            ValueError: neither a uuid nor the pair is given, or both are. Nothing was sent.
            NotFound: there is no such integration.
            APIError: it did not end well.
        """
        body = _which(shipment_uuid, external_order_id, external_shipment_id)
        request = Request(
            operation="delete shipment",
            method="POST",
            path=paths.shipments_delete(integration_id),
            success=[204],
            integration_id=integration_id,
            body=body,
        )
        try:
            self._requestor.send(request)
        except NotFound as error:
            if error.resource != "shipment":
                raise
            return DeleteResult(found=False)
        return DeleteResult(found=True)


def _check_batch(batch: Sequence[ShipmentPayload]) -> None:
    """Refuse a batch that must not be sent.

    Raises:
        PayloadError: it is empty, too large, or names a shipment twice, of which the later would win by chance.
    """
    subject = "batch of shipments"
    if not batch:
        raise PayloadError({"": [Violation("batch_empty", {"noun": "shipment"})]}, subject)
    if len(batch) > MAX_BATCH:
        params: dict[str, Param] = {"noun": "shipment", "limit": MAX_BATCH, "length": len(batch)}
        raise PayloadError({"": [Violation("batch_too_large", params)]}, subject)
    errors: Errors = {}
    first: dict[tuple[str, str], int] = {}
    for index, payload in enumerate(batch):
        if not isinstance(payload, ShipmentPayload):
            kinds = {"expected": "ShipmentPayload", "type": type(payload).__name__}
            errors[f"[{index}]"] = [Violation("not_a_payload", kinds)]
        elif (other := first.setdefault(payload.key, index)) != index:
            errors[f"[{index}]"] = [Violation("duplicate_in_batch", {"other": other})]
    if errors:
        raise PayloadError(errors, subject)


def _answers(content: object) -> dict[tuple[str, str], builtins.list[dict[str, Any]]]:
    """Sort the answer's items by what they are about. Null and empty shipment ids are the same."""
    if not isinstance(content, list):
        raise InvalidResponse("an answer that is not a list of results")
    answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in content:
        if isinstance(item, dict):
            order, shipment = item.get("external_order_id"), item.get("external_shipment_id")
            # As the ids of a payload: without white space around them.
            key = ("" if order is None else str(order).strip(), "" if shipment is None else str(shipment).strip())
            answers.setdefault(key, []).append(item)
    return answers


def _result(payload: ShipmentPayload, answers: Sequence[dict[str, Any]]) -> UpsertResult:
    status, errors, uuid = UpsertStatus.UNKNOWN, {}, None
    answer = answers[0] if len(answers) == 1 else {}
    if isinstance(answered := answer.get("status"), str):
        status = _STATUSES.get(answered, UpsertStatus.UNKNOWN)
    if status == UpsertStatus.ERROR:
        errors = flatten_errors(answer.get("error"), values_of(payload.to_json()))
    elif status != UpsertStatus.UNKNOWN:
        uuid = _uuid_of(answer.get("shipment_uuid"))
    return UpsertResult(
        external_order_id=payload.external_order_id,
        external_shipment_id=payload.external_shipment_id,
        status=status,
        shipment_uuid=uuid,
        errors=errors,
        raw=answer,
    )


def _uuid_of(value: object) -> str | None:
    """Read a shipment's UUID; none where it cannot be one: the shipment was accepted all the same."""
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _which(
    shipment_uuid: str | UUID | None, external_order_id: str | None, external_shipment_id: str | None
) -> dict[str, str]:
    """Return the body that names one shipment: exactly one of the contract's two ways."""
    pair = {"external_order_id": external_order_id, "external_shipment_id": external_shipment_id}
    if shipment_uuid is not None:
        if any(value is not None for value in pair.values()):
            raise ValueError("Pass either shipment_uuid or the pair of external ids, not both.")
        try:
            return {"shipment_uuid": str(UUID(str(shipment_uuid)))}
        except ValueError:
            raise ValueError(f"shipment_uuid must be a UUID, got {str(shipment_uuid)[:50]!r}.") from None
    body = {name: value for name, value in pair.items() if isinstance(value, str) and value}
    if len(body) != len(pair):
        raise ValueError(
            "Pass shipment_uuid, or both external_order_id and external_shipment_id as text that is not empty; "
            "a shipment stored without an external_shipment_id can only be deleted by its uuid."
        )
    return body
