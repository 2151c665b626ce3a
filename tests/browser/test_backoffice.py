"""An order's panel on a page of the shop's own, in a real browser."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from django_sendcloud import tasks
from django_sendcloud.testing import drain
from tests import factories

from .operator import Operator
from .page_audit import findings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_panel_works_on_any_page(operator: Operator) -> None:
    """A rejected order names the fix; pushed again, it is sent, and its parcel shows its way."""
    page, sandbox = operator.page, operator.sandbox
    operator.connect()
    tasks.sweep()
    order = factories.order(number="2026-0001", country="XX", lines=2)
    drain()
    page.goto(operator.url + reverse("other_backoffice_order", args=[order.pk]))
    expect(page.get_by_role("heading", name="Invalid data")).to_be_visible()
    expect(page.get_by_text("What to do:")).to_be_visible()
    assert findings(page) == []

    type(order).objects.filter(pk=order.pk).update(country="NL")
    operator.press("Push to Sendcloud now")
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    assert page.url == operator.url + reverse("other_backoffice_order", args=[order.pk])
    drain()
    # The panel of an order that is being sent refreshes itself.
    expect(page.get_by_role("heading", name="Sendcloud Sent")).to_be_visible()

    [parcel] = sandbox.create_label(str(order.pk))
    sandbox.advance(parcel["id"])
    operator.apply_webhooks()
    page.reload()
    expect(page.get_by_text("Timeline")).to_be_visible()
    expect(page.get_by_role("button", name="Sendcloud labels")).to_be_visible()
    assert findings(page) == []
