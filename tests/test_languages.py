"""Texts for buyers, in the languages of Sendcloud's markets."""

from __future__ import annotations

import datetime as dt
import gettext
import re
from pathlib import Path
from typing import Any

import pytest
from django.template import Context, Template
from django.utils import timezone, translation

import django_sendcloud
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.models.delivery import PHASES
from django_sendcloud.storefront.forms import ServicePointField
from tests import factories

LOCALE = Path(django_sendcloud.__file__).parent / "locale"
LANGUAGES = ["nl", "de", "fr", "es", "it"]
DELIVERED = {"nl": "Bezorgd", "de": "Zugestellt", "fr": "Livré", "es": "Entregado", "it": "Consegnato"}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}")


def catalogue(language: str) -> dict[Any, str]:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        return dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", LANGUAGES)
def test_phases_have_a_word(language: str) -> None:
    assert {phase.value for phase in ParcelPhase} == {value for value, _ in PHASES}
    with translation.override("en"):
        english = [str(label) for _, label in PHASES]
    with translation.override(language):
        words = [str(label) for _, label in PHASES]
        assert str(dict(PHASES)["delivered"]) == DELIVERED[language]
    assert len(set(words)) == len(words)
    assert not set(words) & set(english)


@pytest.mark.parametrize("language", LANGUAGES)
def test_tracking_is_translated(language: str, db: None) -> None:
    integration = Integration.objects.create(remote_id=1, public_key="p", secret_key="s")
    order = factories.order(lines=0)
    pk = str(order.pk)
    shipment = Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=pk, external_order_id=pk, external_shipment_id=pk
    )
    template = Template("{% load sendcloud %}{% sendcloud_tracking order %}")
    with translation.override(language):
        before = template.render(Context({"order": order}))
    Parcel.objects.create(
        integration=integration,
        shipment=shipment,
        remote_id=1,
        phase="delivered",
        status_id=11,
        tracking_number="3SABC",
        tracking_url="https://tracking.example/3SABC",
        status_at=timezone.now() - dt.timedelta(hours=1),
    )
    with translation.override(language):
        after = template.render(Context({"order": order}))
    assert DELIVERED[language].lower() in after.lower()
    for english in ("Your parcel has not been sent yet", "Track 3SABC", ">Delivered"):
        assert english not in f"{before}{after}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_missing_service_point_is_translated(language: str, db: None) -> None:
    with translation.override(language):
        field = ServicePointField()
        message = str(field.error_messages["required"])
    assert message != "Choose a service point."
    assert message


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_translation(language: str) -> None:
    for original, translated in catalogue(language).items():
        if not original:
            continue
        source = original[0] if isinstance(original, tuple) else original
        found = set(PLACEHOLDER.findall(translated))
        # A form for one need not say how many.
        assert found == set(PLACEHOLDER.findall(source)) or isinstance(original, tuple), source
