"""Fingerprint of the deployment this process belongs to, so that a copy of its database does not ship."""

from __future__ import annotations

import functools
import logging

from django.db import Error, connections

from ..conf import SendcloudConfigurationError, lenient_conf
from .transactions import OutsideTransactions

__all__ = ["CopyOfShop", "OnlyFromDeployment", "current_deployment", "deployment_differences"]

logger = logging.getLogger("django_sendcloud.core.deployment")

_LOCAL = ("", "localhost", "127.0.0.1", "::1")


class CopyOfShop(SendcloudConfigurationError):
    """A request that would change something at Sendcloud, from a deployment the integration was not connected in."""


class OnlyFromDeployment(OutsideTransactions):
    """A limiter for clients without one: reads are free; writes come from one deployment, outside of transactions."""

    def __init__(self, deployment: dict[str, str]) -> None:
        self._deployment = deployment

    def acquire(self, kind: str) -> None:
        """Let one request pass.

        Raises:
            InsideTransaction: a database of this thread is in an atomic block.
            CopyOfShop: it would change something at Sendcloud, and this deployment may be a copy of the shop.
        """
        super().acquire(kind)
        if kind == "unsafe" and (found := deployment_differences(self._deployment)):
            raise CopyOfShop(
                f"This may be a copy of the shop: its {' and '.join(sorted(found))} differ from those of "
                "the deployment the integration was connected in."
            )


def current_deployment() -> dict[str, str]:
    """Return what identifies this deployment: ``SENDCLOUD["DEPLOYMENT"]``, else its database and its address."""
    settings = lenient_conf()
    if settings.DEPLOYMENT:
        return {"name": settings.DEPLOYMENT}
    deployment = {"database": _database(settings.DATABASE)}
    if server := _server(settings.DATABASE):
        deployment["server"] = server
    if settings.WEBHOOK_BASE_URL:
        deployment["address"] = settings.WEBHOOK_BASE_URL.rstrip("/").lower()
    return deployment


def deployment_differences(stored: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the parts in which a stored deployment differs from this one, as (there, here).

    A part that only one of them knows is no difference: a process without ``WEBHOOK_BASE_URL`` is the same deployment.
    """
    here = current_deployment()
    return {part: (stored[part], here[part]) for part in stored if part in here and stored[part] != here[part]}


def _database(alias: str) -> str:
    """Return the database's address without user and password."""
    if alias not in connections.settings:
        return ""
    connection = connections[alias]
    values = connection.settings_dict
    name = str(values["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:{name}"
    host = str(values.get("HOST") or "localhost").lower().replace("127.0.0.1", "localhost")
    port = str(values.get("PORT") or "")
    return f"{connection.vendor}://{host}{':' if port else ''}{port}/{name}"


def _server(alias: str) -> str:
    """Return the identity of a database server on this machine, whose address would fit any machine; ``""`` if none."""
    if alias not in connections.settings:
        return ""
    connection = connections[alias]
    host = str(connection.settings_dict.get("HOST") or "")
    if host.lower() not in _LOCAL and not host.startswith("/"):
        return ""
    return _identity(alias, _database(alias))


@functools.cache
def _identity(alias: str, address: str) -> str:
    """Ask a database server for its identity, once in each process. It stays when the server restarts or moves.

    Args:
        alias: The database's alias.
        address: Its address, so that another database under the same alias is asked again.
    """
    connection = connections[alias]
    questions = {
        "postgresql": (
            "SELECT has_function_privilege('pg_control_system()', 'execute')",
            "SELECT system_identifier FROM pg_control_system()",
        ),
        "mysql": ("SHOW VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')",),
    }.get(connection.vendor, ())
    answer: tuple[object, ...] = ()
    if not questions:
        return ""
    try:
        with connection.cursor() as cursor:
            for question in questions:
                cursor.execute(question)
                answer = cursor.fetchone() or ()
                if not answer or answer[-1] is False:
                    return ""
    except Error as error:
        logger.warning("The database server could not be identified: %s.", type(error).__name__)
        return ""
    return str(answer[-1]) if answer else ""
