"""Celery app of the Black Friday benchmark: the test project's, with a log of every order that Sendcloud accepted."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init

from tests.celery_app import app

__all__ = ["app"]


@worker_process_init.connect
def log_arrivals(**kwargs: object) -> None:
    """Write the order and the moment of each accepted or deleted shipment to a file of this process."""
    from django_sendcloud.sync.backends import BACKENDS, Outcome

    path = Path(os.environ["BLACK_FRIDAY_FOLDER"]) / f"arrivals-{os.getpid()}"
    # Line by line, because the process is ended from outside.
    file = path.open("w", buffering=1)

    def note(shipment: Any, result: Any) -> None:
        if result.outcome in (Outcome.CREATED, Outcome.UPDATED, Outcome.ACCEPTED, Outcome.DELETED):
            file.write(f"{time.time():.3f} {shipment.order_pk}\n")

    def log_of(backend: Any) -> None:
        upsert, delete = backend.upsert, backend.delete

        def logged_upsert(self: Any, items: Any) -> Any:
            results = upsert(self, items)
            for item, result in zip(items, results, strict=True):
                note(item.shipment, result)
            return results

        def logged_delete(self: Any, shipment: Any) -> Any:
            result = delete(self, shipment)
            note(shipment, result)
            return result

        backend.upsert, backend.delete = logged_upsert, logged_delete

    for backend in BACKENDS.values():
        log_of(backend)
