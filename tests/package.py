"""Checks of the built sdist and wheel: ``python tests/package.py dist``, as ``make build`` runs it.

The wheel is installed into an empty environment and used by a blank project against the sandbox. The sdist is unpacked,
and its own tests run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

# As in the Makefile.
FAST = ("-m", "not browser and not processes and not long", "--ignore-glob=*_fuzzed.py", "-p", "no:schemathesis")
# Files that only packaging can lose.
IN_THE_WHEEL = [
    "py.typed",
    "migrations/0001_initial.py",
    "static/django_sendcloud/admin.css",
    "static/django_sendcloud/panel.css",
    "templates/django_sendcloud/order_panel.html",
    "templates/django_sendcloud/tracking.html",
    *(f"locale/{language}/LC_MESSAGES/django.mo" for language in ("de", "es", "fr", "it", "nl")),
]
IN_THE_SDIST = [
    "Makefile",
    "noxfile.py",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/adapter.md",
]
WALK = """
import os
from pathlib import Path
from django_sendcloud.sandbox import Sandbox
with Sandbox() as sandbox:
    with Path("blank/settings.py").open("a") as settings:
        settings.write(
            'INSTALLED_APPS += ["rest_framework", "django_sendcloud", "blank"]\\n'
            f'SENDCLOUD = {{"BASE_URL": "{sandbox.base_url}", "TOKEN_URL": "{sandbox.token_url}"}}\\n'
        )
    Path("blank/sendcloud.py").write_text(ADAPTER)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "blank.settings",
        "SENDCLOUD_PUBLIC_KEY": sandbox.public_key,
        "SENDCLOUD_SECRET_KEY": sandbox.secret_key,
    }
    import django
    django.setup()
    from django.core.management import call_command
    call_command("check")
    call_command("migrate", verbosity=0)
    call_command("sendcloud_connect", "--no-webhook")
    from django.contrib.auth.models import User
    from django_sendcloud.testing import drain
    buyer = User.objects.create(username="first", email="first@example.com")
    drain()
    assert sandbox.shipment(str(buyer.pk))["email"] == "first@example.com"
"""
# A user is the order of the blank project: the model that each project has.
ADAPTER = """
import datetime as dt
from django.contrib.auth.models import User
from django_sendcloud import OrderAdapter, register
from django_sendcloud.payloads import ParcelItem, ShipmentPayload, grams

@register(User)
class UserOrder(OrderAdapter[User]):
    def is_shippable(self, order):
        return True

    def get_shipments(self, order):
        yield ShipmentPayload(
            external_order_id=str(order.pk), order_number=order.username, created_at=dt.datetime.now(dt.UTC),
            name="First Buyer", email=order.email, address="Stadhuisplein 10", postal_code="5611EM",
            city="Eindhoven", country="NL", currency="EUR", total_order_value=10,
            parcel_items=[ParcelItem(description="Cup", quantity=1, value=10, weight=grams(200))],
        )
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command with nothing of this checkout on its path.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def environment_in(folder: Path) -> Path:
    """Create an empty virtual environment and return its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "pip>=25.1", cwd=folder)
    return python


def check_wheel(wheel: Path, folder: Path) -> None:
    """Look into the wheel, install it, and use it in a blank project.

    Raises:
        AssertionError: a file is missing, or one too many is there.
    """
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in IN_THE_WHEEL if f"django_sendcloud/{name}" not in names]
    assert not missing, f"not in the wheel: {missing}"
    foreign = [name for name in names if not name.startswith(("django_sendcloud/", "django_sendcloud-"))]
    assert not foreign, f"in the wheel: {foreign}"
    (metadata,) = (name for name in names if name.endswith("/METADATA"))
    readme = zipfile.ZipFile(wheel).read(metadata).decode()
    relative = re.findall(r"\]\((?!https://)[^)]*\)", readme)
    assert not relative, f"links that lead nowhere on PyPI: {relative}"
    python = environment_in(folder / "wheel-env")
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    run(python, "-m", "django", "startproject", "blank", cwd=folder)
    run(python, "-c", f"ADAPTER = {ADAPTER!r}\n{WALK}", cwd=folder / "blank")


def check_sdist(sdist: Path, folder: Path) -> None:
    """Unpack the sdist and run its fast tests.

    Raises:
        AssertionError: a file is missing.
    """
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    missing = [name for name in IN_THE_SDIST if not (source / name).exists()]
    assert not missing, f"not in the sdist: {missing}"
    python = environment_in(folder / "sdist-env")
    run(python, "-m", "pip", "install", "--quiet", ".", "--group", "test", cwd=source)
    run(python, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", *FAST, cwd=source)


def main() -> None:
    """Check the sdist and the wheel in the given folder."""
    dist = Path(sys.argv[1]).resolve()
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_wheel(wheel, folder)
        check_sdist(sdist, folder)
    print("sdist and wheel are good")


if __name__ == "__main__":
    main()
