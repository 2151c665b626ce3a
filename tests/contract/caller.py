"""A caller of the sandbox that checks every answer against a contract."""

from __future__ import annotations

import re
from typing import Any

import requests

from django_sendcloud.sandbox import Sandbox


class Bearer(requests.auth.AuthBase):
    """Sends a token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Caller:
    """Sends requests, checks the answers, and remembers which there were."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.literal = False
        self.seen: set[tuple[str, str, str]] = set()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = self.credentials()

    def credentials(self) -> Any:
        keys = self.sandbox.public_key, self.sandbox.secret_key
        if self.sandbox.integration.auth == "basic":
            return keys
        form = {"grant_type": "client_credentials", "scope": "api"}
        return Bearer(self.session.post(self.sandbox.token_url, form, auth=keys, timeout=10).json()["access_token"])

    def base_url(self) -> str:
        """Return the address of the API generation."""
        raise NotImplementedError

    def check(self, template: str, response: requests.Response) -> None:
        """Check an answer against the contract."""
        raise NotImplementedError

    def path(self, template: str, id: Any = None) -> str:
        return re.sub(r"\{\w+\}", str(self.sandbox.integration_id if id is None else id), template)

    def __call__(self, status: int, method: str, template: str, id: Any = None, **options: Any) -> Any:
        response = self.session.request(method, self.base_url() + self.path(template, id), timeout=10, **options)
        assert response.status_code == status, response.text
        self.seen.add((method, template, str(status)))
        self.check(template, response)
        if status in (204, 429):
            assert (response.content, response.headers.get("Content-Type")) == (b"", None)
            return None
        assert response.headers["Content-Type"] == "application/json"
        return response.json()
