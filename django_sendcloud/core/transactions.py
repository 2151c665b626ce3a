"""The guard against transactions of others: locks must not be held while Sendcloud is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections

__all__ = [
    "InsideTransaction",
    "OutsideTransactions",
    "is_inside_transaction",
    "outside_transactions",
    "refuse_inside_transaction",
]

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


class InsideTransaction(RuntimeError):
    """Work was begun inside an atomic block that must not be."""


def is_inside_transaction() -> bool:
    """Return whether a database of this thread is in an atomic block, other than the one a ``TestCase`` runs in.

    As with ``atomic(durable=True)``, the block that Django's ``TestCase`` (and pytest-django's ``db``) opens around a
    test does not count.
    """
    return any(
        not getattr(block, "_from_testcase", False)
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    )


def refuse_inside_transaction(work: str) -> None:
    """Raise if ``work`` would hold the locks of a transaction while it waits for a network or for other workers.

    Raises:
        InsideTransaction: a database of this thread is in an atomic block.
    """
    if is_inside_transaction():
        raise InsideTransaction(
            f"{work} inside an atomic block would hold its locks meanwhile, and a rollback would not undo it. Do it "
            "after the block: in transaction.on_commit(), or in a view with @transaction.non_atomic_requests."
        )


def outside_transactions(view: ViewT) -> ViewT:
    """Run a view outside of the transactions of ``ATOMIC_REQUESTS``, of every database.

    Django's own ``non_atomic_requests`` names one database, and leaves those of the others open.
    """
    view._non_atomic_requests = set(connections)  # type: ignore[attr-defined]
    return view


class OutsideTransactions:
    """A limiter for clients without one: it lets every request pass, outside of transactions."""

    def acquire(self, kind: str) -> None:
        """Let one request pass.

        Raises:
            InsideTransaction: a database of this thread is in an atomic block.
        """
        refuse_inside_transaction("A request to Sendcloud")
