"""A broker of files that holds: kombu's, whose messages may be read while they are written.

kombu opens a message under its final name and writes it then, and creates an exchange's table empty. A worker that
reads in between ends with a ``JSONDecodeError``. Here both appear complete, by a rename.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from time import time
from typing import Any

from kombu.transport import filesystem
from kombu.transport.virtual import BrokerState
from kombu.utils.json import dumps, loads

__all__ = ["Transport"]


class Channel(filesystem.Channel):
    """A channel whose files are complete whenever they can be seen."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        """Put a message onto the queue."""
        name = f"{round(time() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        _write(Path(self.data_folder_out) / name, payload)

    def get_table(self, exchange: str) -> list[Any]:
        """Return the queues of an exchange."""
        try:
            table = loads(self._exchange_file(exchange).read_text())
        except FileNotFoundError:
            return []
        return [filesystem.exchange_queue_t(*queue) for queue in table]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Add a queue to an exchange."""
        self.control_folder.mkdir(exist_ok=True)
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with (self.control_folder / "lock").open("w") as lock:
            # Two workers that start concurrently must not lose each other's queue.
            filesystem.lock(lock, filesystem.LOCK_EX)
            table = self.get_table(exchange)
            if bound not in table:
                _write(self._exchange_file(exchange), [bound, *table])
            filesystem.unlock(lock)


class Transport(filesystem.Transport):
    """kombu's ``filesystem://``, with complete files."""

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        """Give each connection bindings of its own.

        kombu shares them in a process and notes one before it writes it: another thread would believe the queue bound,
        publish to an exchange without queues, and lose its message.
        """
        super().__init__(client, **kwargs)
        self.state = BrokerState()


def _write(path: Path, content: Any) -> None:
    """Write a file so that it appears only with all of its content."""
    # (A name that is no queue's.)
    draft = path.with_name(f"draft-{uuid.uuid4()}")
    draft.write_text(dumps(content))
    os.replace(draft, path)
