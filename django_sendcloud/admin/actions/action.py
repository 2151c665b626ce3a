"""Actions of operators: one object per action, used on lists and on an object's own page.

Each action has its own permission, needs a POST with a CSRF token, asks first if it has
consequences, and writes a LogEntry for every object it touched. An action does only what the operator confirmed: if
the selection grew meanwhile, it asks again.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext

from ...conf import conf
from ...models import OutboxEntry
from ...signals import work_due
from ..ui.links import admin_url
from ..ui.pages import admin_page

if TYPE_CHECKING:
    from django import forms
    from django_stubs_ext import StrOrPromise

    #: An admin class, or ``BackOffice``.
    AnyAdmin = Any

__all__ = ["Action", "Question", "action", "confirmed_criteria", "in_chunks", "notify", "report_count"]

Rows = models.QuerySet[Any]
Run = Callable[[Any, HttpRequest, Rows], HttpResponse | None]
Options = ParamSpec("Options")

# Objects listed on a confirmation page; the page counts the rest.
SHOWN = 20
CHUNK = 500
# Keys in a confirmation's form; a longer list is confirmed by its number. Django refuses forms of over 1,000 fields.
MAX_SELECTED = 500
# Template of a confirmation page, unless the admin names its own.
CONFIRMATION = "admin/django_sendcloud/actions/confirmation.html"
# Form fields of a confirmation page.
CONFIRMED, NUMBER, CRITERIA = "confirmed", "number", "criteria"


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Text of a confirmation page: the consequences, and the objects if they differ from the selection.

    Args:
        consequences: Consequences in whole sentences. Empty if the action is impossible; ``warnings`` say why.
        warnings: Facts the operator should know before confirming.
        rows: Objects of the action, if they differ from the selection.
        title: Heading that names action and objects. Made of the action's label otherwise.
        button: Label of the button. The action's label otherwise.
        criteria: Criteria that found ``rows``. They come back with the confirmation (:func:`confirmed_criteria`), so
            that the action applies to them and not to those of the selection by then.
        form: Choices of the operator. Its fields need initial values.
        always_asks: Ask on the object's own page, too, though the action does not otherwise.
    """

    consequences: list[StrOrPromise]
    warnings: list[StrOrPromise] = dataclasses.field(default_factory=list)
    rows: Rows | None = None
    title: StrOrPromise = ""
    button: StrOrPromise = ""
    criteria: list[str] = dataclasses.field(default_factory=list)
    form: forms.Form | None = None
    always_asks: bool = False


