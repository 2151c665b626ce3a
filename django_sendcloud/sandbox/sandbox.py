"""The sandbox as a whole: contents, API, panel, and the server in front of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from ..enums import AuthScheme
from .control import Control
from .http import Response
from .panel import Panel
from .picker import answer
from .requestlog import LoggedRequest
from .server import Server

__all__ = ["Sandbox"]

_FIRST_ID: Final = 1001


class Sandbox(Control):
    """A local Sendcloud on a real socket.

    ::

        with Sandbox() as sandbox:
            client = SendcloudClient(
                public_key=sandbox.public_key, secret_key=sandbox.secret_key, base_url=sandbox.base_url
            )

    It can be stopped and started again on the same port with everything it has stored, as a server that was down for
    a while. Any thread may call any method.

    Args:
        port: Port to listen on, 0 for any free one.
        host: Address to listen on. Anyone who reaches it can see and do everything.
        advertised: Scheme, host and port that others reach it under, if these differ from where it listens.
        public_key: Public key of the integration it starts with; random by default.
        secret_key: Its secret key; random by default.
        integration_id: Its id.
        shop_name: Its name.
        auth: Scheme that its keys must use, ``basic`` or ``oauth2``.
        log_file: File that gets a line of JSON for each request.
        max_requests: Number of requests the log keeps; all by default.
        max_bodies: Number of the latest requests that keep their bodies.
        webhook_retry_scale: Factor for the delays between attempts of a webhook. Sendcloud's first delay is 5 minutes,
            so 0.001 makes it 0.3 seconds.
        webhook_timeout: Time a shop has to answer a webhook, in seconds.
        on_request: Function that is called with each answered API request, in the thread that answered it.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        advertised: str | None = None,
        public_key: str | None = None,
        secret_key: str | None = None,
        integration_id: int = _FIRST_ID,
        shop_name: str = "Webshop",
        auth: str | AuthScheme = AuthScheme.BASIC,
        log_file: str | Path | None = None,
        max_requests: int | None = None,
        max_bodies: int = 1000,
        webhook_retry_scale: float = 1.0,
        webhook_timeout: float = 10.0,
        on_request: Callable[[LoggedRequest], None] | None = None,
    ) -> None:
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        super().__init__(
            host,
            port,
            advertised,
            public_key=public_key,
            secret_key=secret_key,
            integration_id=integration_id,
            shop_name=shop_name,
            auth=auth,
            log_file=log_file,
            max_requests=max_requests,
            max_bodies=max_bodies,
            webhook_retry_scale=webhook_retry_scale,
            webhook_timeout=webhook_timeout,
            on_request=on_request,
            pause=self._pause,
        )
        self._panel = Panel(self, self._store, self._parcels)

    def start(self) -> Self:
        """Listen, in a thread of its own.

        Raises:
            OSError: The port is taken.
        """
        if self._server is None:
            self._server = Server(self.host, self.port, self._answer)
            self.port = self._server.port
            self._services.origin = self.origin
            self._merchant.feedback.base_url = self.v2_url
            self._thread = threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox", daemon=True
            )
            self._thread.start()
            self._webhooks.start()
        return self

    def stop(self) -> None:
        """Stop listening. The stored data stays."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
            self._server = self._thread = None
        self._webhooks.stop()

    def close(self) -> None:
        """Stop, and close the log file."""
        self.stop()
        self._log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.origin}>"

    def _answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response | None:
        if path.startswith(("/api/", "/oauth2/")):
            return self._gateway.answer(method, path, query, headers, body)
        if method == "GET" and (response := answer(path, query, self.integrations)):
            return response
        return self._panel.answer(method, path, query, headers, body)

    def _pause(self, seconds: float) -> None:
        server = self._server
        if server is not None and server.stopping.wait(seconds):
            raise ConnectionAbortedError("the sandbox stops")
