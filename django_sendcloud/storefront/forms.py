"""Service points in a shop's checkout: a form field and its widget around Sendcloud's hosted picker.

::

    class CheckoutForm(forms.Form):
        country = forms.ChoiceField(...)
        postal_code = forms.CharField()
        delivery = forms.ChoiceField(...)
        service_point = ServicePointField(when={"delivery": "Service point"})

``form.cleaned_data["service_point"]`` is a :class:`ServicePoint`, or ``None`` where another delivery was chosen.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.widgets import Script
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ..conf import lenient_conf
from ..models import Integration
from ..sync.routing import names_of_site, route
from .service_points import LENGTHS, ServicePoint

__all__ = ["ServicePoint", "ServicePointField", "ServicePointWidget"]

#: The picker refuses to open in any other language.
LANGUAGES: Final = ("de-de", "en-gb", "en-us", "es-es", "fr-fr", "it-it", "nl-nl")
#: A point as our script sends it has some 300 characters.
MAX_LENGTH: Final = 4000

When = Mapping[str, "str | Collection[str]"]


@dataclasses.dataclass(frozen=True, slots=True)
class Submitted:
    """Input of a browser: the point as text, and the form's other fields that concern it.

    Attributes:
        text: JSON, or so it should be.
        country: The country of the address; empty where the form has none.
        wanted: Whether the buyer chose a delivery that needs a service point.
    """

    text: str
    country: str
    wanted: bool


class ServicePointWidget(forms.Widget):
    """A button that opens the picker, what was chosen there, and a hidden input.

    Args:
        country: Name of the field with the country's code, in the same form.
        postal_code: Name of the field with the postal code; where it is missing, the buyer searches in the picker.
        city: Name of the field with the city.
        when: Names of fields and the values that make a service point necessary; always, by default.
        carriers: Which of the integration's carriers are offered; all of them by default.
        integration: Called for the integration whose public key and carriers are used. By default, each integration in
            use is for the orders it takes, by the country of the address.
        site: Called for the site of the shop, where integrations take the orders of some sites only.
    """

    template_name = "django_sendcloud/service_point.html"
    use_fieldset = True

    class Media:
        css = {"all": ["django_sendcloud/service_points.css"]}
        js = [Script("django_sendcloud/service_points.js", defer=True)]

    def __init__(
        self,
        attrs: dict[str, Any] | None = None,
        *,
        country: str = "country",
        postal_code: str = "postal_code",
        city: str = "city",
        when: When | None = None,
        carriers: Sequence[str] | None = None,
        integration: Callable[[], Integration | None] | None = None,
        site: Callable[[], object] = str,
    ) -> None:
        super().__init__(attrs)
        self.country = country
        self.postal_code = postal_code
        self.city = city
        self.when = {
            name: [values] if isinstance(values, str) else list(values) for name, values in (when or {}).items()
        }
        self.carriers = carriers
        self.integration = integration
        self.site = site

    def picker(self) -> dict[str, Any] | None:
        """Return the options of the picker; ``None`` if it cannot be opened.

        They are the public key, the carriers and the language, and ``routes``: by country the public key and the
        carriers of another integration, empty where none has service points.
        """
        if self.integration is not None:
            integration, routes = self.integration(), {}
        else:
            active = list(Integration.objects.active().order_by("pk"))
            names = names_of_site(self.site())
            several = active if len(active) > 1 else []
            countries = {str(country) for each in several for country in each.for_countries}
            integration = active[0] if len(active) == 1 else route(active, str, names)
            routes = {
                country: self._options(route(active, functools.partial(str, country), names)) for country in countries
            }
        options = self._options(integration)
        if not options and not any(routes.values()):
            return None
        return {"api_key": "", "carriers": "", **options, "language": picker_language(), "routes": routes}

    def _options(self, integration: Integration | None) -> dict[str, str]:
        """Return the public key and the carriers; nothing if the integration has no service points."""
        if integration is None or not integration.service_point_enabled or not integration.public_key:
            return {}
        enabled = [str(carrier) for carrier in integration.service_point_carriers]
        carriers = [carrier for carrier in enabled if self.carriers is None or carrier in self.carriers]
        return {"api_key": integration.public_key, "carriers": ",".join(carriers)} if carriers else {}

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Submitted:
        def other(field: str) -> str:
            return str(data.get(_sibling(name, field)) or "")

        return Submitted(
            text=str(data.get(name) or ""),
            country=other(self.country).upper(),
            wanted=all(other(field) in values for field, values in self.when.items()),
        )

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return name not in data

    def id_for_label(self, id_: str) -> str:
        # The label names the whole group; a hidden input cannot have one.
        return ""

    def format_value(self, value: Any) -> str | None:
        """Return the point as our script reads it, an empty text if there is none."""
        point = _displayable(value)
        return None if point is None else json.dumps(_shown(point), ensure_ascii=False)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        picker = self.picker()
        fields = {"country": self.country, "postal_code": self.postal_code, "city": self.city}
        context["widget"] |= {
            "point": _displayable(value),
            "picker": picker,
            "routes": json.dumps(picker["routes"]) if picker else "{}",
            "script": lenient_conf().SERVICE_POINT_SCRIPT_URL,
            "fields": {key: _sibling(name, field) for key, field in fields.items()},
            "when": json.dumps({_sibling(name, field): values for field, values in self.when.items()}),
        }
        return context


class ServicePointField(forms.Field):
    """A service point chosen in Sendcloud's hosted picker; cleans to a :class:`ServicePoint` or ``None``.

    What the browser sends is checked for being a possible service point in the country of the address, and for
    nothing else: that it exists is not known before Sendcloud says so.

    Args:
        country: Name of the field with the country's code, in the same form.
        postal_code: Name of the field with the postal code.
        city: Name of the field with the city.
        when: Names of fields and the values that make a service point necessary, for instance
            ``{"delivery": "Service point"}``. With other values the field is hidden, not required, and ``None``.
        carriers: Which of the integration's carriers are offered; all of them by default.
        integration: Called for the integration whose public key and carriers are used. By default, each integration in
            use is for the orders it takes, by the country of the address.
        site: Called for the site of the shop, where integrations take the orders of some sites only.
        kwargs: As for any field.
    """

    widget = ServicePointWidget
    default_error_messages = {
        "required": _("Choose a service point."),
        "invalid": _("This service point cannot be read. Please choose it again."),
        "country": _("This service point is in another country than your address. Please choose one there."),
    }

    def __init__(
        self,
        *,
        country: str = "country",
        postal_code: str = "postal_code",
        city: str = "city",
        when: When | None = None,
        carriers: Sequence[str] | None = None,
        integration: Callable[[], Integration | None] | None = None,
        site: Callable[[], object] = str,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault(
            "widget",
            ServicePointWidget(
                country=country,
                postal_code=postal_code,
                city=city,
                when=when,
                carriers=carriers,
                integration=integration,
                site=site,
            ),
        )
        super().__init__(**kwargs)

    def clean(self, value: Any) -> ServicePoint | None:
        """Return the point.

        Raises:
            ValidationError: it is missing, cannot be one, or is in another country than the address.
        """
        submitted = value if isinstance(value, Submitted) else Submitted(str(value or ""), "", wanted=True)
        if not submitted.wanted:
            return None
        point = self.to_python(submitted.text)
        self.validate(point)
        if point is None:
            return None
        if submitted.country and point.country != submitted.country:
            raise ValidationError(self.error_messages["country"], code="country")
        self.run_validators(point)
        return point

    def to_python(self, value: Any) -> ServicePoint | None:
        """Read the JSON of our script."""
        if not value:
            return None
        point = read(value)
        if point is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return point

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _comparable(initial) != _comparable(data)


def read(text: str) -> ServicePoint | None:
    """Return the service point a browser sent, chosen now; ``None`` where it cannot be one."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        sent = json.loads(text)
        # The picker's own types differ by carrier: house numbers and post numbers come as numbers, too.
        values: dict[str, Any] = {name: _text(sent.get(name)) for name in LENGTHS}
        values["country"] = values["country"].upper()
        return ServicePoint(id=int(_text(sent["id"])), **values)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


