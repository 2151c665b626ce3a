"""The garbage collector looks less often while a round runs, and as often as before afterwards."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from django_sendcloud.sync.pump import COLLECT_EVERY, fewer_collections, pump


@pytest.fixture(autouse=True)
def own_threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


@pytest.mark.django_db
def test_a_round_collects_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("django_sendcloud.sync.pump._next_claim", lambda *args: seen.append(gc.get_threshold()))
    pump()
    assert seen == [(COLLECT_EVERY, 11, 12)]
    assert gc.get_threshold() == (700, 11, 12)


def test_a_round_that_fails_leaves_nothing_behind() -> None:
    with pytest.raises(RuntimeError), fewer_collections:
        raise RuntimeError
    assert gc.get_threshold() == (700, 11, 12)


@pytest.mark.parametrize("first", [0, 50_000])
def test_what_the_shop_has_set_stays(first: int) -> None:
    """Switched off, or higher than ours."""
    gc.set_threshold(first, 11, 12)
    with fewer_collections:
        assert gc.get_threshold() == (first, 11, 12)
    assert gc.get_threshold() == (first, 11, 12)


def test_rounds_that_overlap_give_back_what_the_first_one_found() -> None:
    began, end = threading.Event(), threading.Event()

    def other() -> None:
        with fewer_collections:
            began.set()
            end.wait(10)

    thread = threading.Thread(target=other)
    with fewer_collections:
        thread.start()
        assert began.wait(10)
    assert gc.get_threshold() == (COLLECT_EVERY, 11, 12), "the other one is still pushing"
    end.set()
    thread.join()
    assert gc.get_threshold() == (700, 11, 12)
