"""Notes on webhooks, stored as codes, in the language of the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from ...models.webhook_event import ACTIONS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["ACTIONS", "NOTES", "note_in_words"]

#: The codes of ``WebhookEvent.note``.
NOTES: Mapping[str, StrOrPromise] = {
    "test": _("A test: it arrived."),
    "unknown_action": _("Unknown action. It is kept, and has no effect."),
    "time_in_the_future": _("Its time lay in the future, so the time of its arrival was used."),
    "keys_not_expected": _("It brought keys without a request for keys by webhook, so they were discarded."),
    "keys_accepted": _("It brought keys. Sendcloud accepts them, and they are in use now."),
    "keys_rejected": _("It brought keys. Sendcloud rejects them, so those that were there stay in use."),
    "erased": _("It is about an order that was erased, so nothing of it was kept."),
    "not_json": _("It cannot be read: it is not what Sendcloud sends."),
    "no_object": _("It cannot be read: it is not what Sendcloud sends."),
    "no_parcel": _("It names no parcel, so there is nothing to change."),
    "no_parcel_id": _("It names no parcel, so there is nothing to change."),
    "not_storable": _("It has characters that the shop's database cannot store. Ask your developer to use utf8mb4."),
    "not_applied": _("The shop failed to apply it (%(error)s)."),
    "worker_died": _("Each worker that tried it died. Show this to your developer."),
    "receiver_failed": _(
        "It was applied, and then the shop's own code failed on it. Show this to your developer: %(receiver)s"
    ),
    "adapter_failed": _(
        "It was applied, and then the shop's own code failed on it. Show this to your developer: %(hook)s"
    ),
    "follow_up_failed": _("It was applied, and what follows it failed (%(error)s)."),
    "sendcloud_not_asked": _("Sendcloud had to be asked, and the request failed: %(why)s"),
    "not_decryptable": _(
        "The stored keys cannot be decrypted: their encryption key is gone. Ask your developer to put it "
        "back at the end of SENDCLOUD['ENCRYPTION_KEYS'], or enter the keys of Sendcloud again."
    ),
}


def note_in_words(note: Mapping[str, Any]) -> str:
    """Return a note on an event in the active language; ``""`` where there is none."""
    sentence = NOTES.get(note.get("code", ""))
    return str(sentence) % note if sentence else str(note.get("code", ""))