def picker_language() -> str:
    """Return the picker's language that is nearest to the page's."""
    language = (get_language() or "").lower()
    if language in LANGUAGES:
        return language
    spoken = language.partition("-")[0]
    return next((known for known in LANGUAGES if known.startswith(f"{spoken}-") and spoken != "en"), "en-us")


def _text(value: object) -> str:
    """Return a text or number as text without blanks around it, an empty text for null.

    Raises:
        TypeError: it is neither.
    """
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError
    return str(value).strip()


def _sibling(name: str, field: str) -> str:
    """Return the name of another field of the same form; a form's prefix ends with the last hyphen."""
    prefix, hyphen, _rest = name.rpartition("-")
    return f"{prefix}{hyphen}{field}"


def _displayable(value: Any) -> ServicePoint | None:
    """Return the point in a widget's value: sent by a browser, or the form's initial one, stored or not."""
    if isinstance(value, ServicePoint):
        return value
    if isinstance(value, Submitted):
        return read(value.text)
    try:
        return ServicePoint.from_json(value) if isinstance(value, Mapping) else None
    except ValueError:
        return None


def _shown(point: ServicePoint) -> dict[str, Any]:
    return {"id": point.id} | {name: getattr(point, name) for name in LENGTHS}


def _comparable(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Submitted) and not value.wanted:
        return None
    point = _displayable(value)
    return None if point is None else _shown(point)
