"""What a person can do: one object per action, used on lists and on an object's own page alike.

Each has its own permission, is only ever done by a POST with a CSRF token, asks first where it has
consequences, and leaves a line in Django's log for every object it touched. What is confirmed is what is done:
where more would be done than the person was told, he is asked again.
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
from django.utils import translation
from django.utils.text import capfirst
from django.utils.translation import gettext

from ..conf import conf
from ..models import OutboxEntry
from ..signals import work_due
from .addresses import admin_url

if TYPE_CHECKING:
    from django import forms
    from django.contrib.admin import ModelAdmin
    from django_stubs_ext import StrOrPromise

    AnyAdmin = ModelAdmin[Any]

__all__ = ["Action", "Question", "action", "asked", "in_chunks", "log", "ring", "tell"]

Rows = models.QuerySet[Any]

# Objects named on a confirmation page; of more only the number is told.
SHOWN = 20
CHUNK = 500
# The names of what a confirmation page sends along.
CONFIRMED, NUMBER, CRITERIA = "confirmed", "number", "criteria"


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What a confirmation page says: what will happen, and, where it differs from the selection, to what.

    Args:
        consequences: What happens, in whole sentences. None: it cannot be done, and ``warnings`` say why.
        warnings: What the person should know before.
        rows: What it is done to, where that is not simply what was selected.
        title: The heading, which names what is done to what. Made of the action's label otherwise.
        button: What the button says. The action's label otherwise.
        criteria: By what ``rows`` were found. They come back with the answer, see :func:`asked`, so that what was
            asked about is done, and not what would be found by then.
        form: What there is to choose. Its fields must have values of their own before anybody chooses.
    """

    consequences: list[StrOrPromise]
    warnings: list[StrOrPromise] = dataclasses.field(default_factory=list)
    rows: Rows | None = None
    title: StrOrPromise = ""
    button: StrOrPromise = ""
    criteria: list[str] = dataclasses.field(default_factory=list)
    form: forms.Form | None = None


