"""Benchmark of the client: python -m tests.benchmarks.client [--shipments 100000]

1. Building, checking and writing a batch of 100 shipments of 3 items each, and reading its answer: our payloads
   against plain dictionaries with the standard library's json (the limit), and against DRF serializers.
2. Iterating over many shipments of a sandbox in another process, and what memory that takes.

Prints figures and ratios. Nothing is asserted: they depend on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import gc
import json
import multiprocessing
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from django_sendcloud.api import SendcloudClient
from django_sendcloud.api.v2.shipments import _answers, _result
from django_sendcloud.payloads import COUNTRIES, ParcelItem, ShipmentPayload, Status, cents, grams

NOW = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)
BATCH = 100
ITEMS = 3


# 1. A batch of 100


def plain(number: int) -> dict[str, Any]:
    """Return a shipment as a program without any checks would write it."""
    return {
        "address": "Stationsplein 1",
        "address_2": "",
        "city": "Amsterdam",
        "company_name": "",
        "country": "NL",
        "created_at": NOW.isoformat(),
        "currency": "EUR",
        "customs_invoice_nr": "",
        "customs_shipment_type": None,
        "email": "ada@shop.example",
        "external_order_id": str(number),
        "external_shipment_id": str(number),
        "house_number": "",
        "name": "Ada Exämple",
        "order_number": f"A-{number}",
        "order_status": {"id": "open", "message": "Open"},
        "parcel_items": [
            {
                "description": "Mug",
                "hs_code": "691200",
                "origin_country": "PT",
                "quantity": 2,
                "sku": "MUG",
                "value": "12.99",
                "weight": "0.35",
            }
            for _ in range(ITEMS)
        ],
        "payment_status": None,
        "postal_code": "1012 AB",
        "shipping_method": None,
        "shipping_method_checkout_name": "Standard",
        "telephone": "+31612345678",
        "to_post_number": "",
        "to_service_point": None,
        "to_state": None,
        "total_order_value": "77.94",
        "updated_at": NOW.isoformat(),
        "weight": "2.1",
        "width": None,
        "height": None,
        "length": None,
        "customs_details": None,
    }


def ours(number: int) -> ShipmentPayload:
    return ShipmentPayload(
        address="Stationsplein 1",
        city="Amsterdam",
        country="NL",
        created_at=NOW,
        currency="EUR",
        email="ada@shop.example",
        external_order_id=str(number),
        external_shipment_id=str(number),
        name="Ada Exämple",
        order_number=f"A-{number}",
        order_status=Status(id="open", message="Open"),
        parcel_items=[
            ParcelItem(
                description="Mug",
                hs_code="691200",
                origin_country="PT",
                quantity=2,
                sku="MUG",
                value=cents(1299),
                weight=grams(350),
            )
            for _ in range(ITEMS)
        ],
        postal_code="1012 AB",
        shipping_method_checkout_name="Standard",
        telephone="+31612345678",
        total_order_value=Decimal("77.94"),
        weight=Decimal("2.1"),
    ).stamped(NOW)


def drf_writer() -> Callable[[], str]:
    """Return a function that writes the batch with serializers of Django REST framework."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(USE_TZ=True, INSTALLED_APPS=[])
        django.setup()
    from rest_framework import serializers
    from rest_framework.renderers import JSONRenderer

    class StatusSerializer(serializers.Serializer):
        id = serializers.CharField()
        message = serializers.CharField()

    class ItemSerializer(serializers.Serializer):
        description = serializers.CharField()
        hs_code = serializers.CharField(max_length=12, required=False)
        origin_country = serializers.ChoiceField(sorted(COUNTRIES), required=False)
        quantity = serializers.IntegerField(min_value=1)
        sku = serializers.CharField(required=False)
        value = serializers.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal(0))
        weight = serializers.DecimalField(max_digits=10, decimal_places=3, required=False)

    def text(**options: Any) -> Any:
        return serializers.CharField(**({"allow_blank": True, "default": ""} | options))

    def number(places: int) -> Any:
        return serializers.DecimalField(max_digits=10, decimal_places=places, allow_null=True, default=None)

    class ShipmentSerializer(serializers.Serializer):
        address = serializers.CharField()
        address_2 = text()
        city = serializers.CharField()
        company_name = text()
        country = serializers.ChoiceField(sorted(COUNTRIES))
        created_at = serializers.DateTimeField()
        currency = serializers.ChoiceField(["EUR", "GBP", "USD"], allow_null=True, default=None)
        customs_invoice_nr = text()
        customs_shipment_type = serializers.IntegerField(min_value=0, max_value=4, allow_null=True, default=None)
        email = serializers.EmailField(allow_blank=True, default="")
        external_order_id = serializers.CharField()
        external_shipment_id = serializers.CharField(allow_null=True, default=None)
        house_number = text()
        name = serializers.CharField()
        order_number = serializers.CharField()
        order_status = StatusSerializer(allow_null=True, default=None)
        parcel_items = ItemSerializer(many=True)
        payment_status = StatusSerializer(allow_null=True, default=None)
        postal_code = serializers.CharField()
        shipping_method = serializers.IntegerField(allow_null=True, default=None)
        shipping_method_checkout_name = text(max_length=100)
        telephone = text()
        to_post_number = text()
        to_service_point = serializers.IntegerField(allow_null=True, default=None)
        to_state = serializers.CharField(allow_null=True, default=None)
        total_order_value = number(2)
        updated_at = serializers.DateTimeField()
        weight = number(3)
        width = number(2)
        height = number(2)
        length = number(2)

    rows = [
        plain(number) | {"created_at": NOW, "updated_at": NOW, "total_order_value": Decimal("77.94")}
        for number in range(BATCH)
    ]

    def write() -> str:
        serializer = ShipmentSerializer(data=rows, many=True)
        serializer.is_valid(raise_exception=True)
        return JSONRenderer().render(ShipmentSerializer(serializer.validated_data, many=True).data)

    return write


