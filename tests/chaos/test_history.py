"""The judge of a chaos run: a history that breaks a rule by hand, for each rule."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.chaos.history import AHEAD, REPEATS_PER_EVENT, RULES, History, Journey, Push, Turn, check, overtaken, story

A, B = "order-a", "order-b"


def upsert(request: int, stamp: int, *, order: str = A, applied: int | None = -1, **values: Any) -> Push:
    """Return an upsert that arrived with this number, and was applied in that position by default."""
    applied = request if applied == -1 else applied
    outcome = values.pop("outcome", "updated" if applied else "")
    return Push(request, float(request), "upsert", order, stamp, outcome, applied, **values)


def delete(request: int, *, order: str = A, applied: int | None = -1, outcome: str = "deleted") -> Push:
    return Push(request, float(request), "delete", order, 0, outcome, request if applied == -1 else applied)


JOURNEY = Journey(A, 7, there="delivered", here="delivered", heard=("announced", "delivered"), copies=1)


def history(*pushes: Push, **values: Any) -> History:
    """Return a run without faults: order A was changed three times and is there, order B was deleted."""
    good = History(
        wanted={A: {"name": "Jane"}},
        held={A: {"name": "Jane", "shown": "and more"}},
        stamps={A: 20},
        believed={A: ("synced", 20), B: ("deleted", 12)},
        pushes=pushes or (upsert(1, 10), upsert(2, 11, order=B), delete(3, order=B), upsert(4, 20)),
        unsafe={"": [1.0, 2.0, 3.0, 4.0]},
        accounts={A: "", B: ""},
        held_at={A: [""]},
        foreign={"order-of-2019"},
        turns=[Turn(A, "", ahead=AHEAD, behind=9)],
        changes={A: 3, B: 2},
        journeys=[JOURNEY],
    )
    return dataclasses.replace(good, **values)


def broken(judged: History) -> list[tuple[str, str]]:
    return [(each.rule, each.order) for each in check(judged)]


def test_good_run_breaks_no_rule() -> None:
    assert check(history()) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"wanted": {}}, "should not be"),
        ({"held": {}, "believed": {A: ("deleted", 20)}}, "is not at Sendcloud and should be"),
        ({"held": {A: {"name": "Joan"}}}, "name 'Jane' here, 'Joan' there"),
        ({"held": {A: {}}}, "name 'Jane' here, None there"),
        ({"believed": {A: ("rejected", 20)}}, "believes it is rejected"),
        ({"believed": {}}, "believes it is unknown"),
        ({"believed": {A: ("synced", 20), B: ("synced", 12)}}, "is not there, and the shop believes it is synced"),
        ({"stamps": {A: 19}}, "was last pushed as of 19, and the shop believes 20"),
    ],
)
def test_different_sides_break_a_rule(values: dict[str, Any], says: str) -> None:
    found = check(history(**values))
    assert {each.rule for each in found} <= {"both sides are equal", "nothing after the last delete"}
    assert any(says in str(each) for each in found)


def test_upsert_after_last_delete_is_found() -> None:
    judged = history(upsert(1, 10, order=B), delete(2, order=B), upsert(3, 11, order=B), changes={B: 3})
    assert broken(judged) == [("nothing after the last delete", B)]


def test_upsert_applied_after_delete_is_found() -> None:
    judged = history(
        upsert(1, 10, order=B), upsert(2, 11, order=B, applied=4), delete(3, order=B, applied=3), changes={B: 3}
    )
    assert broken(judged) == [("nothing after the last delete", B)]


def test_refused_upsert_after_delete_is_allowed() -> None:
    judged = history(
        upsert(1, 10, order=B), delete(2, order=B), upsert(3, 11, order=B, applied=None), upsert(4, 12, order=B, outcome="error")
    )  # fmt: skip
    assert check(dataclasses.replace(judged, changes={A: 3, B: 4})) == []


def test_recreated_order_may_be_pushed_after_delete() -> None:
    assert check(history(upsert(1, 10), delete(2), upsert(3, 20))) == []


@pytest.mark.parametrize(("limit", "fine"), [(3, True), (2, False)])
def test_limit_holds_in_any_window(limit: int, fine: bool) -> None:
    # Two in each minute by the clock, and three in the sixty seconds between.
    judged = history(unsafe={"": [10.0, 50.0, 70.0, 109.9]}, limit=limit)
    assert broken(judged) == ([] if fine else [("the limit is kept", "")])


def test_window_ends_on_time() -> None:
    assert check(history(unsafe={"": [0.0, 60.0, 120.0]}, limit=1)) == []


def test_limit_is_that_of_each_account() -> None:
    assert check(history(unsafe={"": [1.0], "second": [1.0]}, limit=1)) == []
    assert broken(history(unsafe={"": [1.0], "second": [1.0, 2.0]}, limit=1)) == [("the limit is kept", "")]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"accounts": {A: "second", B: ""}, "held_at": {}}, "belongs to account second"),
        ({"held_at": {A: ["", "second"]}}, "went to second"),
    ],
)
def test_order_at_other_account_is_found(values: dict[str, Any], says: str) -> None:
    (found,) = check(history(**values))
    assert (found.rule, found.order) == ("each order has one account", A)
    assert says in found.text


@pytest.mark.parametrize(
    "turn", [Turn(A, "", ahead=AHEAD + 1, behind=9), Turn(A, "", ahead=0, behind=0, arrived=False)]
)
def test_checkout_behind_backlog_is_found(turn: Turn) -> None:
    assert broken(history(turns=[turn])) == [("nobody waits for a backlog", A)]


def test_order_of_long_ago_is_found() -> None:
    assert broken(history(foreign={A})) == [("only this shop's orders", A)]


def test_older_state_that_remains_is_found() -> None:
    judged = history(upsert(1, 10), upsert(2, 20, applied=3), upsert(3, 15, applied=4), stamps={A: 15})
    assert ("stamps grow", A) in broken(judged)
    assert overtaken(judged) == 1


def test_older_state_pushed_again_is_counted() -> None:
    judged = history(upsert(1, 9), upsert(2, 12, applied=3), upsert(3, 10, applied=4), upsert(4, 20, applied=5))
    assert check(dataclasses.replace(judged, changes={A: 4}, lost=1)) == []
    assert overtaken(judged) == 1


def test_late_older_state_without_stop_is_found() -> None:
    judged = history(upsert(1, 9), upsert(2, 12, applied=3), upsert(3, 10, applied=4), upsert(4, 20, applied=5))
    assert broken(dataclasses.replace(judged, changes={A: 4})) == [("stamps grow", A)]


@pytest.mark.parametrize("second", [upsert(2, 20), upsert(2, 20, outcome="unchanged")])
def test_contents_with_equal_stamp_are_found(second: Push) -> None:
    assert broken(history(upsert(1, 20), second)) == [("stamps grow", A)]


def test_push_without_reason_is_found() -> None:
    pushes = [upsert(n, n) for n in (1, 2, 3)] + [upsert(4, 20)]
    assert broken(history(*pushes)) == [("no more requests than reasons", A)]


def test_unanswered_push_may_be_repeated() -> None:
    assert check(history(upsert(1, 1, answered=False), upsert(2, 2), upsert(3, 3), upsert(4, 20))) == []


def test_events_explain_a_bounded_number_of_pushes() -> None:
    most = 3 + REPEATS_PER_EVENT
    assert check(history(*(upsert(n, n) for n in range(21 - most, 21)), events=1)) == []
    one_more = history(*(upsert(n, n) for n in range(20 - most, 21)), events=1)
    assert broken(one_more) == [("no more requests than reasons", A)]


@pytest.mark.parametrize("state", ["pending", "rejected", "dead"])
def test_remaining_outbox_entry_is_found(state: str) -> None:
    (found,) = check(history(outbox=[{"order": B, "state": state, "error": "worker_died"}]))
    assert (found.rule, found.order) == ("nothing is stuck", B)
    assert state in found.text
    assert "worker_died" in found.text


def test_unsavable_order_is_found() -> None:
    (found,) = check(history(failures=["OperationalError('deadlock detected')"] * 3))
    assert (found.rule, found.order) == ("the shop never fails", "")
    assert "3 times: OperationalError('deadlock detected')" in found.text


@pytest.mark.parametrize(
    ("values", "rule", "says"),
    [
        ({"here": "in_transit", "heard": ("in_transit",)}, "parcels converge", "delivered there and in_transit here"),
        ({"here": "", "heard": ()}, "parcels converge", "delivered there and unknown here"),
        ({"heard": ()}, "the shop gets every update", "called for ()"),
        ({"heard": ("delivered", "announced")}, "the shop gets every update", "delivered"),
        ({"copies": 0}, "a label stays", "0 times"),
        ({"copies": 2}, "a label stays", "2 times"),
    ],
)
def test_journey_that_breaks_rule_is_found(values: dict[str, Any], rule: str, says: str) -> None:
    (found,) = check(history(journeys=[dataclasses.replace(JOURNEY, **values)]))
    assert (found.rule, found.order) == (rule, A)
    assert says in found.text


def test_webhook_left_over_is_found() -> None:
    assert broken(history(events_left=["applied"])) == [("parcels converge", "")]


def test_rules_name_themselves() -> None:
    worst = history(
        upsert(1, 20), delete(2, order=B), upsert(3, 10), upsert(4, 9), upsert(5, 8, order=B),
        wanted={}, outbox=[{"order": A, "state": "dead"}], limit=1, changes={}, failures=["deadlock"],
        journeys=[dataclasses.replace(JOURNEY, here="announced", copies=2)],
        accounts={A: "second"}, turns=[Turn(A, "", ahead=AHEAD + 1, behind=0)], foreign={B},
    )  # fmt: skip
    assert {each.rule for each in check(worst)} == set(RULES)


def test_story_has_a_line_per_push() -> None:
    lines = story(history(upsert(1, 10), upsert(2, 11, applied=None), delete(3), upsert(4, 12, order=B)), A, begin=1.0)
    assert len(lines) == 3
    assert "as of 10" in lines[0]
    assert "never applied" in lines[1]
    assert "delete" in lines[2]
