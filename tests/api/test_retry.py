from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud.api import LocalRateLimiter, RetryPolicy
from django_sendcloud.exceptions import (
    AuthenticationError,
    InvalidResponse,
    RateLimited,
    RequestNotSent,
    RequestRejected,
    ServerError,
    TLSError,
    TransportError,
)
from tests.payloads.builders import shipment

from .conftest import answer

HELD = RequestNotSent(), TransportError(), ServerError(), RateLimited(status=429)


def policy(**options: Any) -> tuple[RetryPolicy, list[float]]:
    waits: list[float] = []
    return RetryPolicy(**({"sleep": waits.append, "random": lambda: 1.0} | options)), waits


@pytest.mark.parametrize("error", HELD)
def test_reading_is_retried_after_transient_error(error: Any) -> None:
    assert policy()[0].wait(error, safe=True, attempt=1, waited=0) == 0.5


@pytest.mark.parametrize("error", [TransportError(), ServerError(), RateLimited(status=429), InvalidResponse()])
def test_changing_is_not_retried_after_possible_arrival(error: Any) -> None:
    """The request may have reached Sendcloud, so a retry could apply it twice."""
    assert policy()[0].wait(error, safe=False, attempt=1, waited=0) is None


def test_changing_is_retried_when_never_sent() -> None:
    """The request surely did not arrive. ``unsafe=False`` switches the retry off."""
    assert policy()[0].wait(RequestNotSent(), safe=False, attempt=1, waited=0) == 0.5
    assert policy(unsafe=False)[0].wait(RequestNotSent(), safe=False, attempt=1, waited=0) is None
    assert policy(unsafe=False)[0].wait(RequestNotSent(), safe=True, attempt=1, waited=0) == 0.5


@pytest.mark.parametrize("error", [TLSError(), AuthenticationError(), RequestRejected(), InvalidResponse()])
def test_permanent_error_is_not_retried(error: Any) -> None:
    assert policy()[0].wait(error, safe=True, attempt=1, waited=0) is None


def test_waits_grow_to_cap_with_jitter() -> None:
    """The waits double up to 8 seconds; full jitter shortens each of them."""
    full, _ = policy(retries=9, budget=1000)
    assert [full.wait(ServerError(), safe=True, attempt=n, waited=0) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    half, _ = policy(retries=9, random=lambda: 0.25)
    assert half.wait(ServerError(), safe=True, attempt=3, waited=0) == 0.5
    assert half.wait(ServerError(), safe=True, attempt=10, waited=0) is None


def test_refusal_of_our_limiter_is_final() -> None:
    """It has waited for as long as it is worth already."""
    full, _ = policy(budget=10)
    assert full.wait(RateLimited(retry_after=1), safe=True, attempt=1, waited=0) is None


def test_retry_after_is_honoured_within_budget() -> None:
    """The policy stops retrying if the server asks for a longer wait."""
    full, _ = policy(budget=10)
    assert full.wait(RateLimited(status=429, retry_after=5), safe=True, attempt=1, waited=0) == 5.5
    assert full.wait(RateLimited(status=429, retry_after=5), safe=True, attempt=1, waited=6) is None
    assert full.wait(RateLimited(status=429, retry_after=3600), safe=True, attempt=1, waited=0) is None
    assert full.wait(RateLimited(status=429, retry_after=0), safe=True, attempt=1, waited=0) == 0.5


def failing(times: int, failure: bytes | None, success: Any = b"[]") -> Any:
    seen = []

    def script(request: Any, connection: Any) -> bytes | None:
        seen.append(request)
        return failure if len(seen) <= times else answer(success)

    return script


def test_get_succeeds_after_transient_errors(serve, connect) -> None:
    for failure in (answer(b"", "503 Oops"), answer(b"", "429 Slow"), None):
        retries, waits = policy()
        server = serve(failing(2, failure))
        assert connect(server, retries=retries).v2.integrations.list() == []
        assert len(server.requests) == 3
        assert waits == [0.5, 1.0]


def test_exhausted_retries_raise_last_error(serve, connect) -> None:
    retries, waits = policy(retries=1)
    server = serve(answer(b"", "500 Oops"))
    with pytest.raises(ServerError):
        connect(server, retries=retries).v2.integrations.list()
    assert len(server.requests) == 2
    assert waits == [0.5]


def test_upsert_is_sent_once(serve, connect) -> None:
    for failure in (answer(b"", "503 Oops"), answer(b"", "429 Slow"), None):
        server = serve(failing(9, failure))
        with pytest.raises((ServerError, RateLimited, TransportError)):
            connect(server, retries=5).v2.shipments.upsert(7, [shipment()])
        assert len(server.requests) == 1


def test_upsert_never_sent_is_retried(connect, dead_port: int) -> None:
    retries, waits = policy(retries=3)
    with pytest.raises(RequestNotSent):
        connect(f"http://127.0.0.1:{dead_port}", retries=retries).v2.shipments.upsert(7, [shipment()])
    assert waits == [0.5, 1.0, 2.0]
    once, none = policy(retries=0)
    with pytest.raises(RequestNotSent):
        connect(f"http://127.0.0.1:{dead_port}", retries=once).v2.shipments.upsert(7, [shipment()])
    assert none == []


# The limiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def most_in_any_minute(times: list[float]) -> int:
    return max(sum(start <= time < start + 60 for time in times) for start in times)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "limit"), [("unsafe", 100), ("safe", 1000)])
