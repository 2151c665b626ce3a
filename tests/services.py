"""Addresses of the services, and whether they run here."""

from __future__ import annotations

import functools
import os
import socket
from urllib.parse import urlsplit

URLS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    "redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9"),
    "rabbitmq": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}


@functools.cache
def available(name: str) -> bool:
    """Return whether something answers at the service's port."""
    address = urlsplit(URLS[name])
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or 0), timeout=1).close()
    except OSError:
        return False
    return True
