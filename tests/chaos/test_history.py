"""The judge of a chaos run: each rule is broken once by hand, and is seen to be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chaos.history import REPEATS_PER_EVENT, RULES, History, Telling, check, overtaken, story

A, B = "order-a", "order-b"


def upsert(request: int, stamp: int, *, order: str = A, applied: int | None = -1, **values: Any) -> Telling:
    """An upsert that arrived as the one with this number, and was applied in that order unless told otherwise."""
    applied = request if applied == -1 else applied
    outcome = values.pop("outcome", "updated" if applied else "")
    return Telling(request, float(request), "upsert", order, stamp, outcome, applied, **values)


def delete(request: int, *, order: str = A, applied: int | None = -1, outcome: str = "deleted") -> Telling:
    return Telling(request, float(request), "delete", order, 0, outcome, request if applied == -1 else applied)


def history(*tellings: Telling, **values: Any) -> History:
    """A run that went well: order A was changed three times and is there, order B was deleted."""
    good = History(
        wanted={A: {"name": "Jane"}},
        held={A: {"name": "Jane", "shown": "and more"}},
        stamps={A: 20},
        believed={A: ("synced", 20), B: ("deleted", 12)},
        tellings=tellings or (upsert(1, 10), upsert(2, 11, order=B), delete(3, order=B), upsert(4, 20)),
        unsafe=[1.0, 2.0, 3.0, 4.0],
        changes={A: 3, B: 2},
    )
    return dataclasses.replace(good, **values)


def broken(judged: History) -> list[tuple[str, str]]:
    return [(each.rule, each.order) for each in check(judged)]


def test_a_good_run_breaks_no_rule() -> None:
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
        ({"stamps": {A: 19}}, "was last told 19, and the shop believes 20"),
    ],
)
def test_sides_that_differ(values: dict[str, Any], says: str) -> None:
    found = check(history(**values))
    assert {each.rule for each in found} <= {"both sides are equal", "nothing after the last delete"}
    assert any(says in str(each) for each in found)


def test_an_upsert_after_the_last_delete() -> None:
    judged = history(upsert(1, 10, order=B), delete(2, order=B), upsert(3, 11, order=B), changes={B: 3})
    assert broken(judged) == [("nothing after the last delete", B)]


def test_an_upsert_that_is_applied_after_the_delete_although_it_arrived_before() -> None:
    judged = history(
        upsert(1, 10, order=B), upsert(2, 11, order=B, applied=4), delete(3, order=B, applied=3), changes={B: 3}
    )
    assert broken(judged) == [("nothing after the last delete", B)]


def test_a_deleted_order_may_be_told_what_is_refused_or_never_applied() -> None:
    judged = history(
        upsert(1, 10, order=B), delete(2, order=B), upsert(3, 11, order=B, applied=None), upsert(4, 12, order=B, outcome="error")
    )  # fmt: skip
    assert check(dataclasses.replace(judged, changes={A: 3, B: 4})) == []


def test_an_order_that_was_recreated_may_be_told_after_its_delete() -> None:
    assert check(history(upsert(1, 10), delete(2), upsert(3, 20))) == []


@pytest.mark.parametrize(("limit", "fine"), [(3, True), (2, False)])
def test_the_limit_holds_in_any_window(limit: int, fine: bool) -> None:
    # Two in each minute by the clock, and three in the sixty seconds between.
    judged = history(unsafe=[10.0, 50.0, 70.0, 109.9], limit=limit)
    assert broken(judged) == ([] if fine else [("the limit is kept", "")])


def test_a_window_is_over_when_it_is_over() -> None:
    assert check(history(unsafe=[0.0, 60.0, 120.0], limit=1)) == []


def test_an_older_state_that_remains() -> None:
    judged = history(upsert(1, 10), upsert(2, 20, applied=3), upsert(3, 15, applied=4), stamps={A: 15})
    assert ("stamps grow", A) in broken(judged)
    assert overtaken(judged) == 1


def test_an_older_state_that_was_told_anew_is_only_counted() -> None:
    judged = history(upsert(1, 9), upsert(2, 12, applied=3), upsert(3, 10, applied=4), upsert(4, 20, applied=5))
    assert check(dataclasses.replace(judged, changes={A: 4}, lost=1)) == []
    assert overtaken(judged) == 1


def test_an_older_state_that_arrived_late_although_nobody_had_been_stopped() -> None:
    judged = history(upsert(1, 9), upsert(2, 12, applied=3), upsert(3, 10, applied=4), upsert(4, 20, applied=5))
    assert broken(dataclasses.replace(judged, changes={A: 4})) == [("stamps grow", A)]


@pytest.mark.parametrize("second", [upsert(2, 20), upsert(2, 20, outcome="unchanged")])
def test_two_contents_with_the_same_stamp(second: Telling) -> None:
    assert broken(history(upsert(1, 20), second)) == [("stamps grow", A)]


def test_a_telling_without_a_reason() -> None:
    tellings = [upsert(n, n) for n in (1, 2, 3)] + [upsert(4, 20)]
    assert broken(history(*tellings)) == [("no more requests than reasons", A)]


def test_what_was_not_answered_may_be_told_again() -> None:
    assert check(history(upsert(1, 1, answered=False), upsert(2, 2), upsert(3, 3), upsert(4, 20))) == []


def test_events_explain_so_many_tellings_and_no_more() -> None:
    most = 3 + REPEATS_PER_EVENT
    assert check(history(*(upsert(n, n) for n in range(21 - most, 21)), events=1)) == []
    one_more = history(*(upsert(n, n) for n in range(20 - most, 21)), events=1)
    assert broken(one_more) == [("no more requests than reasons", A)]


@pytest.mark.parametrize("state", ["pending", "rejected", "dead"])
def test_something_left_in_the_outbox(state: str) -> None:
    (found,) = check(history(outbox=[{"order": B, "state": state, "error": "worker_died"}]))
    assert (found.rule, found.order) == ("nothing is stuck", B)
    assert state in found.text
    assert "worker_died" in found.text


def test_an_order_that_could_not_be_saved() -> None:
    (found,) = check(history(failures=["OperationalError('deadlock detected')"] * 3))
    assert (found.rule, found.order) == ("the shop never fails", "")
    assert "3 times: OperationalError('deadlock detected')" in found.text


def test_each_rule_says_its_own_name() -> None:
    worst = history(
        upsert(1, 20), delete(2, order=B), upsert(3, 10), upsert(4, 9), upsert(5, 8, order=B),
        wanted={}, outbox=[{"order": A, "state": "dead"}], limit=1, changes={}, failures=["deadlock"],
    )  # fmt: skip
    assert {each.rule for each in check(worst)} == set(RULES)


def test_the_story_of_an_order_has_a_line_for_each_telling() -> None:
    lines = story(history(upsert(1, 10), upsert(2, 11, applied=None), delete(3), upsert(4, 12, order=B)), A, begin=1.0)
    assert len(lines) == 3
    assert "as of 10" in lines[0]
    assert "never applied" in lines[1]
    assert "delete" in lines[2]
