"""Labels and unmatched parcels."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from django_sendcloud.admin.parcels import labels
from django_sendcloud.admin.parcels.admin import ParcelAdmin, PrintFilter
from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.parcels.test_labels import parcels as parcels  # a fixture

pytestmark = pytest.mark.long

LIST = "admin:django_sendcloud_parcel_changelist"


def select(client: Client, parcels: list[Parcel], layout: str = "a6", **more: Any) -> Any:
    """Request labels on the list and confirm the layout."""
    chosen = {"action": "print_label", "_selected_action": [parcel.pk for parcel in parcels], **more}
    question = client.post(reverse(LIST), chosen)
    asked_for = (question.context or {}).get("question")
    criteria = asked_for.criteria if asked_for else []
    answer = {"confirmed": "yes", "layout": layout, "criteria": criteria}
    return client.post(reverse(LIST), {**answer, **chosen})


def asked(client: Client, parcels: list[Parcel]) -> Any:
    return client.post(reverse(LIST), {"action": "print_label", "_selected_action": [each.pk for each in parcels]})


def said(client: Client) -> str:
    return client.get(reverse(LIST)).content.decode()


@pytest.fixture
def packer(as_role: Callable[..., Client]) -> Client:
    return as_role("viewer", "print_label")


def test_label_opens_from_parcel_page(packer: Client, parcels: list[Parcel]) -> None:
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"])
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    assert f'action="{url}"' in page
    answer = packer.post(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert "no-store" in answer["Cache-Control"]
    assert parcels[0].tracking_number in PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
    assert LogEntry.objects.get().object_id == str(parcels[0].pk)


@pytest.mark.parametrize(("layout", "sheets"), [("a6", 6), ("a4_1", 2), ("a4_4", 3)])
def test_labels_open_from_list(packer: Client, parcels: list[Parcel], layout: str, sheets: int) -> None:
    answer = select(packer, parcels, layout)
    assert answer["Content-Type"] == "application/pdf"
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == sheets
    assert LogEntry.objects.count() == len(parcels)


@pytest.mark.parametrize("role", ["staff", "viewer", "operator"])
def test_labels_need_permission(as_role: Callable[..., Client], parcels: list[Parcel], role: str, sandbox: Any) -> None:
    client = as_role(role)
    before = len(sandbox.requests)
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"])
    assert client.post(url).status_code == 403
    assert select(client, parcels).get("Content-Type") != "application/pdf"
    assert client.get(url).status_code == 405
    assert len(sandbox.requests) == before
    assert not LogEntry.objects.exists()


def test_label_url_and_keys_stay_on_server(packer: Client, parcels: list[Parcel], sandbox: Any) -> None:
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"])
    sandbox.fail_next(500, times=5, match="label")
    packer.post(url)
    for page in (said(packer), packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk]))):
        html = page if isinstance(page, str) else page.content.decode()
        assert sandbox.secret_key not in html
        assert "label_printer" not in html
        assert "hash=" not in html


@pytest.mark.long
def test_missing_label_is_reported_rest_prints(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk=parcels[1].pk).update(labels={})
    page = asked(packer, parcels[:3])
    assert page.context["title"] == "Print 2 labels"
    assert "1 is left out: it has no label, its label is cancelled, or its order was changed" in page.content.decode()
    answer = select(packer, parcels[:3])
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    Parcel.objects.filter(pk=parcels[1].pk).update(labels={"normal_printer": []})
    answer = select(packer, parcels[:3], again="yes")
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    assert f"No label for {parcels[1]}: It has no label." in said(packer)


def test_missing_labels_are_reported(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.update(labels={})
    page = asked(packer, parcels[:1])
    assert "1 is left out: it has no label, its label is cancelled, or its order was changed" in page.content.decode()
    assert 'type="submit" class="button default' not in page.content.decode(), "there is nothing to confirm"
    assert select(packer, parcels[:1]).status_code == 302
    assert "There is no label yet" in said(packer)
    assert not LogEntry.objects.exists()


def test_first_hundred_labels_are_printed(
    packer: Client, parcels: list[Parcel], integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "MAX_LABELS", 4)
    chosen = {"action": "print_label", "select_across": "1", "_selected_action": [parcels[0].pk]}
    page = packer.post(reverse(LIST), chosen)
    assert "The first 4 of 6 are printed now." in page.content.decode()
    answer = packer.post(reverse(LIST), {**chosen, "confirmed": "yes", "number": "6", "layout": "a6", "again": "no"})
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 4
    assert Parcel.objects.filter(printed_at__isnull=False).count() == 4
    # The queue has the others.
    left = packer.get(reverse(LIST), {"printing": "ready"}).context["cl"].result_list
    assert len(left) == 2
    page = packer.post(reverse(LIST), chosen)
    assert "4 of them were printed before" in page.content.decode()
    answer = packer.post(
        reverse(LIST), {**chosen, "confirmed": "yes", "layout": "a6", "again": "no", "criteria": ["printed:4"]}
    )
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == 2
    assert packer.get(reverse(LIST), {"printing": "ready"}).context["cl"].result_count == 0


def test_label_question_counts_whole_selection(
    packer: Client, parcels: list[Parcel], integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "MAX_LABELS", 2)
    monkeypatch.setattr(labels, "MAX_SELECTED", 4)
    chosen = {"action": "print_label", "select_across": "1", "_selected_action": [parcels[0].pk]}
    page = packer.post(reverse(LIST), chosen)
    assert page.context["title"] == "Print 6 labels"
    assert "The first 2 of 6 are printed now." in page.content.decode()
    assert "left out" not in page.content.decode()


def numbers_of(answer: Any) -> list[str]:
    """Return the tracking numbers in a document, in its order."""
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return [found for page in pages for found in re.findall(r"3SBOX\d{10}", page.extract_text())]


def test_document_keeps_the_order_of_the_list(packer: Client, parcels: list[Parcel]) -> None:
    wanted = [each.tracking_number for each in parcels]
    assert numbers_of(select(packer, parcels)) == wanted[::-1], "the newest first, as the list has them"
    by_number = sorted(parcels, key=lambda each: each.order_number)
    Parcel.objects.filter(pk=by_number[0].pk).update(order_number="ZZZ")
    answer = select(packer, parcels, sorting="number", again="yes")
    assert numbers_of(answer)[-1] == by_number[0].tracking_number
    listed = packer.post(f"{reverse(LIST)}?o=1", {"action": "print_label", "_selected_action": [p.pk for p in parcels]})
    criteria = listed.context["question"].criteria
    chosen = {"action": "print_label", "_selected_action": [p.pk for p in parcels], "criteria": criteria}
    chosen |= {"confirmed": "yes", "layout": "a6", "sorting": "list", "again": "yes"}
    assert numbers_of(packer.post(f"{reverse(LIST)}?o=1", chosen)) == sorted(wanted)


def test_printing_is_stored_with_operator(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk=parcels[1].pk).update(labels={"normal_printer": []})
    select(packer, parcels[:2])
    done, failed = (Parcel.objects.get(pk=each.pk) for each in parcels[:2])
    user = User.objects.get()
    assert (done.printed_at is not None, done.printed_by) == (True, user.username)
    assert (failed.printed_at, failed.printed_by) == (None, ""), "it is in no document"
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[done.pk])).content.decode()
    assert f"by {user.username}" in page


def test_printing_again_is_asked(packer: Client, parcels: list[Parcel]) -> None:
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"])
    assert packer.post(url)["Content-Type"] == "application/pdf"
    page = packer.post(url)
    assert page["Content-Type"].startswith("text/html")
    assert "1 of them was printed before" in page.content.decode()
    assert User.objects.get().username in page.content.decode()
    criteria = page.context["question"].criteria
    answer = packer.post(url, {"confirmed": "yes", "layout": "a6", "number": "1", "criteria": criteria})
    assert answer["Content-Type"] == "application/pdf"
    # Of several, only the others.
    page = asked(packer, parcels[:3])
    assert "Print 2 that were not printed before" in page.content.decode()
    assert numbers_of(select(packer, parcels[:3], again="no")) == [each.tracking_number for each in parcels[2:0:-1]]


def test_two_packers_do_not_print_twice(as_role: Callable[..., Client], parcels: list[Parcel]) -> None:
    first, second = as_role("viewer", "print_label"), as_role("viewer", "print_label")
    chosen = {"action": "print_label", "_selected_action": [parcel.pk for parcel in parcels[:2]]}
    criteria = second.post(reverse(LIST), chosen).context["question"].criteria
    select(first, parcels[:2])
    answer = second.post(
        reverse(LIST), {**chosen, "confirmed": "yes", "number": "2", "layout": "a6", "criteria": criteria}
    )
    assert answer["Content-Type"].startswith("text/html"), "asked again"
    assert "2 of them were printed before" in answer.content.decode()


def test_returns_are_printed_apart(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk__in=[each.pk for each in parcels[:2]]).update(is_return=True)
    page = asked(packer, parcels[:3])
    assert page.context["title"] == "Print 1 label"
    assert "2 return labels are left out." in page.content.decode()
    assert numbers_of(select(packer, parcels[:3])) == [parcels[2].tracking_number]
    apart = select(packer, parcels[:3], action="print_return_label")
    assert numbers_of(apart) == [each.tracking_number for each in parcels[1::-1]]
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    assert "/print_return_label/" in page
    assert "/print_label/" not in page


def test_queue_holds_labels_to_print(packer: Client, parcels: list[Parcel]) -> None:
    values = [{"is_return": True}, {"phase": "in_transit"}, {"labels": {}}, {"phase": "cancelled"}]
    for parcel, changes in zip(parcels, values, strict=False):
        Parcel.objects.filter(pk=parcel.pk).update(**changes)
    Shipment.objects.filter(pk=parcels[4].shipment_id).update(label_conflict="changed")
    rows = packer.get(reverse(LIST), {"printing": "ready"}).context["cl"]
    expected = set(Parcel.objects.filter(pk__in=[parcels[5].pk]).exclude(shipment__label_conflict="changed"))
    assert set(rows.result_list) == expected
    (spec,) = [each for each in rows.filter_specs if isinstance(each, PrintFilter)]
    assert str(spec.lookup_choices[0][1]) == f"Ready to print ({len(expected)})"


def test_overview_counts_labels_to_print(packer: Client, parcels: list[Parcel]) -> None:
    def titles() -> list[str]:
        page = packer.get(reverse("admin:django_sendcloud_overview_changelist"))
        return [str(task.title) for task in page.context["tasks"] if "ready to print" in str(task.title)]

    assert titles() == [], "this shop prints in Sendcloud's panel"
    select(packer, parcels[:1])
    assert titles() == ["5 labels are ready to print"]


@pytest.mark.long
def test_layout_is_remembered_and_sheet_continues(packer: Client, parcels: list[Parcel]) -> None:
    def chosen_beforehand() -> str:
        html = asked(packer, parcels[:1]).content.decode()
        (found,) = re.findall(r'name="layout" value="(\w+)"[^>]* checked', html)
        return str(found)

    assert chosen_beforehand() == "a6"
    select(packer, parcels[:3], "a4_2")
    assert chosen_beforehand() == "a4_1", "three labels fill the sheet that began at its second place"
    select(packer, parcels[:1], "a4_1")
    assert chosen_beforehand() == "a4_2"
    packer.post(reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"]))
    assert chosen_beforehand() == "a4_2", "one label from its own page is no sheet"
    select(packer, parcels[:1], "a6")
    assert chosen_beforehand() == "a6"


def test_document_opens_in_new_tab(packer: Client, parcels: list[Parcel]) -> None:
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    url = reverse("admin:django_sendcloud_parcel_action", args=[parcels[0].pk, "print_label"])
    assert f'action="{url}" target="_blank"' in page
    assert '<form method="post" target="_blank">' in asked(packer, parcels).content.decode()


@pytest.mark.long
def test_shipment_labels_exclude_returns_and_cancelled(packer: Client, parcels: list[Parcel]) -> None:
    url = reverse("admin:django_sendcloud_shipment_changelist")
    shipments = list(Shipment.objects.filter(parcels__isnull=False).distinct())
    chosen = {"action": "print_labels", "_selected_action": [shipment.pk for shipment in shipments]}
    Parcel.objects.filter(pk=parcels[0].pk).update(is_return=True)
    Parcel.objects.filter(pk=parcels[1].pk).update(phase="cancelled")
    page = packer.post(url, chosen)
    assert page.context["title"] == f"Print {len(parcels) - 2} labels"
    answer = packer.post(url, {**chosen, "confirmed": "yes", "layout": "a6"})
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == len(parcels) - 2
    printed = Shipment.objects.filter(parcels__in=parcels[2:]).distinct()
    logged = LogEntry.objects.filter(content_type__model="shipment").values_list("object_id", flat=True)
    assert set(logged) == {str(shipment.pk) for shipment in printed}
    one = printed[0]
    button = reverse("admin:django_sendcloud_shipment_action", args=[one.pk, "print_labels"])
    assert (
        f'action="{button}" target="_blank"'
        in packer.get(reverse("admin:django_sendcloud_shipment_change", args=[one.pk])).content.decode()
    )
    assert "1 of them was printed before" in packer.post(button).content.decode()


# -- unmatched parcels ----------------------------------------------------------------------------------


@pytest.fixture
def stray(integration: Integration, sandbox: Any) -> Parcel:
    factories.order(number="TWICE")
    factories.order(number="TWICE")
    push_due()
    return Parcel.objects.create(integration=integration, remote_id=99, order_number="TWICE")


def test_unmatched_parcel_is_assigned_by_operator(as_role: Callable[..., Client], stray: Parcel) -> None:
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    assert url in client.get(reverse("admin:django_sendcloud_parcel_change", args=[stray.pk])).content.decode()
    first, second = Shipment.objects.order_by("pk")
    page = client.get(url).content.decode()
    assert f'value="{first.pk}"' in page
    assert f'value="{second.pk}"' in page
    for shipment in (first, second):
        assert f"order key {shipment.order_pk}" in page, "what tells them apart"
        assert f'href="{reverse("admin:django_sendcloud_shipment_change", args=[shipment.pk])}"' in page
    assert page.count("first sent ") == 2
    answer = client.post(url, {"number": "TWICE", "shipment": second.pk})
    assert answer.status_code == 302
    stray.refresh_from_db()
    assert stray.shipment == second
    assert LogEntry.objects.count() == 1
    assert client.get(url).status_code == 302, "it belongs to somebody now"


def test_assign_form_searches_other_order(as_role: Callable[..., Client], stray: Parcel) -> None:
    other = factories.order(number="OTHER")
    push_due()
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    page = client.get(url, {"number": "OTHER"}).content.decode()
    assert f'value="{Shipment.objects.for_order(other).get().pk}"' in page
    assert "has this number" in client.get(url, {"number": "NOTHING"}).content.decode()


def test_assign_form_refuses_unoffered_shipment(as_role: Callable[..., Client], stray: Parcel, sandbox: Any) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    foreign = Shipment.objects.create(
        integration=other, order_type="shop.order", order_pk="1", external_order_id="TWICE", external_shipment_id="x"
    )
    client = as_role("viewer", "assign_parcel")
    client.post(
        reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk]), {"number": "TWICE", "shipment": foreign.pk}
    )
    stray.refresh_from_db()
    assert stray.shipment is None


def test_late_assignment_changes_nothing(
    as_role: Callable[..., Client], stray: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = as_role("viewer", "assign_parcel")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    first, second = Shipment.objects.order_by("pk")
    original = ParcelAdmin._candidates

    def meanwhile(self: ParcelAdmin, parcel: Parcel, number: str) -> Any:
        Parcel.objects.filter(pk=parcel.pk).update(shipment=first)
        return original(self, parcel, number)

    monkeypatch.setattr(ParcelAdmin, "_candidates", meanwhile)
    client.post(url, {"number": "TWICE", "shipment": second.pk})
    stray.refresh_from_db()
    assert stray.shipment == first
    assert "belongs to a shipment already" in said(client)
    assert not LogEntry.objects.exists()


def test_assigning_needs_permission(as_role: Callable[..., Client], stray: Parcel) -> None:
    client = as_role("operator")
    url = reverse("admin:django_sendcloud_parcel_assign", args=[stray.pk])
    assert as_role("staff", "view_parcel", "assign_parcel").get(url).status_code == 403, "it shows shipments"
    assert client.get(url).status_code == 403
    assert client.post(url, {"shipment": Shipment.objects.first().pk}).status_code == 403
    assert url not in client.get(reverse("admin:django_sendcloud_parcel_change", args=[stray.pk])).content.decode()


# -- labels that do not fit ------------------------------------------------------------------------


def own_page(client: Client, parcel: Parcel, **answer: Any) -> Any:
    return client.post(reverse("admin:django_sendcloud_parcel_action", args=[parcel.pk, "print_label"]), answer)


def test_cancelled_label_is_asked(packer: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk=parcels[0].pk).update(phase="cancelled")
    for answer in (own_page(packer, parcels[0]), asked(packer, parcels[:1])):
        assert "The label is cancelled." in answer.content.decode()
    assert own_page(packer, parcels[0], confirmed="yes", number="1")["Content-Type"] == "application/pdf"
    page = asked(packer, parcels[:2])
    assert page.context["title"] == "Print 1 label"
    assert "1 is left out: it has no label, its label is cancelled" in page.content.decode()


def test_label_in_conflict_is_asked(packer: Client, parcels: list[Parcel]) -> None:
    fields = {"label_conflict": "changed", "label_differences": ["city"]}
    Shipment.objects.filter(pk=parcels[0].shipment_id).update(**fields)
    html = own_page(packer, parcels[0]).content.decode()
    assert "The label does not fit the order any more. Changed after the label was made: city." in html
    page = packer.get(reverse("admin:django_sendcloud_parcel_change", args=[parcels[0].pk])).content.decode()
    assert "Do not hand it over yet" in page
    assert "Hand the parcel to the carrier" not in page


def test_left_out_labels_are_named_apart(packer: Client, parcels: list[Parcel]) -> None:
    """Returns, and parcels without a label, are left out for reasons of their own."""
    Parcel.objects.filter(pk__in=[each.pk for each in parcels[:2]]).update(is_return=True)
    Parcel.objects.filter(pk=parcels[2].pk).update(labels={})
    html = asked(packer, parcels[:4]).content.decode()
    assert "2 return labels are left out." in html
    assert "1 is left out: it has no label" in html
    chosen = {"action": "print_return_label", "_selected_action": [each.pk for each in parcels[:4]]}
    html = packer.post(reverse(LIST), chosen).content.decode()
    assert "2 are left out: they are not returns." in html
    assert "no label" not in html
