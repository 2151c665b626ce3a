"""``sendcloud_rotate_keys``: encrypt all that is stored with the newest key, so that older ones can go."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from ...conf import conf
from ...maintenance.rotate_keys import rotate
from ..tables import TablesCommand


class Command(TablesCommand):
    help = (
        "Encrypt every stored secret and webhook with the first key of SENDCLOUD['ENCRYPTION_KEYS']. Put the new key "
        "first, deploy, run this, and remove the old ones. Safe to repeat, and to run while the shop works."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotated = rotate()
        key = "the first key" if conf().ENCRYPTION_KEYS else "the key derived from SECRET_KEY"
        self.stdout.write(f"{rotated.done} stored secrets are encrypted with {key}.")
        if rotated.unreadable:
            raise CommandError(
                f"None of the keys decrypts: {'; '.join(rotated.unreadable[:20])}"
                f"{' …' if len(rotated.unreadable) > 20 else ''}. Put the key they were encrypted with back into the "
                "list and run this again, or enter the credentials again."
            )
        self.stdout.write(self.style.SUCCESS("Keys after the first are not needed any more."))
