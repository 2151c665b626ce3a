"""Page of Sendcloud's connection log of one integration, read while the page is made.

Nothing of it is stored. Sendcloud's API has pages, but no filter and no documented order. Headers are never shown,
since they may hold credentials; bodies may hold personal data, and are for those who may see that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from ...api.pages import Page
from ...api.redact import redact
from ...api.v2 import IntegrationLog
from ...exceptions import NotFound
from ...models import Integration
from ...sync import limiter
from ..explanations.errors import Explanation, explain_log
from ..explanations.failures import FAILURES, explain_failure
from ..ui.cells import ago

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Failure", "page_of_logs"]

PAGE_IS_GONE = Explanation(
    _("This page of the log is not there any more"),
    _("The log has moved on at Sendcloud since the link to this page was made."),
    _("Go back to the first page."),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Consecutive requests that failed in the same way.

    Args:
        explanation: Explanation of the failure.
        method: Method of the request.
        url: Called URL, without query and user.
        code: Status code of the answer, if any.
        technical: Type and text of the error, with quoted values blacked out.
        times: Times of the requests, newest first.
        contents: Bodies of request and answer, each with its name. Empty without the permission.
    """

    explanation: Explanation
    method: str
    url: str
    code: int | None
    technical: str
    times: list[dt.datetime]
    contents: list[tuple[StrOrPromise, str]]

    @property
    def ago(self) -> Any:
        """Return the age of the newest request."""
        return ago(self.times[0]) if self.times else ""


def page_of_logs(integration: Integration, cursor: str, *, with_contents: bool) -> dict[str, Any]:
    """Return the page's context: failures and the next cursor, or the reason for none. Never raises for it."""
    try:
        limiter.wait_for_turn(integration.account.pk, "safe")
        with integration.client(retries=0) as client:
            logs = client.v2.integrations.logs
            page: Page[IntegrationLog] = next(logs.pages(integration.remote_id, cursor=cursor or None))
    except NotFound as error:
        if cursor and error.resource != "integration":
            return {"explanation": PAGE_IS_GONE}
        return {"explanation": explain_failure(error, integration), "detail": str(error)}
    except FAILURES as error:
        return {"explanation": explain_failure(error, integration), "detail": str(error)}
    return {"failures": _failures(page.results, with_contents), "next_cursor": page.next_cursor, "read": True}


def _failures(entries: Sequence[IntegrationLog], with_contents: bool) -> list[Failure]:
    found = []
    for (method, url, code, technical), group in itertools.groupby(entries, _kind):
        alike = list(group)
        found.append(
            Failure(
                explanation=explain_log(alike[0].exception_type or "", code),
                method=method,
                url=url,
                code=code,
                technical=technical,
                times=sorted((entry.created_at for entry in alike if entry.created_at), reverse=True),
                contents=_contents(alike[0]) if with_contents else [],
            )
        )
    return found


def _kind(entry: IntegrationLog) -> tuple[str, str, int | None, str]:
    technical = ": ".join(text for text in (entry.exception_type, redact(entry.exception or "")) if text)
    return entry.method, _address(entry.full_url or entry.base_url), entry.response_code, technical


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else parts.path
    except ValueError:
        return ""


def _contents(entry: IntegrationLog) -> list[tuple[StrOrPromise, str]]:
    sent, answered = (entry.request or {}).get("payload"), (entry.response or {}).get("body")
    named: list[tuple[StrOrPromise, Any]] = [(_("What Sendcloud sent"), sent), (_("What was answered"), answered)]
    return [(name, _text(content)) for name, content in named if content]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
