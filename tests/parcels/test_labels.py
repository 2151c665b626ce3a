"""Labels: the right ones, in the right place, from Sendcloud and from nowhere else."""

from __future__ import annotations

import builtins
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pypdf import PdfReader

from django_sendcloud.api import SendcloudClient
from django_sendcloud.api.labels import Labels
from django_sendcloud.core.clock import clock
from django_sendcloud.exceptions import APIError, InvalidResponse, NotFound
from django_sendcloud.models import Integration, Parcel
from django_sendcloud.parcels import labels
from django_sendcloud.sync import limiter
from django_sendcloud.sync.worker import push_due
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.webhooks.messages import raw


@pytest.fixture
def parcels(integration: Integration, sandbox: Any) -> list[Parcel]:
    orders = [factories.order() for _ in range(6)]
    push_due()
    for number, order in enumerate(orders):
        (made,) = sandbox.create_label(str(order.pk))
        body = raw({"action": "parcel_status_changed", "timestamp": 1_790_000_000_000 + number, "parcel": made})
        inbox.store(integration, body)
    apply.drain()
    return list(Parcel.objects.order_by("remote_id"))


def pages(pdf: bytes) -> list[Any]:
    return list(PdfReader(io.BytesIO(pdf)).pages)


# -- printing -----------------------------------------------------------------------------------------


@pytest.mark.long
def test_label_is_served_as_it_is(parcels: list[Parcel]) -> None:
    found = labels.fetch(parcels[:1])
    assert found.failed == []
    assert found.a6() == found.pdfs[0]
    (page,) = pages(found.a6())
    assert parcels[0].tracking_number in page.extract_text()


@pytest.mark.long
def test_many_labels_are_one_request(parcels: list[Parcel], sandbox: Any) -> None:
    """In the order they are asked for, though Sendcloud has them in that of its ids."""
    before = len(sandbox.requests)
    wanted = [parcels[3], parcels[0], parcels[5]]
    found = [page.extract_text() for page in pages(labels.fetch(wanted).a6())]
    assert len(sandbox.requests) - before == 1
    assert len(found) == 3
    for parcel, text in zip(wanted, found, strict=True):
        assert parcel.tracking_number in text


def test_labels_are_not_fetched_beyond_the_rate(
    parcels: list[Parcel], sandbox: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person waits for a moment only, also for several requests together."""
    before, waited = len(sandbox.requests), list[float]()
    monkeypatch.setattr(clock, "sleep", lambda seconds: [waited.append(seconds), later(seconds)])
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 2.0)
    found = labels.fetch(parcels)
    assert (found.pdfs, len(found.failed)) == ([], len(parcels))
    assert "other requests of this shop use the whole rate" in found.failed[0][1]
    assert sum(waited) <= limiter.OPERATOR_WAIT_SECONDS
    assert len(sandbox.requests) == before


@pytest.mark.long
def test_unnamed_pages_keep_the_order_of_ids(parcels: list[Parcel], sandbox: Any) -> None:
    """A label may show its number as a bar code alone."""
    numbers = [parcel.tracking_number for parcel in parcels]
    for parcel in parcels:
        parcel.tracking_number = "barcode"
    found = [page.extract_text() for page in pages(labels.fetch([parcels[3], parcels[0]]).a6())]
    assert numbers[3] in found[0]
    assert numbers[0] in found[1]


@pytest.mark.long
@pytest.mark.parametrize(("position", "sheets"), [(1, [4, 2]), (2, [3, 3]), (4, [1, 4, 1])])
def test_labels_start_at_the_a4_position(parcels: list[Parcel], position: int, sheets: list[int]) -> None:
    found = pages(labels.fetch(parcels).a4(position))
    assert [round(float(page.mediabox.height)) for page in found] == [842] * len(sheets)
    counted = [sum(parcel.tracking_number in page.extract_text() for parcel in parcels) for page in found]
    assert counted == sheets


@pytest.mark.long
def test_labels_lie_in_their_quarters(parcels: list[Parcel]) -> None:
    (sheet,) = pages(labels.fetch(parcels[:4]).a4())
    places: dict[str, tuple[bool, bool]] = {}

    def visit(text: str, cm: Any, tm: Any, *rest: Any) -> None:
        for parcel in parcels[:4]:
            if parcel.tracking_number in text:
                x, y = tm[4] * cm[0] + cm[4], tm[5] * cm[3] + cm[5]
                places[parcel.tracking_number] = (x > 595 / 2, y > 842 / 2)

    sheet.extract_text(visitor_text=visit)
    assert [places[parcel.tracking_number] for parcel in parcels[:4]] == [
        (False, True), (True, True), (False, False), (True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("position", [0, 5, -1, "1"])
@pytest.mark.long
def test_invalid_position_is_refused(parcels: list[Parcel], position: Any) -> None:
    with pytest.raises(ValueError, match="must be 1, 2, 3 or 4"):
        labels.fetch(parcels[:1]).a4(position)


def test_more_than_a_hundred(integration: Integration) -> None:
    with pytest.raises(ValueError, match="At most 100"):
        labels.fetch([Parcel(integration=integration, remote_id=n) for n in range(101)])


@pytest.mark.long
def test_missing_label_stands_alone(parcels: list[Parcel], sandbox: Any) -> None:
    """One of the parcels is gone at Sendcloud: it is found by dividing, and the others print."""
    parcels[1].labels = {}
    parcels[2].remote_id = 999_999
    parcels[2].labels = {"a6": parcels[2].labels["a6"].replace(parcels[2].labels["a6"].rsplit("/", 1)[1], "999999")}
    before = len(sandbox.requests)
    found = labels.fetch(parcels)
    assert [parcel for parcel, _ in found.failed] == [parcels[1], parcels[2]]
    assert "no label" in found.failed[0][1]
    assert found.number == 4
    assert sum(len(pages(pdf)) for pdf in found.pdfs) == 4
    assert len(sandbox.requests) - before <= 7


@pytest.mark.long
def test_document_with_too_few_labels_is_refused(parcels: list[Parcel], monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that silently lacks a label would leave a box without one."""
    original = Labels.merged
    monkeypatch.setattr(Labels, "merged", lambda self, ids: original(self, ids[:-1] or ids))
    found = labels.fetch(parcels[:3])
    assert found.failed == []
    assert sum(len(pages(pdf)) for pdf in found.pdfs) == 3


@pytest.mark.long
def test_unreachable_sendcloud_is_asked_once(parcels: list[Parcel], sandbox: Any) -> None:
    sandbox.stop()
    found = labels.fetch(parcels)
    assert (len(found.failed), found.number) == (6, 0)


def test_labels_use_their_integrations_keys(parcels: list[Parcel], sandbox: Any) -> None:
    other = factories.integration(sandbox.add_integration("Other", account="another"))
    foreign = Parcel(integration=other, remote_id=1, labels=parcels[0].labels)
    found = labels.fetch([parcels[0], foreign])
    assert len(found.pdfs) == 1
    assert [parcel for parcel, _ in found.failed] == [foreign]


@pytest.mark.long
def test_document_of_one_integration_needs_no_pypdf(parcels: list[Parcel], monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pypdf"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    found = labels.fetch(parcels[:2])
    assert found.a6().startswith(b"%PDF")
    for merge in (found.a4, labels.Labels(found.pdfs * 2, []).a6):
        with pytest.raises(labels.MergingNotInstalled, match=r"django-sendcloud\[labels\]"):
            merge()


# -- F32: where it is fetched from --------------------------------------------------------------------


@pytest.fixture
def client(sandbox: Any) -> Iterator[SendcloudClient]:
    with SendcloudClient(
        public_key=sandbox.public_key, secret_key=sandbox.secret_key, base_url=sandbox.base_url, retries=0
    ) as client:
        yield client


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:{port}/api/v2/labels/1",
        "http://127.0.0.1:1/label",
        "http://[::1]/label",
        "https://127.0.0.1:{port}/label",
        "http://127.0.0.1.nip.example:{port}/label",
        "http://user:password@127.0.0.1:{port}/label",
        "http://127.0.0.1:{port}@evil.example/label",
        "//evil.example/label",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "http://[broken",
        "http://127.0.0.1:{port}/la\nbel",
        "",
    ],
)
def test_f32_foreign_link_is_not_followed(client: SendcloudClient, sandbox: Any, url: str) -> None:
    with pytest.raises(InvalidResponse, match="not at the configured address") as caught:
        client.v2.labels.download(url.replace("{port}", str(sandbox.port)))
    assert not sandbox.requests
    assert "evil" not in str(caught.value)