@dataclasses.dataclass(eq=False)
class Action:
    """One action of an operator on one object or on several.

    Args:
        run: The action itself. Takes the admin, the request and a queryset; reports the result through
            ``messages``, or returns a response of its own.
        label: Label of the button.
        permission: Suffix of the admin's ``has_<permission>_permission`` that is required.
        ask: Builds the question of the confirmation page. ``None``: no confirmation.
        asks_for_one: Whether the object's own page asks, too.
        offered: Whether the page of this object shows the button.
        emphasis: ``default``, ``quiet`` or ``danger``.
        most: Maximum number of objects. A larger selection is refused before the question.
        opens: Whether the response is a document that opens in a new tab.
        typed: Text of the object to type as a confirmation, for an action that cannot be undone.
            ``None``: a click is enough.
    """

    run: Run
    label: StrOrPromise
    _: dataclasses.KW_ONLY
    permission: str
    ask: Callable[[Any, HttpRequest, Rows], Question] | None = None
    asks_for_one: bool = True
    offered: Callable[[Any], bool] = lambda obj: True
    emphasis: str = "default"
    most: int | None = None
    opens: bool = False
    typed: Callable[[Any], str] | None = None

    def __post_init__(self) -> None:
        # Templates call every callable otherwise.
        self.do_not_call_in_templates = True
        # Attributes that ModelAdmin reads from the functions in ``actions``.
        self.__name__ = self.name = self.run.__name__
        self.short_description = self.label
        self.allowed_permissions = (self.permission,)

    def __call__(
        self, admin: AnyAdmin, request: HttpRequest, rows: Rows, *, page_of: Any = None
    ) -> HttpResponse | None:
        """Run the action, or ask first.

        Args:
            admin: Admin that shows the button.
            request: Request of the operator.
            rows: Objects of the action.
            page_of: Object whose own page has the button; ``None`` on a list.
        """
        if request.method != "POST" or not self.is_allowed(admin, request):
            raise PermissionDenied
        question = self.ask(admin, request, rows) if self.ask is not None else None
        selection = rows
        rows = question.rows if question is not None and question.rows is not None else rows
        number = rows.count() if question is not None or self.most is not None else 0
        if self.most is not None and number > self.most:
            text = gettext(
                "At most %(most)d are possible at a time, and this would be %(number)d. Please choose fewer."
            )
            messages.error(request, text % {"most": self.most, "number": number})
            return None
        if question is not None and not number and not question.warnings:
            nothing_left = gettext("Nothing of this selection is left.")
            messages.warning(request, f"{nothing_left} {_done_meanwhile()}")
            return None
        if question is not None and (page_of is None or self.asks_for_one or question.always_asks):
            confirmed = self._is_confirmed(request, rows)
            confirmed_number = request.POST.get(NUMBER, "")
            more_by_now = confirmed and confirmed_number.isdecimal() and number > int(confirmed_number)
            is_valid = question.form is None or question.form.is_valid()
            if not confirmed or more_by_now or not is_valid:
                return self._confirmation(admin, request, selection, rows, question, number, page_of, more_by_now)
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
        selection: Rows,
        rows: Rows,
        question: Question,
        number: int,
        page_of: Any,
        more_by_now: bool,
    ) -> HttpResponse:
        objects = _named(admin, request, list(rows[:SHOWN]))
        page_url = request.get_full_path()
        if page_of is not None:
            page_url = getattr(admin, "page_url", "") or admin_url(admin.admin_site, admin.opts, page_of.pk)
        checkbox_name = getattr(admin, "checkbox_name", helpers.ACTION_CHECKBOX_NAME)
        selected, across = request.POST.getlist(checkbox_name), request.POST.get("select_across", "0")
        if across == "1":
            # The confirmation is for these rows, whatever enters the list meanwhile.
            keys = [str(key) for key in selection.values_list("pk", flat=True)[: MAX_SELECTED + 1]]
            selected, across = (keys, "0") if len(keys) <= MAX_SELECTED else (selected, across)
        context = {
            "action": self,
            "button": question.button or _plain(self.label),
            "question": question,
            "more_by_now": more_by_now,
            "objects": objects,
            "number": number,
            "more": max(0, number - SHOWN),
            "selected": selected,
            "checkbox_name": checkbox_name,
            "hidden": getattr(admin, "hidden_fields", ()),
            "select_across": across,
            "cancel_url": page_url,
            "typed": self.typed(rows.get()) if self.typed else "",
            "was_typed": "typed" in request.POST,
        }
        template = getattr(admin, "confirmation_template", CONFIRMATION)
        title = question.title or self._title(admin, objects, number)
        return admin_page(admin, request, template, title, context, page_of)

    def _title(self, admin: AnyAdmin, objects: list[tuple[Any, str]], number: int) -> str:
        """Name action and objects: ``Pause: Webshop``."""
        if number == 1 and objects:
            what = str(objects[0][0])
        else:
            opts = admin.opts
            one, many = getattr(admin, "count_nouns", None) or (opts.verbose_name, opts.verbose_name_plural)
            what = f"{number} {one if number == 1 else many}"
        return gettext("%(action)s: %(objects)s") % {"action": _plain(self.label), "objects": what}


def _named(admin: AnyAdmin, request: HttpRequest, objects: list[Any]) -> list[tuple[Any, str]]:
    """Return objects with their URLs, named by the admin of their own model."""
    if not objects:
        return []
    if admin.admin_site.is_registered(type(objects[0])):
        admin = admin.admin_site.get_model_admin(type(objects[0]))
    named = getattr(admin, "named", None)
    return named(request, objects) if named else [(obj, "") for obj in objects]


def _plain(label: StrOrPromise) -> str:
    return str(capfirst(str(label))).rstrip("…")


def _alike(typed: str, wanted: str) -> bool:
    """Return whether the typed text matches, ignoring spaces and case."""
    return " ".join(typed.split()).casefold() == " ".join(wanted.split()).casefold()


def _as_decorator(
    make: Callable[Concatenate[Run, Options], Action],
) -> Callable[Options, Callable[[Run], Action]]:
    """Return the decorator that makes a function an ``Action`` with these options."""

    def decorator(*args: Options.args, **options: Options.kwargs) -> Callable[[Run], Action]:
        return lambda run: make(run, *args, **options)

    return decorator


action = _as_decorator(Action)
"""Make the decorated function an ``Action``; takes its label, and its options by name."""


def confirmed_criteria(request: HttpRequest) -> list[str]:
    """Return the criteria of the question that this request confirms."""
    return request.POST.getlist(CRITERIA) if request.POST.get(CONFIRMED) == "yes" else []


def in_chunks(rows: Rows) -> Iterator[Rows]:
    """Yield today's rows in chunks, because an action changes what its own filter finds."""
    pks = iter(list(rows.order_by().values_list("pk", flat=True)))
    while chunk := list(itertools.islice(pks, CHUNK)):
        yield rows.model._default_manager.using(rows.db).filter(pk__in=chunk)


def notify(queue: str) -> None:
    """Notify workers after the transaction commits."""
    transaction.on_commit(
        lambda: work_due.send_robust(sender=OutboxEntry, queue=queue), using=conf().DATABASE, robust=True
    )


def report_count(request: HttpRequest, number: int, sentence: str) -> None:
    """Report the result; as a warning, with the usual reason, if no object was changed."""
    if not number:
        sentence += f" {_done_meanwhile()}"
    messages.add_message(request, messages.SUCCESS if number else messages.WARNING, sentence)


def _done_meanwhile() -> str:
    return gettext("A colleague may have done it, or the selection changed meanwhile.")
