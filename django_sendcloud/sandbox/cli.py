"""The sandbox from the command line, for ``python -m django_sendcloud.sandbox`` and ``manage.py sendcloud_sandbox``."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import signal
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from .address import is_loopback
from .requestlog import LoggedRequest
from .sandbox import Sandbox

__all__ = ["DESCRIPTION", "add_arguments", "main", "serve"]

DESCRIPTION: Final = "A local Sendcloud to develop and test against, with a panel for people."
PORT: Final = 8900


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the sandbox's options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=PORT, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument(
        "--advertise",
        type=_origin,
        metavar="URL",
        help="address that others reach it under, such as http://sendcloud.localhost:8900 from another container",
    )
    parser.add_argument("--public-key", help="public key of its integration (default: the same at each start)")
    parser.add_argument("--secret-key", help="secret key of its integration (default: the same at each start)")
    parser.add_argument("--integration-id", type=int, default=1001, help="id of its integration (default: %(default)s)")
    parser.add_argument("--shop-name", default="Webshop", help="name of its integration (default: %(default)s)")
    parser.add_argument(
        "--auth", choices=["basic", "oauth2"], default="basic", help="scheme of its keys (default: %(default)s)"
    )
    parser.add_argument(
        "--rate-limits",
        action="store_true",
        help="refuse more than 100 POSTs or 1,000 GETs a minute, as Sendcloud does",
    )
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="delay every answer")
    parser.add_argument(
        "--save-delay",
        type=float,
        default=0.3,
        metavar="SECONDS",
        help="time between the acceptance of a v3 order and its saving (default: %(default)s)",
    )
    parser.add_argument(
        "--partners-only",
        action="store_true",
        help="refuse v2 shipments without a Sendcloud-Partner-Id, as Sendcloud does",
    )
    parser.add_argument(
        "--webhook-retry-scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor for the delays before a webhook is repeated; the first one is 5 minutes (default: %(default)s)",
    )
    parser.add_argument("--log-file", metavar="PATH", help="file that gets a line of JSON for each request")
    parser.add_argument("--quiet", action="store_true", help="print nothing for each request")


def serve(options: dict[str, Any], out: TextIO) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Returns:
        The exit code.
    """
    write = threading.Lock()

    def report(request: LoggedRequest) -> None:
        with write:
            print(_line(request), file=out, flush=True)

    try:
        sandbox = Sandbox(
            options["port"],
            options["host"],
            advertised=options["advertise"],
            public_key=options["public_key"] or fixed_key("public", options["host"]),
            secret_key=options["secret_key"] or fixed_key("secret", options["host"]),
            integration_id=options["integration_id"],
            shop_name=options["shop_name"],
            auth=options["auth"],
            log_file=options["log_file"],
            max_requests=100_000,
            webhook_retry_scale=options["webhook_retry_scale"],
            on_request=None if options["quiet"] else report,
        )
    except OSError as error:
        print(f"Cannot write {options['log_file']}: {error.strerror}.", file=sys.stderr)
        return 1
    sandbox.latency = options["latency"]
    sandbox.rate_limits = options["rate_limits"]
    sandbox.save_delay = options["save_delay"]
    sandbox.certified_partners_only = options["partners_only"]
    try:
        sandbox.start()
    except OSError as error:
        sandbox.close()
        where = f"{options['host']}:{options['port']}"
        print(f"Cannot listen on {where}: {error.strerror}. Choose another --port.", file=sys.stderr)
        return 1
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with write:
            print(_greeting(sandbox), file=out, flush=True)
        stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sandbox.close()
    return 0


def main() -> int:
    """Run ``python -m django_sendcloud.sandbox``."""
    parser = argparse.ArgumentParser(prog="python -m django_sendcloud.sandbox", description=DESCRIPTION)
    add_arguments(parser)
    return serve(vars(parser.parse_args()), sys.stdout)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise argparse.ArgumentTypeError("must be an address such as http://sendcloud.localhost:8900")
    return f"{parts.scheme}://{parts.netloc}"


def fixed_key(kind: str, host: str) -> str | None:
    """Return a key that is the same at each start; ``None`` for a random one if other machines can reach the host."""
    if not is_loopback(host):
        return None
    return hashlib.sha256(f"django-sendcloud sandbox {kind}".encode()).hexdigest()[:32]


def _greeting(sandbox: Sandbox) -> str:
    integration = sandbox.integration
    environment = {
        "SENDCLOUD_BASE_URL": sandbox.base_url,
        "SENDCLOUD_PUBLIC_KEY": integration.public_key,
        "SENDCLOUD_SECRET_KEY": integration.secret_key,
        "SENDCLOUD_INTEGRATION_ID": str(integration.id),
    }
    if integration.auth == "oauth2":
        environment["SENDCLOUD_TOKEN_URL"] = sandbox.token_url
    lines = [
        f"Sendcloud sandbox: {sandbox.panel_url}",
        "",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        "",
        "It forgets everything when it ends. Stop it with Ctrl-C.",
    ]
    if not sandbox.local:
        lines.append(f"WARNING: Other machines can reach {sandbox.host}, and the panel asks for no password.")
    return "\n".join(lines)


def _line(request: LoggedRequest) -> str:
    outcomes = Counter(item.outcome for item in request.items)
    details = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
    fault = f"  [{request.fault}]" if request.fault else ""
    status = request.status or "closed without an answer"
    return (
        f"{request.wall:%H:%M:%S} {request.method:6} {request.path} {status}{f'  {details}' if details else ''}{fault}"
    )
