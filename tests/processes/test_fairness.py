"""F36: bulk work, deletions and another account's outage, while the shop sells."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project

BULK = 6000
DELETIONS = 100
CHECKOUTS = 6
# Requests of the account that may come between a checkout and its order: what two processes have claimed by then, twice
# over for a busy machine. The whole backlog takes 130.
AHEAD = 26

OTHER_ACCOUNT = """
from django_sendcloud.models import Account, Integration
from tests import factories
class S: integration_id, public_key, secret_key = {id!r}, {public!r}, {secret!r}
print(factories.integration(S, account=Account.objects.create(name="another")).pk)
"""
PUSHED = """
from django_sendcloud.sync.worker import push_due
from tests import factories
for _ in range({count}): factories.order(integration={first}, number="old")
push_due()
"""
# Half of them for the account that is out of order; and cancellations, one request each.
BULK_WORK = """
from django_sendcloud import enqueue
from tests import factories
from tests.shop.models import Order
customer = factories.customer()
Order.objects.bulk_create(
    Order(number=f"BULK-{{n}}", customer=customer, integration={first} if n % 2 else {second}) for n in range({count})
)
enqueue(Order.objects.filter(number__startswith="BULK"))
for order in Order.objects.filter(number="old"): order.delete()
"""
CHECKOUT = "from tests import factories; print(factories.order(integration={first}).pk)"
SHOPS_TASK = "from tests.celery_app import touch; touch.delay({path!r})"


@pytest.mark.services("postgresql", "redis")
@pytest.mark.exhaustive
def test_f36_checkouts_and_shops_tasks_pass_bulk_work(make_project: Callable[..., Project]) -> None:
    # One request a second, so that the backlog is long on any machine, and a lease that is longer than a claim takes.
    project = make_project(
        *("postgresql", "redis"),
        UNSAFE_REQUESTS_PER_MINUTE=60.0,
        UNSAFE_BURST=4,
        SWEEP_SECONDS=30.0,
        LEASE_SECONDS=30.0,
    )
    sandbox = project.sandbox
    other = sandbox.add_integration("Other")
    second = int(
        project.run(OTHER_ACCOUNT.format(id=other.id, public=other.public_key, secret=other.secret_key)).split()[-1]
    )
    first = int(
        project.run(
            f"from django_sendcloud.models import Integration\nprint(Integration.objects.exclude(pk={second}).get().pk)"
        )
    )
    project.run(PUSHED.format(count=DELETIONS, first=first))
    assert len(sandbox.shipments()) == DELETIONS
    sandbox.fail_next(503, times=1_000_000, match=f"POST integrations/{other.id}/shipments")
    project.run(BULK_WORK.format(first=first, second=second, count=BULK))
    project.lose_messages()
    project.worker()
    project.wait_for(lambda: any(len(s["order_number"]) > 3 for s in sandbox.shipments()), what="the first bulk order")

    for number in range(CHECKOUTS):
        order = project.run(CHECKOUT.format(first=first))
        before = len(sandbox.requests)
        touched = project.folder / f"task-{number}"
        project.run(SHOPS_TASK.format(path=str(touched)))
        project.wait_for(lambda order=order: sandbox.shipment(order), what="the checkout's order")
        ours = [request for request in sandbox.requests[before:] if str(other.id) not in request.path]
        assert len(ours) <= AHEAD, [request.operation for request in ours]
        project.wait_for(touched.exists, what="the shop's own task")
    assert project.outbox() > BULK / 2, "the backlog was there all the time"
    deleted = DELETIONS - sum(shipment["order_number"] == "old" for shipment in sandbox.shipments())
    assert 0 < deleted < DELETIONS, "deletions have their share, and no more"
