"""Thousands of histories: an adversarial Sendcloud, dying workers, clocks that step, and the engine's real code.

The remote may lose an answer, and may apply a request as late as the quarantine allows. By API v2 it applies an upsert
only where ``updated_at`` differs; by API v3 it saves an accepted order later, or never. Whatever the history, once things
calm down both sides are equal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_sendcloud import enqueue
from django_sendcloud.api import DeleteResult, Page
from django_sendcloud.api.v2 import UpsertResult
from django_sendcloud.core.clock import clock
from django_sendcloud.enums import UpsertStatus
from django_sendcloud.exceptions import (
    APIError,
    NotFound,
    RateLimited,
    RequestNotSent,
    ServerError,
    StillProcessing,
    TransportError,
)
from django_sendcloud.models import Account, Change, Integration, OutboxEntry, Shipment
from django_sendcloud.sync import worker
from django_sendcloud.sync.backends import Backend
from django_sendcloud.sync.backends.v2 import V2Backend
from django_sendcloud.sync.backends.v3 import V3Backend
from django_sendcloud.sync.push import settle
from tests.factories import forget_transaction, outbox
from tests.shop.models import Customer, Order

LEASE = 120.0
QUARANTINE = 60.0
DEADLINE = 20.0
# The last moment at which a worker begins a request: the whole deadline and a margin are left of its lease.
LATEST = LEASE - DEADLINE - 2.5
# Seconds for which API v3 saves an accepted order.
SAVING = 2.0
KEYS = [uuid.UUID(int=n) for n in range(1, 4)]


class Killed(BaseException):
    """SIGKILL: nothing of the worker runs any more."""


class VirtualTime:
    """A clock that moves only when a test advances it."""

    def __init__(self) -> None:
        self.wall = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self.steady = 0.0

    def advance(self, seconds: float) -> None:
        self.wall += dt.timedelta(seconds=seconds)
        self.steady += seconds

    def sql(self, connection: Any, seconds: float = 0.0) -> tuple[str, list[Any]]:
        return "%s", [connection.ops.adapt_datetimefield_value(self.wall + dt.timedelta(seconds=seconds))]

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        names = ("now", "monotonic", "sleep", "jitter", "sql")
        # A fixture may have set one already.
        former = {name: vars(clock)[name] for name in names if name in vars(clock)}
        clock.now = lambda: self.wall  # type: ignore[method-assign]
        clock.monotonic = lambda: self.steady  # type: ignore[method-assign]
        clock.sleep = self.advance  # type: ignore[method-assign]
        clock.jitter = lambda upper: upper / 2  # type: ignore[method-assign]
        clock.sql = self.sql  # type: ignore[method-assign]
        try:
            yield
        finally:
            for name in names:
                delattr(clock, name)
            vars(clock).update(former)


@dataclasses.dataclass
class Late:
    """A request that has left and has not arrived."""

    apply: Callable[[], Any]
    until: float


class Remote:
    """Sendcloud, as it may behave: what both API generations have in common."""

    #: The value of ``Integration.api_generation``.
    api: ClassVar[str]
    #: The backend that talks to it.
    backend: ClassVar[type[Backend]]

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.late: list[Late] = []
        self.mode = "ok"
        self.meanwhile: Callable[[], None] | None = None
        self.sent: dict[tuple[tuple[str, str], dt.datetime], str] = {}
        self.violations: list[str] = []
        self.requests = 0

    def held(self) -> list[tuple[str, str]]:
        """Return the order and the content of each record."""
        raise NotImplementedError

    def note_sent(self, key: tuple[str, str], stamp: dt.datetime, content: str) -> None:
        """Note what an upsert sends, and that no two contents share a stamp."""
        former = self.sent.setdefault((key, stamp), content)
        if former != content:
            # Reported at the end: raised here, it would be one more failure that the engine survives.
            self.violations.append(f"{key} sent twice with {stamp}: {former}, {content}")

    def exchange(self, apply: Callable[[], Any]) -> Any:
        """Exchange one request and its answer under the current mode."""
        self.requests += 1
        mode, self.mode = self.mode, "ok"
        context: dict[str, Any] = {"operation": "test", "integration_id": 1}
        if mode == "not sent":
            raise RequestNotSent("refused", **context)
        if mode == "limited":
            raise RateLimited("", status=429, retry_after=30.0, **context)
        if mode == "killed before":
            raise Killed
        if mode == "lost before":
            raise TransportError("no answer", **context)
        if mode == "late":
            self.late.append(Late(apply, self.time.steady + QUARANTINE))
            raise TransportError("no answer", **context)
        if mode == "late 500":
            self.late.append(Late(apply, self.time.steady + QUARANTINE))
            raise ServerError("", status=500, **context)
        if mode == "killed in the air":
            # At the very end of its lease: it lands long after another worker has looked for the order.
            self.time.advance(LATEST)
            self.late.append(Late(apply, self.time.steady + DEADLINE + QUARANTINE))
            raise Killed
        if mode in ("overtaken", "overtaken in the air") and self.meanwhile is not None:
            # The worker stands still with its request in the air until its lease is over; others go on.
            answer = apply() if mode == "overtaken" else None
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            return apply() if answer is None else answer
        answer = apply()
        if mode == "lost after":
            raise TransportError("no answer", **context)
        if mode == "killed after":
            raise Killed
        return answer

    def land(self, position: int) -> None:
        late = self.late.pop(position)
        # Its sender has long stopped waiting for an answer.
        with contextlib.suppress(APIError):
            late.apply()

    def expire(self) -> None:
        self.late = [late for late in self.late if self.time.steady < late.until]


class RemoteV2(Remote):
    """API v2: it applies an upsert only where ``updated_at`` differs."""

    api = "v2"
    backend = V2Backend

    def __init__(self, time: VirtualTime, **behaviour: Any) -> None:
        super().__init__(time)
        self.store: dict[tuple[str, str], tuple[str, dt.datetime, uuid.UUID]] = {}

    @property
    def v2(self) -> RemoteV2:
        return self

    @property
    def shipments(self) -> RemoteV2:
        return self

    def held(self) -> list[tuple[str, str]]:
        return [(key[0], content) for key, (content, _, _) in self.store.items()]

    def upsert(self, integration_id: int, payloads: Any) -> list[UpsertResult]:
        for payload in payloads:
            self.note_sent(payload.key, payload.updated_at, payload.address)

        def apply() -> list[UpsertResult]:
            results = []
            for payload in payloads:
                known = self.store.get(payload.key)
                if known is None:
                    self.store[payload.key] = (payload.address, payload.updated_at, uuid.uuid4())
                elif known[1] != payload.updated_at:
                    self.store[payload.key] = (payload.address, payload.updated_at, known[2])
                results.append(
                    UpsertResult(
                        external_order_id=payload.external_order_id,
                        external_shipment_id=payload.external_shipment_id,
                        status=UpsertStatus.UPDATED if known else UpsertStatus.CREATED,
                        shipment_uuid=str(self.store[payload.key][2]),
                        errors={},
                        raw={},
                    )
                )
            return results

        return self.exchange(apply)  # type: ignore[no-any-return]

    def delete(self, integration_id: int, **which: Any) -> DeleteResult:
        def apply() -> DeleteResult:
            for key, (_, _, identity) in list(self.store.items()):
                by_pair = key == (which.get("external_order_id"), which.get("external_shipment_id"))
                if by_pair or str(identity) == str(which.get("shipment_uuid")):
                    del self.store[key]
                    return DeleteResult(found=True)
            return DeleteResult(found=False)

        return self.exchange(apply)  # type: ignore[no-any-return]


@dataclasses.dataclass
class Saving:
    """An order of API v3 that is accepted and not saved."""

    number: int
    order: Any
    is_new: bool
    due: float


class RemoteV3(Remote):
    """API v3: it accepts an order before it saves it, and the last request wins.

    Args:
        before_save: What the deletion of an order does to what is being saved of it (``sandbox.Behaviour``).
        sorts: Whether it sorts its list as it is asked to.
    """

    api = "v3"
    backend = V3Backend

    def __init__(self, time: VirtualTime, *, before_save: str = "not found", sorts: bool = True) -> None:
        super().__init__(time)
        self.before_save = before_save
        self.sorts = sorts
        self.store: dict[int, Any] = {}
        self.saving: list[Saving] = []
        self.numbers = itertools.count(1)

    @property
    def v3(self) -> RemoteV3:
        return self

    @property
    def orders(self) -> RemoteV3:
        return self

    def held(self) -> list[tuple[str, str]]:
        self.save()
        return [(order.order_id, order.content) for order in self.store.values()]

    def save(self) -> None:
        """Save what is due."""
        for each in [each for each in self.saving if each.due <= self.time.steady]:
            self.saving.remove(each)
            if each.is_new or each.number in self.store or self.before_save == "recreated":
                self.store[each.number] = each.order

    def upsert(self, orders: Any) -> list[Any]:
        made = [
            SimpleNamespace(
                order_id=order["order_id"],
                order_number=order["order_number"],
                order_details=SimpleNamespace(
                    order_updated_at=dt.datetime.fromisoformat(order["order_details"]["order_updated_at"])
                ),
                content=order["shipping_address"]["address_line_1"],
            )
            for order in orders
        ]
        for order in made:
            self.note_sent((order.order_id, ""), order.order_details.order_updated_at, order.content)
        loses = self.mode == "never saved"

        def apply() -> list[Any]:
            self.save()
            if {each.order.order_id for each in self.saving} & {order.order_id for order in made}:
                raise StillProcessing("", status=400, operation="test", integration_id=1)
            return [self._accept(order, loses=loses) for order in made]

        return self.exchange(apply)  # type: ignore[no-any-return]

    def _accept(self, order: Any, *, loses: bool) -> Any:
        known = next((number for number, each in self.store.items() if each.order_id == order.order_id), None)
        order.id = next(self.numbers) if known is None else known
        if not loses:
            self.saving.append(Saving(order.id, order, known is None, self.time.steady + SAVING))
        return SimpleNamespace(id=order.id)

    def pages(self, *, order_id: str | None = None, sort: str | None = None, **query: Any) -> Iterator[Page[Any]]:
        def apply() -> list[Any]:
            self.save()
            found = [order for order in self.store.values() if order_id in (None, order.order_id)]
            if sort == "-order_updated_at" and self.sorts:
                found.sort(key=lambda order: order.order_details.order_updated_at, reverse=True)
            else:
                found.sort(key=lambda order: order.id, reverse=True)
            return found

        yield Page(self.exchange(apply), None)

    def get(self, number: int) -> Any:
        def apply() -> Any:
            self.save()
            if number not in self.store:
                raise NotFound("", status=404, operation="test", integration_id=1, resource="order")
            return self.store[number]

        return self.exchange(apply)

    def delete(self, number: int) -> DeleteResult:
        def apply() -> DeleteResult:
            self.save()
            if self.before_save == "cancelled":
                self.saving = [each for each in self.saving if each.number != number]
            return DeleteResult(found=self.store.pop(number, None) is not None)

        return self.exchange(apply)  # type: ignore[no-any-return]


MODES = [
    "ok", "not sent", "limited", "killed before", "killed after", "killed in the air", "lost before", "lost after",
    "late", "late 500", "never saved",
]  # fmt: skip
keys = st.sampled_from(KEYS)


class Histories(RuleBasedStateMachine):
    """Actions of a shop, its workers and Sendcloud, in any order."""

    kind: type[RemoteV2 | RemoteV3] = RemoteV2

    @initialize(before_save=st.sampled_from(["not found", "recreated", "cancelled"]), sorts=st.booleans())
    def begin(self, before_save: str = "not found", sorts: bool = True) -> None:
        for model in (Order, Customer, Change, OutboxEntry, Shipment, Integration, Account):
            model._default_manager.all().delete()
        forget_transaction()
        self.time = VirtualTime()
        self.remote = self.kind(self.time, before_save=before_save, sorts=sorts)
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(self.time.installed())
        backend = self.remote.backend
        backend.client = self.remote  # type: ignore[method-assign,assignment]
        self.stack.callback(lambda: delattr(backend, "client"))
        self.contents = 0
        self.customer = Customer.objects.create(name="Jane Doe")
        Integration.objects.create(remote_id=1, public_key="p", secret_key="s", api_generation=self.remote.api)

    def new_content(self) -> str:
        self.contents += 1
        return f"Street {self.contents}"

    # -- the shop -------------------------------------------------------------------------------

    @rule(key=keys)
    def save(self, key: uuid.UUID) -> None:
        forget_transaction()
        order = Order.objects.filter(pk=key).first() or Order(pk=key, number=str(key)[-4:], customer=self.customer)
        order.address = self.new_content()
        order.save()

    @rule(key=keys)
    def save_and_roll_back(self, key: uuid.UUID) -> None:
        forget_transaction()
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            self.save(key)
            raise ZeroDivisionError

    @rule(key=keys)
    def back_to_an_earlier_content(self, key: uuid.UUID) -> None:
        forget_transaction()
        order = Order.objects.filter(pk=key).first()
        if order is not None:
            order.address = "Street 1"
            order.save()

    @rule(key=keys)
    def delete(self, key: uuid.UUID) -> None:
        forget_transaction()
        order = Order.objects.filter(pk=key).first()
        if order is not None:
            order.delete()

    @rule(key=keys, status=st.sampled_from(["paid", "cancelled"]))
    def change_status(self, key: uuid.UUID, status: str) -> None:
        forget_transaction()
        order = Order.objects.filter(pk=key).first()
        if order is not None:
            order.status = status
            order.save()

    @rule()
    def bulk(self) -> None:
        forget_transaction()
        Order.objects.update(address=self.new_content())
        enqueue(Order.objects.all())

    # -- the workers ----------------------------------------------------------------------------

    def work(self) -> None:
        with contextlib.suppress(Killed):
            worker.push_due()

    @rule(mode=st.sampled_from(MODES))
    def push(self, mode: str) -> None:
        forget_transaction()
        self.remote.mode = mode
        self.work()
        self.remote.mode = "ok"

    @rule()
    def killed_while_settling(self) -> None:
        forget_transaction()
        original = settle._write_rejected

        def die(*args: Any) -> None:
            raise Killed

        settle._write_rejected = die
        try:
            self.work()
        finally:
            settle._write_rejected = original

    @rule(key=keys, is_deletion=st.booleans(), folded=st.booleans())
    def changed_in_flight(self, key: uuid.UUID, is_deletion: bool, folded: bool) -> None:
        """Change the order while its push is in the air; another worker may fold the change meanwhile."""

        def meanwhile() -> None:
            (self.delete if is_deletion else self.save)(key)
            if folded:
                outbox()

        forget_transaction()
        self.remote.mode, self.remote.meanwhile = "overtaken", meanwhile
        self.work()
        self.remote.mode, self.remote.meanwhile = "ok", None

    @rule(key=keys, landed=st.booleans())
    def overtaken(self, key: uuid.UUID, landed: bool) -> None:
        """Stop a worker in the middle of its request, while the order changes and another worker claims it.

        A request that has not landed yet lands within the quarantine.
        """

        def meanwhile() -> None:
            self.save(key)
            self.advance(LEASE + (QUARANTINE + 1 if landed else 1))
            self.work()

        forget_transaction()
        self.remote.mode = "overtaken" if landed else "overtaken in the air"
        self.remote.meanwhile = meanwhile
        self.work()
        self.remote.mode, self.remote.meanwhile = "ok", None

    # -- time and late requests ----------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, QUARANTINE + 1, LEASE + 1, LEASE + QUARANTINE + 1]))
    def advance(self, seconds: float) -> None:
        self.time.advance(seconds)
        self.remote.expire()

    @rule(seconds=st.sampled_from([0.5, 30.0, 3600.0]))
    def clock_steps_back(self, seconds: float) -> None:
        self.time.wall -= dt.timedelta(seconds=seconds)

    @precondition(lambda self: self.remote.late)
    @rule(data=st.data())
    def a_late_request_lands(self, data: st.DataObject) -> None:
        # Time may have passed since, while a worker slept or died.
        self.remote.expire()
        if self.remote.late:
            self.remote.land(data.draw(st.integers(0, len(self.remote.late) - 1)))

    def a_late_request_lands_if_there_is_one(self) -> None:
        self.remote.expire()
        while self.remote.late:
            self.remote.land(0)

    # -- invariants ------------------------------------------------------------------------------

    @invariant()
    def one_entry_per_order(self) -> None:
        if hasattr(self, "remote"):
            # An invariant must not fold recorded changes: the workers fold them.
            assert OutboxEntry.objects.count() <= len(KEYS)

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        with self.stack:
            self.a_late_request_lands_if_there_is_one()
            for _ in range(30):
                # The wall clock has gone back by hours at most; this is beyond all of it.
                self.advance(2 * 3600.0)
                forget_transaction()
                self.work()
                if not outbox().exists():
                    break
            assert not outbox().exists(), list(outbox().values())
            assert not self.remote.violations
            here = dict(Order.objects.exclude(status="cancelled").values_list("pk", "address"))
            assert sorted(self.remote.held()) == sorted((str(pk), address) for pk, address in here.items())