def drf_reader(answer: bytes) -> Callable[[], object]:
    from rest_framework import serializers

    class ResultSerializer(serializers.Serializer):
        external_order_id = serializers.CharField()
        external_shipment_id = serializers.CharField(allow_null=True, allow_blank=True)
        shipment_uuid = serializers.UUIDField(required=False)
        status = serializers.ChoiceField(["created", "updated", "error"])
        error = serializers.JSONField(required=False)

    def read() -> object:
        serializer = ResultSerializer(data=json.loads(answer), many=True)
        serializer.is_valid(raise_exception=True)
        return {row["external_order_id"]: row for row in serializer.validated_data}

    return read


def milliseconds(work: Callable[[], object]) -> float:
    """Return the best time of many rounds, because other processes disturb the rest."""
    work()
    gc.collect()
    best = float("inf")
    for _ in range(30):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best * 1000


def table(title: str, rows: dict[str, float]) -> None:
    print(f"\n{title}")
    limit = next(iter(rows.values()))
    for name, value in rows.items():
        print(f"  {name:<42} {value:8.2f} ms   x {value / limit:5.1f}")


def batch() -> None:
    write = drf_writer()
    payloads = [ours(number) for number in range(BATCH)]
    table(
        f"Writing {BATCH} shipments of {ITEMS} items",
        {
            "dictionaries and json.dumps, no checks": milliseconds(
                lambda: json.dumps([plain(number) for number in range(BATCH)])
            ),
            "payloads: made, checked, json.dumps": milliseconds(
                lambda: json.dumps([ours(number).to_json() for number in range(BATCH)])
            ),
            "  of which made and checked": milliseconds(lambda: [ours(number) for number in range(BATCH)]),
            "  of which to_json": milliseconds(lambda: [payload.to_json() for payload in payloads]),
            "  digest, which the engine wants too": milliseconds(lambda: [payload.digest() for payload in payloads]),
            "DRF serializers: checked, rendered": milliseconds(write),
        },
    )
    answer = json.dumps(
        [
            {
                "external_order_id": str(number),
                "external_shipment_id": str(number),
                "shipment_uuid": "6b436cb2-65a4-482c-9d25-38be7868ff00",
                "status": "created",
            }
            for number in reversed(range(BATCH))
        ]
    ).encode()

    def read() -> object:
        answers = _answers(json.loads(answer))
        return [_result(payload, answers.get(payload.key, [])) for payload in payloads]

    table(
        f"Reading the answer to {BATCH} shipments",
        {
            "json.loads and a dictionary, no checks": milliseconds(
                lambda: {row["external_order_id"]: row for row in json.loads(answer)}
            ),
            "results, matched to the payloads": milliseconds(read),
            "DRF serializers": milliseconds(drf_reader(answer)),
        },
    )


# 2. Many shipments


def serve(pipe: Any, count: int) -> None:
    """Run a sandbox with ``count`` shipments; a process of its own keeps its memory out of the figures."""
    from django_sendcloud.sandbox import Sandbox

    with Sandbox() as sandbox:
        with SendcloudClient(
            public_key=sandbox.public_key, secret_key=sandbox.secret_key, base_url=sandbox.base_url
        ) as client:
            for start in range(0, count, BATCH):
                client.v2.shipments.upsert(
                    sandbox.integration_id, [ours(number) for number in range(start, min(start + BATCH, count))]
                )
        pipe.send((sandbox.base_url, sandbox.public_key, sandbox.secret_key, sandbox.integration_id))
        pipe.recv()


@contextlib.contextmanager
def filled_sandbox(count: int) -> Iterator[tuple[str, str, str, int]]:
    """Run a filled sandbox in another process; yield its address, both keys and its integration's id."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, count), daemon=True)
    process.start()
    print(f"\nFilling a sandbox with {count:,} shipments ...", flush=True)
    try:
        yield here.recv()
    finally:
        here.send("done")
        process.join(10)


def stream(count: int) -> None:
    with filled_sandbox(count) as sandbox:
        _stream(count, *sandbox)


def _stream(count: int, base_url: str, public_key: str, secret_key: str, integration_id: int) -> None:
    with SendcloudClient(public_key=public_key, secret_key=secret_key, base_url=base_url) as client:
        shipments = client.v2.shipments
        next(shipments.list(integration_id))  # the first request loads modules, which are no part of a stream's cost
        gc.collect()
        before = highest = psutil.Process().memory_info().rss
        started = time.perf_counter()
        seen = 0
        for seen, _ in enumerate(shipments.list(integration_id), 1):
            if seen % 100 == 0:
                highest = max(highest, psutil.Process().memory_info().rss)
        seconds = time.perf_counter() - started
        print(f"Streaming {seen:,} shipments: {seconds:.1f} s, {seen / seconds:,.0f} a second")
        print(f"  resident memory grew by at most {(highest - before) / 2**20:.1f} MiB")
        tracemalloc.start()
        peaks = []
        for number, _ in enumerate(shipments.list(integration_id), 1):
            if number in {max(count // 10, 1), count}:
                peaks.append((number, tracemalloc.get_traced_memory()[1]))
        for number, peak in peaks:
            print(f"  peak of Python objects after {number:>9,}: {peak / 2**20:.2f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipments", type=int, default=100_000, help="how many to stream; 0 for none")
    arguments = parser.parse_args()
    batch()
    if arguments.shipments:
        stream(arguments.shipments)
