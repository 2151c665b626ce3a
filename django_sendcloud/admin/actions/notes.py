"""Notes that operators leave with an action, for their colleagues."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .action import CONFIRMED
from .history import log

__all__ = ["NoteForm", "log_with_note", "name_of"]


class NoteForm(forms.Form):
    """Form of an optional note, shown with the question of an action."""

    note = forms.CharField(
        label=_("Note for your colleagues"),
        max_length=200,
        required=False,
        widget=forms.TextInput(
            attrs={"class": "vTextField", "aria-label": _("Note for your colleagues"), "autocomplete": "off"}
        ),
    )

    def __init__(self, request: HttpRequest, **initial: Any) -> None:
        answered = request.POST.get(CONFIRMED) == "yes"
        # Fields that are left out keep their initial values.
        super().__init__({**initial, **request.POST.dict()} if answered else None, initial=initial)

    @property
    def text(self) -> str:
        """Return the note of a confirmed question."""
        return str(self.cleaned_data.get("note", "")) if self.is_valid() else ""


def name_of(request: HttpRequest) -> str:
    """Return the name that colleagues know the operator by."""
    return request.user.get_username()


def log_with_note(request: HttpRequest, rows: Any, message: Any, note: str) -> None:
    """Record an action in Django's log, with the operator's note as it was written."""
    if note:
        log(request, rows, _("%(done)s “%(note)s”"), done=message, note=note)
    else:
        log(request, rows, message)
