"""The README's ten minutes, block for block as they stand there, in a project that ``startproject`` made."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_sendcloud.sandbox import Sandbox
from tests import services
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
FILES = {
    match[1]: text for language, text in BLOCKS if language == "python" and (match := re.match(r"# ([\w/]+\.py)", text))
}
COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0]
    for language, text in BLOCKS
    if language == "console"
    for line in text.splitlines()
]
# The reader's own models, with the names that the README's adapter uses.
MODELS = """
from django.db import models

class Product(models.Model):
    name = models.CharField(max_length=100)
    sku = models.CharField(max_length=100)
    weight_grams = models.PositiveIntegerField()

class Order(models.Model):
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    placed_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(auto_now=True)
    name = models.CharField(max_length=100)
    email = models.EmailField()
    street = models.CharField(max_length=100)
    postal_code = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2)

class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
"""
CHECKOUT = """
from django.db import transaction
from shop.models import Order, OrderLine, Product
with transaction.atomic():
    cup = Product.objects.create(name="Cup", sku="CUP", weight_grams=300)
    order = Order.objects.create(number="1042", status="paid", name="First Buyer", email="first@example.com",
        street="Stadhuisplein 10", postal_code="5611EM", city="Eindhoven", country="NL")
    OrderLine.objects.create(order=order, product=cup, quantity=2, price="9.95")
print("order", order.pk)
"""
PAGES = """
from django.contrib.auth import get_user_model
from django.template import Context, Template
from django.test import Client
from shop.models import Order
get_user_model().objects.create_superuser("admin", password="admin")
client = Client()
client.login(username="admin", password="admin")
order = Order.objects.first()
for address in ("", f"{order.pk}/change/"):
    page = client.get(f"/admin/shop/order/{address}", headers={"host": "localhost"})
    print(page.status_code, "Sendcloud" in page.content.decode())
print(Template(%r).render(Context({"order": order})))
"""


def test_readme_names_every_file_and_command() -> None:
    assert list(FILES) == [
        "yourproject/settings.py",
        "yourproject/urls.py",
        "shop/sendcloud.py",
        "yourproject/celery.py",
        "yourproject/__init__.py",
        "shop/admin.py",
    ]
    assert COMMANDS[3].startswith("export SENDCLOUD_ENCRYPTION_KEY=")
    assert [shlex.split(command)[:3] for command in COMMANDS[:3] + COMMANDS[4:]] == [
        ["make", "demo"],
        ["make", "test"],
        ["pip", "install", "django-sendcloud"],
        ["python", "manage.py", "migrate"],
        ["python", "manage.py", "sendcloud_connect"],
        ["celery", "-A", "yourproject"],
    ]


def answers(port: int) -> bool:
    """Return whether a server listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Reader:
    """A person who follows the README in an empty folder."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.port = free_port()
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CELERY_BROKER_URL": services.URLS["redis"],
            "SENDCLOUD_BASE_URL": sandbox.base_url,
            "SENDCLOUD_WEBHOOK_BASE_URL": f"http://127.0.0.1:{self.port}",
            "SENDCLOUD_PUBLIC_KEY": sandbox.public_key,
            "SENDCLOUD_SECRET_KEY": sandbox.secret_key,
        }

    def run(self, *command: str) -> str:
        """Run a command and return its output; it has to succeed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"
        return done.stdout

    def shell(self, code: str) -> str:
        """Run code in the project and return its output."""
        return self.run("python", "manage.py", "shell", "-v", "0", "-c", code)

    def follow(self) -> None:
        """Make a blank project with a shop, and take the README's steps up to the connected integration."""
        self.run("django-admin", "startproject", "yourproject", ".")
        self.run("python", "manage.py", "startapp", "shop")
        (self.folder / "shop/models.py").write_text(MODELS)
        with (self.folder / "yourproject/settings.py").open("a") as settings:
            settings.write('\nINSTALLED_APPS += ["shop"]\n')
        self.run("python", "manage.py", "makemigrations", "shop")
        for name, block in FILES.items():
            appended = "at its end" in block.splitlines()[0]
            with (self.folder / name).open("a" if appended else "w") as file:
                file.write(block)
        key = self.run("sh", "-c", f'{COMMANDS[3]}; echo "$SENDCLOUD_ENCRYPTION_KEY"').strip()
        self.environment["SENDCLOUD_ENCRYPTION_KEY"] = key
        # Nothing is missing; a blank project has SQLite, which the check has something to say about.
        assert re.findall(r"\(sendcloud\.\w+\)", self.run("python", "manage.py", "check")) == ["(sendcloud.W034)"]
        self.run(*shlex.split(COMMANDS[4]))
        assert "Connected" in self.run(*shlex.split(COMMANDS[5]))

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        """Serve the shop at the address that Sendcloud reports parcels to."""
        command = [sys.executable, "manage.py", "runserver", "--noreload", str(self.port)]
        with subprocess.Popen(command, cwd=self.folder, env=self.environment) as server:
            end = time.monotonic() + 60
            while not answers(self.port) and time.monotonic() < end:
                time.sleep(0.05)
            try:
                yield
            finally:
                server.terminate()

    def order(self) -> str:
        """Place an order as the shop's checkout does, and return its key."""
        return self.shell(CHECKOUT).split()[-1]


@pytest.mark.processes
@pytest.mark.services
@pytest.mark.exhaustive
def test_readme_steps_ship_and_show_orders(tmp_path: Path) -> None:
    # Sendcloud repeats webhooks from before the shop is served within a second, not after minutes.
    with Sandbox(webhook_retry_scale=0.001) as sandbox:
        reader = Reader(tmp_path, sandbox)
        reader.follow()
        schedule = "from yourproject.celery import app; print(*app.conf.beat_schedule)"
        assert "sendcloud-sweep" in reader.run("python", "-c", schedule)
        with_celery = reader.order()
        with subprocess.Popen(shlex.split(COMMANDS[6]), cwd=tmp_path, env=reader.environment) as worker:
            end = time.monotonic() + 60
            while not sandbox.shipment(with_celery) and time.monotonic() < end:
                time.sleep(0.05)
            worker.terminate()
        without_celery = reader.order()
        reader.run("python", "manage.py", "sendcloud_work", "--once")
        numbers = {order["order_id"]: order["order_number"] for order in sandbox.orders()}
        with reader.serve():
            [parcel] = sandbox.create_label(with_celery)
            assert sandbox.wait_webhooks(60)
        reader.run("python", "manage.py", "sendcloud_work", "--once")
    assert numbers == {with_celery: "1042", without_celery: "1042"}
    tag = next(text for language, text in BLOCKS if language == "django")
    pages = reader.shell(PAGES % tag)
    assert pages.count("200 True") == 2, pages
    assert 'class="sc-tracking"' in pages
    assert parcel["tracking_number"] in pages, "the webhook has arrived"
