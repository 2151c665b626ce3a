"""The sandbox from the command line, for ``python -m django_sendcloud.sandbox`` and ``manage.py sendcloud_sandbox``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any, Final, TextIO

from .requestlog import LoggedRequest
from .sandbox import Sandbox

__all__ = ["DESCRIPTION", "add_arguments", "main", "serve"]

DESCRIPTION: Final = "A local Sendcloud to develop and test against, with a panel for people."
PORT: Final = 8900


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the sandbox's options."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=PORT, help="on which port, 0 for any (default: %(default)s)")
    parser.add_argument("--public-key", help="public key of the integration it starts with (default: made up)")
    parser.add_argument("--secret-key", help="its secret key (default: made up)")
    parser.add_argument("--integration-id", type=int, default=1001, help="its id (default: %(default)s)")
    parser.add_argument("--shop-name", default="Webshop", help="its name (default: %(default)s)")
    parser.add_argument(
        "--auth", choices=["basic", "oauth2"], default="basic", help="how its keys are used (default: %(default)s)"
    )
    parser.add_argument(
        "--rate-limits",
        action="store_true",
        help="refuse more than 100 POSTs or 1,000 GETs a minute, as Sendcloud does",
    )
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="let every answer take longer")
    parser.add_argument(
        "--webhook-retry-scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiply the delays before a webhook is sent again; the first one is 5 minutes (default: %(default)s)",
    )
    parser.add_argument("--log-file", metavar="PATH", help="write a line of JSON for each request")
    parser.add_argument("--quiet", action="store_true", help="print no line for each request")


def serve(options: dict[str, Any], out: TextIO) -> int:
    """Serve until somebody says stop (Ctrl-C, SIGTERM).

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
            public_key=options["public_key"],
            secret_key=options["secret_key"],
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


def _greeting(sandbox: Sandbox) -> str:
    integration = sandbox.integration
    lines = [
        f"Sendcloud sandbox: {sandbox.panel_url}",
        "",
        f"export SENDCLOUD_BASE_URL={sandbox.base_url}",
        f"export SENDCLOUD_PUBLIC_KEY={integration.public_key}",
        f"export SENDCLOUD_SECRET_KEY={integration.secret_key}",
        f"export SENDCLOUD_INTEGRATION_ID={integration.id}",
    ]
    if integration.auth == "oauth2":
        lines.append(f"export SENDCLOUD_TOKEN_URL={sandbox.token_url}")
    lines += ["", "Nothing is kept when it ends. Stop it with Ctrl-C."]
    if not sandbox.local:
        lines.append(
            f"WARNING: {sandbox.host} can be reached from other machines. The panel asks nobody for a password."
        )
    return "\n".join(lines)


def _line(request: LoggedRequest) -> str:
    outcomes = Counter(item.outcome for item in request.items)
    details = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
    fault = f"  [{request.fault}]" if request.fault else ""
    status = request.status or "closed without an answer"
    return (
        f"{request.wall:%H:%M:%S} {request.method:6} {request.path} {status}{f'  {details}' if details else ''}{fault}"
    )
