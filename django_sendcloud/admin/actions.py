"""What a person can do: one object per action, used on lists and on an object's own page alike.

Each has its own permission, is only ever done by a POST with a CSRF token, asks first where it has
consequences, and leaves a line in Django's log for every object it touched.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst

from ..conf import conf
from ..models import OutboxEntry
from ..signals import work_due

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django_stubs_ext import StrOrPromise

    AnyAdmin = ModelAdmin[Any]

__all__ = ["Action", "Question", "action", "in_chunks", "log", "ring", "tell"]

Rows = models.QuerySet[Any]

# Objects named on a confirmation page; of more only the number is told.
SHOWN = 20
CHUNK = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What a confirmation page says: what will happen, and, where it differs from the selection, to what."""

    consequences: list[StrOrPromise]
    warnings: list[StrOrPromise] = dataclasses.field(default_factory=list)
    rows: Rows | None = None


class Action:
    """One thing a person can do with one object or with several.

    Args:
        run: Does it. Takes the admin, the request and a queryset; tells the person what came of it
            through ``messages``, or returns an answer of its own.
        label: What the button says.
        permission: The ``has_<permission>_permission`` of the admin that is required.
        ask: Builds the confirmation page's question. ``None``: there is nothing to confirm.
        offered: Whether the button is shown on the page of this object.
        emphasis: ``default``, ``quiet`` or ``danger``.
        typed: What of the one object it is done to has to be typed to confirm it, where one click too many would be
            the end of something. ``None``: a click is enough.
    """

    def __init__(
        self,
        run: Callable[[Any, HttpRequest, Rows], HttpResponse | None],
        *,
        label: StrOrPromise,
        permission: str,
        ask: Callable[[Any, HttpRequest, Rows], Question] | None,
        offered: Callable[[Any], bool],
        emphasis: str,
        typed: Callable[[Any], str] | None = None,
    ) -> None:
        self.run = run
        self.label = label
        self.permission = permission
        self.ask = ask
        self.offered = offered
        self.emphasis = emphasis
        self.typed = typed
        # A template would call it otherwise, as it does with everything that can be called.
        self.do_not_call_in_templates = True
        # What ModelAdmin reads from the functions in ``actions``.
        self.__name__ = self.name = run.__name__
        self.short_description = label
        self.allowed_permissions = (permission,)

    def __call__(self, admin: AnyAdmin, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        if request.method != "POST" or not self.is_allowed(admin, request):
            raise PermissionDenied
        if self.ask is not None and not self._is_confirmed(request, rows):
            return self._confirmation(admin, request, rows, self.ask(admin, request, rows))
        return self.run(admin, request, rows)

    def is_allowed(self, admin: AnyAdmin, request: HttpRequest) -> bool:
        return bool(getattr(admin, f"has_{self.permission}_permission")(request))

    def _is_confirmed(self, request: HttpRequest, rows: Rows) -> bool:
        if request.POST.get("confirmed") != "yes":
            return False
        return self.typed is None or _alike(request.POST.get("typed", ""), self.typed(rows.get()))

    def _confirmation(self, admin: AnyAdmin, request: HttpRequest, rows: Rows, question: Question) -> HttpResponse:
        affected = question.rows if question.rows is not None else rows
        number = affected.count()
        context = {
            **admin.admin_site.each_context(request),
            "title": capfirst(str(self.label)).rstrip("…"),
            "opts": admin.opts,
            "action": self,
            "question": question,
            "objects": list(affected[:SHOWN]),
            "number": number,
            "more": max(0, number - SHOWN),
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            "typed": self.typed(rows.get()) if self.typed else "",
            "was_typed": "typed" in request.POST,
            "media": admin.media,
        }
        return TemplateResponse(request, "admin/django_sendcloud/confirmation.html", context)


def _alike(typed: str, wanted: str) -> bool:
    """Whether somebody has typed it, as one types: spaces and capitals do not matter."""
    return " ".join(typed.split()).casefold() == " ".join(wanted.split()).casefold()


def action(
    label: StrOrPromise,
    *,
    permission: str,
    ask: Callable[[Any, HttpRequest, Rows], Question] | None = None,
    offered: Callable[[Any], bool] = lambda obj: True,
    emphasis: str = "default",
    typed: Callable[[Any], str] | None = None,
) -> Callable[[Callable[[Any, HttpRequest, Rows], HttpResponse | None]], Action]:
    """Make the decorated function an ``Action``."""

    def decorate(run: Callable[[Any, HttpRequest, Rows], HttpResponse | None]) -> Action:
        return Action(run, label=label, permission=permission, ask=ask, offered=offered, emphasis=emphasis, typed=typed)

    return decorate


def in_chunks(rows: Rows) -> Iterator[Rows]:
    """The rows as they are now, some hundreds at a time: an action changes what its own filter would find."""
    pks = iter(list(rows.order_by().values_list("pk", flat=True)))
    while chunk := list(itertools.islice(pks, CHUNK)):
        yield rows.model._default_manager.using(rows.db).filter(pk__in=chunk)


def log(request: HttpRequest, rows: Rows | list[Any], message: StrOrPromise) -> None:
    """Write into Django's log who did what to each of these."""
    assert request.user.pk is not None
    LogEntry.objects.log_actions(
        user_id=request.user.pk,
        queryset=rows,
        action_flag=CHANGE,
        change_message=str(message),
    )


def ring(queue: str) -> None:
    """Wake the workers once what was done is committed."""
    transaction.on_commit(
        lambda: work_due.send_robust(sender=OutboxEntry, queue=queue), using=conf().DATABASE, robust=True
    )


def tell(request: HttpRequest, number: int, sentence: str) -> None:
    """Answer with what was done, as a success if it was done to anything at all."""
    messages.add_message(request, messages.SUCCESS if number else messages.WARNING, sentence)
