"""Operations of an API generation, and the routes to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .http import Response
from .request import Refused, Request
from .services import Services

__all__ = ["Api", "Handler", "Operation"]

Handler: TypeAlias = "Callable[[Services, Request], Response]"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a contract.

    Attributes:
        method: HTTP method.
        path: Path as the contract writes it, with parameters in braces.
        name: Name in the request log.
        handler: Function that answers it.
        scope: OAuth2 scope that permits it; ``api`` permits everything.
        for_partners: Whether Sendcloud opens it to certified partners only.
    """

    method: str
    path: str
    name: str
    handler: Handler
    scope: str = ""
    for_partners: bool = False


class Api:
    """One generation of Sendcloud's API.

    Args:
        root: First part of all its paths.
        operations: All its operations.
        refuse: Function that words a refusal in the generation's error format; it takes the path, too.
    """

    def __init__(self, root: str, operations: Sequence[Operation], refuse: Callable[[str, Refused], Response]) -> None:
        self.root = root
        self.operations = operations
        self.refuse = refuse
        # Literal segments win over parameters.
        self._routes = [
            (operation, self._pattern(operation.path))
            for operation in sorted(operations, key=lambda operation: operation.path.count("{"))
        ]

    def _pattern(self, path: str) -> re.Pattern[str]:
        return re.compile(self.root + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "/?")

    def route(self, method: str, path: str) -> tuple[Operation | None, dict[str, str]]:
        """Return the operation of a request and the parameters of its path. A slash at the end makes no difference."""
        for operation, pattern in self._routes:
            if operation.method == method and (match := pattern.fullmatch(path)):
                return operation, match.groupdict()
        return None, {}

    def unrouted(self, method: str, path: str) -> Refused:
        """Return the refusal of a request that no operation answers."""
        allowed = sorted({operation.method for operation, pattern in self._routes if pattern.fullmatch(path)})
        if allowed and method != "HEAD":
            return Refused(405, f'Method "{method}" not allowed.', {"Allow": ", ".join(allowed)})
        return Refused(404, "Not found.")
