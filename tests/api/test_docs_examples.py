"""The reference pages say what is true: every example on them runs, against the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.payloads.contract import document

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(page: str) -> dict[str, Any]:
    """Run the examples of a page from top to bottom, as a reader would."""
    text = (REFERENCE / page).read_text()
    namespace: dict[str, Any] = {}
    for match in BLOCK.finditer(text):
        line = text[: match.start(1)].count("\n")
        code = compile("\n" * line + match[1], str(REFERENCE / page), "exec")
        exec(code, namespace)
    return namespace


def test_every_example_of_the_payloads_page_runs() -> None:
    assert run("payloads.md")["payload"].key == ("1042", "")


def test_every_example_of_the_client_page_runs_and_uses_every_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_sendcloud.api.requestor import Requestor
    from django_sendcloud.sandbox import Sandbox

    used = set()
    original = Requestor.send

    def spy(self: Requestor, call: Any) -> Any:
        used.add((call.method.lower(), re.sub(r"/\d+", "/{id}", call.path)))
        return original(self, call)

    monkeypatch.setattr(Requestor, "send", spy)
    with Sandbox() as sandbox:
        monkeypatch.setenv("SENDCLOUD_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("SENDCLOUD_TOKEN_URL", sandbox.token_url)
        monkeypatch.setenv("SENDCLOUD_PUBLIC_KEY", sandbox.public_key)
        monkeypatch.setenv("SENDCLOUD_SECRET_KEY", sandbox.secret_key)
        monkeypatch.setenv("SENDCLOUD_INTEGRATION_ID", str(sandbox.integration_id))
        modern = sandbox.add_integration(auth="oauth2")
        monkeypatch.setenv("SENDCLOUD_CLIENT_ID", modern.client_id)
        monkeypatch.setenv("SENDCLOUD_CLIENT_SECRET", modern.client_secret)
        run("client.md")
    assert used >= {
        (method, path)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and "operationId" in operation
    }


def test_the_table_of_operations_is_complete() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", (REFERENCE / "client.md").read_text(), re.MULTILINE)
    assert {(method.lower(), path) for method, path in rows} == {
        (method, path)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and "operationId" in operation
    }