class Hostile:
    """A Sendcloud that answers with bytes of its choice."""

    def __init__(self, answer: bytes, again: bytes = b"", times: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = 0
        threading.Thread(target=self.serve, args=(answer, again, times), daemon=True).start()

    def serve(self, answer: bytes, again: bytes, times: int) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                self.requests += 1
                try:
                    connection.sendall(answer)
                    for _ in range(times):
                        connection.sendall(again)
                except OSError:
                    pass

    def download(self, **options: Any) -> bytes:
        with SendcloudClient(
            public_key="public", secret_key="canary-secret", base_url=f"http://127.0.0.1:{self.port}/api/v2",
            retries=0, deadline=5.0, **options,
        ) as client:  # fmt: skip
            return client.v2.labels.download(f"http://127.0.0.1:{self.port}/api/v2/label?hash=canary-hash")


OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Type: text/html\r\nContent-Length: 9\r\n\r\n%PDF-1.4\n",
        OK + b"Content-Type: application/pdf\r\nContent-Length: 6\r\n\r\n<html>",
        OK + b"Content-Type: application/pdf\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 9\r\n\r\n%PDF-1.4\n",
    ],
    ids=["HTML by its type", "HTML by its content", "nothing", "no type"],
)
def test_f32_answer_without_pdf_is_refused(answer: bytes) -> None:
    with pytest.raises(InvalidResponse, match="where a label in PDF is due") as caught:
        Hostile(answer).download()
    assert "canary" not in str(caught.value)


def test_f32_redirect_is_not_followed() -> None:
    elsewhere = Hostile(OK + b"Content-Type: application/pdf\r\nContent-Length: 9\r\n\r\n%PDF-1.4\n")
    location = f"http://127.0.0.1:{elsewhere.port}/label".encode()
    with pytest.raises(APIError) as caught:
        Hostile(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n").download()
    assert elsewhere.requests == 0
    assert "canary" not in str(caught.value)


def test_f32_five_gigabytes_are_cut_short() -> None:
    endless = Hostile(OK + b"Content-Type: application/pdf\r\n\r\n%PDF-", b"x" * 65536, 80_000)
    with pytest.raises(APIError):
        endless.download(max_response_bytes=labels.MAX_LABEL_BYTES)


def test_missing_label_is_reported(client: SendcloudClient, sandbox: Any) -> None:
    with pytest.raises(NotFound):
        client.v2.labels.download(f"{sandbox.base_url}/labels/label_printer/4711")
