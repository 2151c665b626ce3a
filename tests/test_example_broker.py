"""The example shop's broker of files: no worker reads half a message."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

SOURCE = Path(__file__).resolve().parent.parent / "example_project" / "example" / "broker.py"


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("example_broker", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "example_broker", module)
    monkeypatch.setitem(TRANSPORT_ALIASES, "filesystem", "example_broker:Transport")
    (tmp_path / "messages").mkdir()
    folders = {"data_folder_in": str(tmp_path / "messages"), "data_folder_out": str(tmp_path / "messages")}
    options = {**folders, "control_folder": str(tmp_path / "control")}
    return lambda: Connection("filesystem://", transport_options=options)


@pytest.mark.long
def test_file_broker_delivers_every_message_while_written(connect: Any) -> None:
    """Two writers, two readers: every message arrives once, and none is read half."""
    found: list[int] = []
    errors: list[BaseException] = []
    written = threading.Event()

    def write(begin: int) -> None:
        with connect() as connection:
            queue = connection.SimpleQueue("work")
            for number in range(begin, begin + 100):
                queue.put({"number": number, "filling": "x" * 20_000})
            queue.close()

    def read() -> None:
        with connect() as connection:
            queue = connection.SimpleQueue("work")
            while True:
                was_written = written.is_set()
                try:
                    message = queue.get(block=False)
                except queue.Empty:
                    if was_written:
                        break
                    continue
                except BaseException as error:
                    errors.append(error)
                    break
                found.append(message.payload["number"])
                message.ack()
            queue.close()

    writers = [threading.Thread(target=write, args=[begin]) for begin in (0, 100)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join(60)
    written.set()
    for thread in readers:
        thread.join(60)
    assert not errors
    assert sorted(found) == list(range(200))
