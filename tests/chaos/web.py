"""The example shop's web server, which takes webhooks: ``python -m tests.chaos.web PORT``."""

from __future__ import annotations

import sys

import django
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application


def main() -> None:
    from . import app  # noqa: F401 - before the setup, so that the notifier finds it

    django.setup()
    run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)


if __name__ == "__main__":
    main()
