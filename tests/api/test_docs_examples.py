"""Examples of the reference pages, run against the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.payloads.contract import document

from . import contracts

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


def test_payloads_page_examples_run() -> None:
    assert run("payloads.md")["payload"].key == ("1042", "")


#: Operations the examples leave out: they need a labelled shipment.
NEEDS_LABEL = {("get", "/shipments/{id}"), ("post", "/shipments/{id}/cancel")}


def operations_v2() -> set[tuple[str, str]]:
    return {
        (method, path)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and "operationId" in operation
    }


def operations_v3() -> set[tuple[str, str]]:
    return {(method, path) for _, method, path in contracts.operations()}


@pytest.mark.long
def test_client_page_examples_use_every_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_sendcloud.api.requestor import Requestor
    from django_sendcloud.sandbox import Sandbox

    used = set()
    original = Requestor.send

    def spy(self: Requestor, request: Any) -> Any:
        root, path = re.fullmatch(r"/api/(v\d)(/.*)", request.path).groups()  # type: ignore[union-attr]
        name = "{service_point_id}" if path.startswith("/service-points") and root == "v3" else "{id}"
        used.add((root, request.method.lower(), re.sub(r"/\d+", f"/{name}", path)))
        return original(self, request)

    monkeypatch.setattr(Requestor, "send", spy)
    with Sandbox() as sandbox:
        modern = sandbox.add_integration(auth="oauth2")
        environment = {
            "BASE_URL": sandbox.base_url,
            "TOKEN_URL": sandbox.token_url,
            "PUBLIC_KEY": sandbox.public_key,
            "SECRET_KEY": sandbox.secret_key,
            "INTEGRATION_ID": sandbox.integration_id,
            "OTHER_INTEGRATION_ID": modern.id,
            "CLIENT_ID": modern.client_id,
            "CLIENT_SECRET": modern.client_secret,
        }
        for name, value in environment.items():
            monkeypatch.setenv(f"SENDCLOUD_{name}", str(value))
        run("client.md")
    assert used >= {("v2", *operation) for operation in operations_v2()}
    assert used >= {("v3", *operation) for operation in operations_v3() - NEEDS_LABEL}


@pytest.mark.parametrize(("generation", "operations"), [("v2", operations_v2()), ("v3", operations_v3())])
def test_client_page_lists_every_operation(generation: str, operations: set[tuple[str, str]]) -> None:
    text = (REFERENCE / "client.md").read_text()
    section = text.partition(f"\n## API {generation}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \| \[`client\.(v\d)\.", section, re.MULTILINE)
    assert {(method.lower(), path) for method, path, _ in rows} == operations
    assert {its for _, _, its in rows} == {generation}