class Action:
    """One thing a person can do with one object or with several.

    Args:
        run: Does it. Takes the admin, the request and a queryset; tells the person what came of it
            through ``messages``, or returns an answer of its own.
        label: What the button says.
        permission: The ``has_<permission>_permission`` of the admin that is required.
        ask: Builds the confirmation page's question. ``None``: there is nothing to confirm.
        asks_for_one: Whether it asks also on the page of the object, which names it already.
        offered: Whether the button is shown on the page of this object.
        emphasis: ``default``, ``quiet`` or ``danger``.
        most: To how many objects it can be done at once. That is said before anything is asked.
        opens: It answers with a document, which is opened beside the page.
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
        asks_for_one: bool,
        offered: Callable[[Any], bool],
        emphasis: str,
        most: int | None,
        opens: bool,
        typed: Callable[[Any], str] | None,
    ) -> None:
        self.run = run
        self.label = label
        self.permission = permission
        self.ask = ask
        self.asks_for_one = asks_for_one
        self.offered = offered
        self.emphasis = emphasis
        self.most = most
        self.opens = opens
        self.typed = typed
        # A template would call it otherwise, as it does with everything that can be called.
        self.do_not_call_in_templates = True
        # What ModelAdmin reads from the functions in ``actions``.
        self.__name__ = self.name = run.__name__
        self.short_description = label
        self.allowed_permissions = (permission,)

    def __call__(
        self, admin: AnyAdmin, request: HttpRequest, rows: Rows, *, page_of: Any = None
    ) -> HttpResponse | None:
        """Do it, or ask first.

        Args:
            admin: The admin it is done in.
            request: By whom.
            rows: To what.
            page_of: The object on whose own page the button is, if it is not on a list.
        """
        if request.method != "POST" or not self.is_allowed(admin, request):
            raise PermissionDenied
        question = self.ask(admin, request, rows) if self.ask is not None else None
        rows = question.rows if question is not None and question.rows is not None else rows
        number = rows.count() if question is not None or self.most is not None else 0
        if self.most is not None and number > self.most:
            text = gettext("At most %(most)d can be done at once, and this would be %(number)d. Please choose fewer.")
            messages.error(request, text % {"most": self.most, "number": number})
            return None
        if question is not None and (page_of is None or self.asks_for_one):
            confirmed = self._is_confirmed(request, rows)
            told = request.POST.get(NUMBER, "")
            more_by_now = confirmed and told.isdecimal() and number > int(told)
            is_valid = question.form is None or question.form.is_valid()
            if not confirmed or more_by_now or not is_valid:
                return self._confirmation(admin, request, rows, question, number, page_of, more_by_now)
        return self.run(admin, request, rows)

    def is_allowed(self, admin: AnyAdmin, request: HttpRequest) -> bool:
        return bool(getattr(admin, f"has_{self.permission}_permission")(request))

    def _is_confirmed(self, request: HttpRequest, rows: Rows) -> bool:
        if request.POST.get(CONFIRMED) != "yes":
            return False
        return self.typed is None or _alike(request.POST.get("typed", ""), self.typed(rows.get()))

    def _confirmation(
        self,
        admin: AnyAdmin,
        request: HttpRequest,
        rows: Rows,
        question: Question,
        number: int,
        page_of: Any,
        more_by_now: bool,
    ) -> HttpResponse:
        objects = _named(admin, request, list(rows[:SHOWN]))
        page_url = request.get_full_path()
        if page_of is not None:
            page_url = admin_url(admin.admin_site, admin.opts, page_of.pk)
        # As Django's own views do: addresses in the template are those of this site.
        vars(request)["current_app"] = admin.admin_site.name
        context = {
            **admin.admin_site.each_context(request),
            "title": question.title or self._title(admin, objects, number),
            "opts": admin.opts,
            "original": page_of,
            "action": self,
            "button": question.button or _plain(self.label),
            "question": question,
            "more_by_now": more_by_now,
            "objects": objects,
            "number": number,
            "more": max(0, number - SHOWN),
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            "cancel_url": page_url,
            "typed": self.typed(rows.get()) if self.typed else "",
            "was_typed": "typed" in request.POST,
            "media": admin.media,
        }
        return TemplateResponse(request, "admin/django_sendcloud/confirmation.html", context)

    def _title(self, admin: AnyAdmin, objects: list[tuple[Any, str]], number: int) -> str:
        """What is done to what: ``Pause: Webshop``."""
        if number == 1 and objects:
            what = str(objects[0][0])
        else:
            opts = admin.opts
            one, many = getattr(admin, "counted_as", None) or (opts.verbose_name, opts.verbose_name_plural)
            what = f"{number} {one if number == 1 else many}"
        return gettext("%(action)s: %(objects)s") % {"action": _plain(self.label), "objects": what}


def _named(admin: AnyAdmin, request: HttpRequest, objects: list[Any]) -> list[tuple[Any, str]]:
    """Objects with their addresses, named as the admin of their own model names them: it may be another."""
    if not objects:
        return []
    if admin.admin_site.is_registered(type(objects[0])):
        admin = admin.admin_site.get_model_admin(type(objects[0]))
    named = getattr(admin, "named", None)
    return named(request, objects) if named else [(obj, "") for obj in objects]


def _plain(label: StrOrPromise) -> str:
    return str(capfirst(str(label))).rstrip("…")


def _alike(typed: str, wanted: str) -> bool:
    """Whether somebody has typed it, as one types: spaces and capitals do not matter."""
    return " ".join(typed.split()).casefold() == " ".join(wanted.split()).casefold()


def action(
    label: StrOrPromise,
    *,
    permission: str,
    ask: Callable[[Any, HttpRequest, Rows], Question] | None = None,
    asks_for_one: bool = True,
    offered: Callable[[Any], bool] = lambda obj: True,
    emphasis: str = "default",
    most: int | None = None,
    opens: bool = False,
    typed: Callable[[Any], str] | None = None,
) -> Callable[[Callable[[Any, HttpRequest, Rows], HttpResponse | None]], Action]:
    """Make the decorated function an ``Action``."""

    def decorate(run: Callable[[Any, HttpRequest, Rows], HttpResponse | None]) -> Action:
        return Action(
            run,
            label=label,
            permission=permission,
            ask=ask,
            asks_for_one=asks_for_one,
            offered=offered,
            emphasis=emphasis,
            most=most,
            opens=opens,
            typed=typed,
        )

    return decorate


def asked(request: HttpRequest) -> list[str]:
    """By what criteria the person was asked, if this is the answer."""
    return request.POST.getlist(CRITERIA) if request.POST.get(CONFIRMED) == "yes" else []


def in_chunks(rows: Rows) -> Iterator[Rows]:
    """The rows as they are now, some hundreds at a time: an action changes what its own filter would find."""
    pks = iter(list(rows.order_by().values_list("pk", flat=True)))
    while chunk := list(itertools.islice(pks, CHUNK)):
        yield rows.model._default_manager.using(rows.db).filter(pk__in=chunk)


def log(request: HttpRequest, rows: Rows | list[Any], message: StrOrPromise) -> None:
    """Write into Django's log who did what to each of these: in English, where the message is a lazy translation.

    The history is read in the language of whoever looks (``SendcloudAdmin.history_view``).
    """
    assert request.user.pk is not None
    with translation.override("en"):
        text = str(message)
    LogEntry.objects.log_actions(
        user_id=request.user.pk,
        queryset=rows,
        action_flag=CHANGE,
        change_message=text,
    )


def ring(queue: str) -> None:
    """Wake the workers once what was done is committed."""
    transaction.on_commit(
        lambda: work_due.send_robust(sender=OutboxEntry, queue=queue), using=conf().DATABASE, robust=True
    )


def tell(request: HttpRequest, number: int, sentence: str) -> None:
    """Answer with what was done, as a success if it was done to anything at all."""
    messages.add_message(request, messages.SUCCESS if number else messages.WARNING, sentence)
