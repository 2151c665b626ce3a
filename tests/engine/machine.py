"""Thousands of histories: an adversarial Sendcloud, dying workers, clocks that step, and the engine's real code.

The remote applies an upsert only where ``updated_at`` differs, may lose an answer, and may apply a request as late as
the quarantine allows. Whatever the history, once things calm down both sides are equal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_sendcloud import enqueue
from django_sendcloud.api.results import DeleteResult, UpsertResult
from django_sendcloud.clock import clock
from django_sendcloud.enums import UpsertStatus
from django_sendcloud.exceptions import RateLimited, RequestNotSent, ServerError, TransportError
from django_sendcloud.models import Account, Change, Integration, OutboxEntry, Shipment
from django_sendcloud.sync import pump as pump_module
from django_sendcloud.sync import push, settle
from tests.factories import forget_transaction, outbox
from tests.shop.models import Customer, Order

LEASE = 120.0
QUARANTINE = 60.0
DEADLINE = 20.0
# The last moment at which a worker begins a request: the whole deadline and a margin are left of its lease.
LATEST = LEASE - DEADLINE - 2.5
KEYS = [uuid.UUID(int=n) for n in range(1, 4)]


class Killed(BaseException):
    """SIGKILL: nothing of the worker runs any more."""


class VirtualTime:
    """A clock that moves when it is told to."""

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
        originals = {name: getattr(clock, name) for name in ("now", "monotonic", "sleep", "jitter", "sql")}
        clock.now = lambda: self.wall  # type: ignore[method-assign]
        clock.monotonic = lambda: self.steady  # type: ignore[method-assign]
        clock.sleep = self.advance  # type: ignore[method-assign]
        clock.jitter = lambda upper: upper / 2  # type: ignore[method-assign]
        clock.sql = self.sql  # type: ignore[method-assign]
        try:
            yield
        finally:
            for name in originals:
                delattr(clock, name)


@dataclasses.dataclass
class Late:
    """A request that has left and has not arrived."""

    apply: Callable[[], Any]
    until: float


class Remote:
    """Sendcloud, as it may behave."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.store: dict[tuple[str, str], tuple[str, dt.datetime, uuid.UUID]] = {}
        self.late: list[Late] = []
        self.mode = "ok"
        self.meanwhile: Callable[[], None] | None = None
        self.sent: dict[tuple[str, str, dt.datetime], str] = {}
        self.violations: list[str] = []
        self.requests = 0

    def shipments(self, integration_id: int) -> Remote:
        return self

    def exchange(self, apply: Callable[[], Any]) -> Any:
        """One request, under the mode of the moment."""
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
            # At the very end of its lease: it lands when somebody else has long been looking for the order.
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

    def upsert(self, payloads: Any) -> list[UpsertResult]:
        for payload in payloads:
            content = self.sent.setdefault((*payload.key, payload.updated_at), payload.address)
            if content != payload.address:
                # Told at the end: raised here, it would be one more failure that the engine survives.
                self.violations.append(
                    f"{payload.key} sent twice with {payload.updated_at}: {content}, {payload.address}"
                )

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

    def delete(self, **which: Any) -> DeleteResult:
        def apply() -> DeleteResult:
            for key, (_, _, identity) in list(self.store.items()):
                by_pair = key == (which.get("external_order_id"), which.get("external_shipment_id"))
                if by_pair or str(identity) == str(which.get("shipment_uuid")):
                    del self.store[key]
                    return DeleteResult(found=True)
            return DeleteResult(found=False)

        return self.exchange(apply)  # type: ignore[no-any-return]

    def land(self, position: int) -> None:
        late = self.late.pop(position)
        late.apply()

    def expire(self) -> None:
        self.late = [late for late in self.late if self.time.steady < late.until]


MODES = [
    "ok", "not sent", "limited", "killed before", "killed after", "killed in the air", "lost before", "lost after",
    "late", "late 500",
]  # fmt: skip
keys = st.sampled_from(KEYS)


class Histories(RuleBasedStateMachine):
    """What a shop, its workers and Sendcloud may do to each other."""

    @initialize()
    def begin(self) -> None:
        for model in (Order, Customer, Change, OutboxEntry, Shipment, Integration, Account):
            model._default_manager.all().delete()
        forget_transaction()
        self.time = VirtualTime()
        self.remote = Remote(self.time)
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(self.time.installed())
        original = push.Push.client
        push.Push.client = lambda *args: self.remote  # type: ignore[method-assign,assignment,return-value]
        self.stack.callback(lambda: setattr(push.Push, "client", original))
        self.contents = 0
        self.customer = Customer.objects.create(name="Jane Doe")
        Integration.objects.create(remote_id=1, public_key="p", secret_key="s")

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
            pump_module.pump()

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

    @rule(key=keys, gone=st.booleans(), folded=st.booleans())
    def changed_in_flight(self, key: uuid.UUID, gone: bool, folded: bool) -> None:
        """The order changes while the request that pushes it is in the air; and another worker may be awake."""

        def meanwhile() -> None:
            (self.delete if gone else self.save)(key)
            if folded:
                outbox()

        forget_transaction()
        self.remote.mode, self.remote.meanwhile = "overtaken", meanwhile
        self.work()
        self.remote.mode, self.remote.meanwhile = "ok", None

    @rule(key=keys, landed=st.booleans())
    def overtaken(self, key: uuid.UUID, landed: bool) -> None:
        """A worker is stopped in the middle of its request; the order changes and another worker looks at it.

        Where the request has not landed yet, it does so within the quarantine.
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

    # -- time, and what travels -----------------------------------------------------------------

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

    # -- what must be true ----------------------------------------------------------------------

    @invariant()
    def one_entry_per_order(self) -> None:
        if hasattr(self, "remote"):
            # (What was recorded is not folded by who looks on: that is the workers' work.)
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
            there = {key[0]: content for key, (content, _, _) in self.remote.store.items()}
            here = dict(Order.objects.exclude(status="cancelled").values_list("pk", "address"))
            assert there == {str(pk): address for pk, address in here.items()}
