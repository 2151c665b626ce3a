"""Links into Sendcloud's own panel."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from ...conf import conf
from ...models import Shipment

__all__ = ["incoming_order"]

# Undocumented: the address and search of incoming orders in Sendcloud's panel.
INCOMING_ORDERS = "https://app.sendcloud.com/v2/shipping/list/orders"
SENDCLOUD_DOMAINS = (".sendcloud.sc", ".sendcloud.com")


def incoming_order(shipment: Shipment) -> str:
    """Return the panel URL of a shipment's order; the sandbox's panel for the sandbox."""
    base = urlsplit(conf().BASE_URL)
    number = shipment.order_number or shipment.external_order_id
    if f".{base.hostname}".endswith(SENDCLOUD_DOMAINS):
        return f"{INCOMING_ORDERS}?{urlencode({'search': number})}"
    there = f"{base.scheme}://{base.netloc}/"
    return f"{there}orders/{quote(str(shipment.uuid))}/" if shipment.uuid else f"{there}?{urlencode({'q': number})}"
