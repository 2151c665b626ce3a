"""What was written down in English, in the words and the language of whoever reads it.

A payload complains to the developer, and a worker notes what became of a webhook, where nobody's language is known;
Sendcloud answers in English. All that is stored as it is. Here what an operator can meet is known by its shape and said
anew. What nobody knows is shown as it is: it is better than nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models.webhook_event import ACTIONS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["ACTIONS", "in_words"]

_OR_NONE = r"(?:; use None where there is none)?\."
_FOR_THE_DEVELOPER = _(
    "The shop's own code gives something here that cannot be sent. Show this to the shop's developer: %(complaint)s"
)

#: Complaints about a field, of ``payloads.rules``, of the engine and of Sendcloud. The first that fits wins.
_COMPLAINTS: Mapping[str, StrOrPromise] = {
    # What a buyer, a product or an order lacks.
    rf"May not be empty{_OR_NONE}": _("This is missing."),
    r"May not be None; (?:it is required|use '')\.": _("This is missing."),
    r"This field (?:is required|may not be (?:blank|null))\.": _("This is missing."),
    # Texts.
    r"May have at most (?P<most>\d+) characters, has (?P<has>\d+); shorten it\.": _(
        "This has %(has)s characters, and %(most)s at most are possible. Shorten it."
    ),
    r"Ensure this field has no more than (?P<most>\d+) characters\.": _(
        "This is too long: %(most)s characters at most are possible. Shorten it."
    ),
    r"At most (?P<most>\d+) characters can be kept track of\.": _(
        "This is too long: %(most)s characters at most are possible. Shorten it."
    ),
    r"Must be an e-mail address: .*": _(
        "This is no e-mail address: it needs one @ with something on both sides, and no spaces."
    ),
    r"Enter a valid email address\.": _(
        "This is no e-mail address: it needs one @ with something on both sides, and no spaces."
    ),
    r"Must be an absolute address such as .*": _("This is no web address: it begins with https://."),
    # Choices.
    rf"(?P<value>.+) is not a country code of the contract; write (?P<code>'..'){_OR_NONE}": _(
        "%(value)s is no country code. Use %(code)s."
    ),
    r"(?P<value>.+) is not a country code of the contract; .*": _(
        "%(value)s is no country code. It takes two capital letters, such as 'NL'."
    ),
    rf"(?P<value>.+) is not a currency of the contract; write (?P<code>'...'){_OR_NONE}": _(
        "%(value)s is no currency. Use %(code)s."
    ),
    rf"(?P<value>.+) is not a currency of the contract; convert the amounts to one of (?P<choices>.+?){_OR_NONE}": _(
        "Sendcloud does not take the currency %(value)s. It takes %(choices)s."
    ),
    rf"(?P<value>.+) is not a .+ of the contract; use one of (?P<choices>.+?){_OR_NONE}": _(
        "%(value)s is not possible here. Use one of these: %(choices)s."
    ),
    rf"Must be one of (?P<choices>.+), got (?P<value>.+?){_OR_NONE}": _(
        "%(value)s is not possible here. Use one of these: %(choices)s."
    ),
    # Numbers.
    rf"Must be at least (?P<least>[^,]+), got (?P<value>.+?){_OR_NONE}": _(
        "This is %(value)s, and must be at least %(least)s."
    ),
    r"May have at most (?P<most>\d+) digits behind the point, got (?P<value>.+?); .*": _(
        "This is %(value)s, and may have at most %(most)s decimals. Round it."
    ),
    r"May have at most (?P<most>\d+) characters, got (?P<value>.+); round it or check it\.": _(
        "%(value)s has too many digits. Check it."
    ),
    r"A valid integer is required\.": _("This must be a whole number."),
    r"A valid number is required\.": _("This must be a number."),
    # Orders as a whole.
    r"Service point (?P<id>\d+) was chosen on (?P<day>[\d-]{10}) and is not available any more\. .*": _(
        "Service point %(id)s, chosen on %(day)s, is not available any more. Let the buyer choose another, or send the "
        "order to an address."
    ),
    r"Two orders may not share their external ids: .*": _(
        "Another order has the same ids, and Sendcloud would keep only one of them. Ids must differ."
    ),
    r"(?P<value>.+) occurs more than once\.": _("%(value)s occurs more than once."),
    # What no value in the admin can mend.
    r"Must be (?:text|True or False|(?:an?|one) [A-Za-z]).*": _FOR_THE_DEVELOPER,
    r"Must (?:know its time zone|lie within|fit into).*": _FOR_THE_DEVELOPER,
    r"(?:A float is not exact|JSON cannot hold|Keys must be|May be nested).*": _FOR_THE_DEVELOPER,
    r"(?:Holds a (?:lone surrogate|NUL character)|Is required to send).*": _FOR_THE_DEVELOPER,
}

#: Notes of ``webhooks`` on what became of an event.
_NOTES: Mapping[str, StrOrPromise] = {
    r"A test: it arrived\.": _("A test: it arrived."),
    r"Nobody knows this action; .*": _(
        "Nobody knows what this is about. It is kept, and nothing else is done with it."
    ),
    r"Its time lies in the future; .*": _("Its time lay in the future, so the time of its arrival was used."),
    r"Nobody had opened the window for keys by webhook; .*": _(
        "It brought keys, and nobody had asked for keys by webhook, so they were thrown away."
    ),
    r"Sendcloud accepts these keys; .*": _("It brought keys. Sendcloud accepts them, and they are in use now."),
    r"Sendcloud does not accept these keys; .*": _(
        "It brought keys. Sendcloud does not accept them, so those that were there stay in use."
    ),
    r"NaN and Infinity are not JSON\.|The body is (?:not )?JSON.*": _(
        "It cannot be read: it is not what Sendcloud sends."
    ),
    r"There is no parcel in it\.|The parcel has no usable id\.": _(
        "It names no parcel, so there is nothing to change."
    ),
    r"Applying it failed: (?P<error>.+)\.": _("The shop failed to apply it (%(error)s)."),
    r"A receiver of the shop failed: (?P<receiver>.+)\.": _(
        "It was applied, and then the shop's own code failed on it. Show this to the shop's developer: %(receiver)s"
    ),
    r"Sendcloud could not be asked: (?P<why>.+)": _("Sendcloud had to be asked, and did not answer well: %(why)s"),
    r"A stored secret cannot be decrypted: .*": _(
        "What is stored cannot be decrypted: the key it was encrypted with is gone. Let the shop's developer put it "
        "back at the end of SENDCLOUD['ENCRYPTION_KEYS'], or enter the keys of Sendcloud again."
    ),
}

_PATTERNS = [
    (re.compile(pattern, re.DOTALL), sentence) for pattern, sentence in [*_COMPLAINTS.items(), *_NOTES.items()]
]
_VALUES: Mapping[str, Callable[[str], str]] = {
    "day": lambda day: date_format(dt.date.fromisoformat(day), "DATE_FORMAT"),
}


def in_words(text: str) -> str:
    """Say what was written down in the language that is active.

    Args:
        text: A complaint about a field, as a :class:`~django_sendcloud.exceptions.PayloadError` or Sendcloud's answer
            gave it; or a note on a webhook.

    Returns:
        The text itself where nobody knows it.
    """
    for pattern, sentence in _PATTERNS:
        if match := pattern.fullmatch(text):
            values = {name: _VALUES.get(name, str)(value) for name, value in match.groupdict().items()}
            return str(sentence) % {**values, "complaint": text}
    # Django and its REST framework have translated what Sendcloud, which is made with them, is likely to say.
    return gettext(text) if text else ""