def test_limiter_holds_sendclouds_limit_per_minute(kind: Any, limit: int) -> None:
    """Every window of 60 seconds is within the limit, not only calendar minutes."""
    clock = Clock()
    limiter = LocalRateLimiter(clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(limit * 3):
        limiter.acquire(kind)
        times.append(clock.now)
    assert limit * 0.95 <= most_in_any_minute(times) <= limit


def test_limiter_allows_one_burst_after_idling() -> None:
    """Requests after the burst wait for their place."""
    clock = Clock()
    limiter = LocalRateLimiter(clock=clock, sleep=clock.sleep)
    for _ in range(15):
        limiter.acquire("unsafe")
    assert clock.now == pytest.approx(1000.0)
    limiter.acquire("unsafe")
    assert clock.now == pytest.approx(1000.0 + 60 / 85)
    limiter.acquire("safe")  # has a budget of its own
    assert clock.now == pytest.approx(1000.0 + 60 / 85)


def test_limiter_refuses_wait_above_maximum() -> None:
    """A refused request takes no place from later ones."""
    clock = Clock()
    limiter = LocalRateLimiter(unsafe_per_minute=1, unsafe_burst=1, max_wait=10, clock=clock, sleep=clock.sleep)
    limiter.acquire("unsafe")
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            limiter.acquire("unsafe")
        assert caught.value.retry_after == pytest.approx(60)
    clock.now += 60
    limiter.acquire("unsafe")
    with pytest.raises(ValueError, match="greater than 0"):
        LocalRateLimiter(unsafe_burst=0)


def test_requests_pass_through_limiter(serve, connect) -> None:
    class Spy:
        kinds: list[str] = []

        def acquire(self, kind: str) -> None:
            self.kinds.append(kind)
            if len(self.kinds) > 4:
                raise RateLimited("enough", retry_after=9)

    spy = Spy()

    def script(request: Any, connection: Any) -> bytes:
        if request.method == "GET":
            return answer({"id": 7})
        return answer([]) if request.path.endswith("shipments") else answer(status="204 No Content")

    server = serve(script)
    client = connect(server, limiter=spy, retries=0)
    client.v2.integrations.get(7)
    client.v2.shipments.upsert(7, [shipment()])
    client.v2.integrations.delete(7)
    client.v2.shipments.delete(7, shipment_uuid="6b436cb2-65a4-482c-9d25-38be7868ff00")
    with pytest.raises(RateLimited, match=r"get integration \(integration 7\): enough"):
        client.v2.integrations.get(7)
    assert spy.kinds == ["safe", "unsafe", "unsafe", "unsafe", "safe"]
    assert len(server.requests) == 4
