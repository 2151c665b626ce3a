"""Tests of the sandbox process that the benchmarks start."""

from __future__ import annotations

import pytest
import requests

from .environment import RemoteSandbox


@pytest.mark.timeout(30)
@pytest.mark.processes
def test_remote_sandbox_is_ready_once_started() -> None:
    sandbox = RemoteSandbox()
    try:
        keys = (sandbox.values["PUBLIC_KEY"], sandbox.values["SECRET_KEY"])
        answer = requests.get(f"{sandbox.base_url}/api/v2/integrations", auth=keys, timeout=10)
        assert [each["id"] for each in answer.json()] == [int(sandbox.values["INTEGRATION_ID"])]
    finally:
        sandbox.close()


@pytest.mark.timeout(30)
@pytest.mark.processes
def test_remote_sandbox_that_cannot_start_raises() -> None:
    with pytest.raises(RuntimeError, match="The sandbox ended with exit code 2"):
        RemoteSandbox("--port", "none")
