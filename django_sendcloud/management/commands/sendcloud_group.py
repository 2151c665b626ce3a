"""``sendcloud_group``: a group of Django's with the permissions of a shipping operator."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError, CommandParser

NAME = "Shipping operators"

#: Permissions of a shipping operator. Personal data, keys, settings and deletions at Sendcloud are not among them.
PERMISSIONS = (
    "view_account",
    "view_integration",
    "view_outboxentry",
    "view_parcel",
    "view_shipment",
    "view_webhookevent",
    "assign_parcel",
    "cancel_label",
    "pause_integration",
    "print_label",
    "push_order",
    "replay_webhookevent",
    "test_integration",
)


class Command(BaseCommand):
    help = (
        "Make a group with the permissions of a shipping operator, or add to it those that are missing. Permissions "
        "that were added by hand stay. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=NAME, help=f"Name of the group. Default: {NAME}.")
        parser.add_argument("--add", nargs="+", default=[], metavar="USERNAME", help="Users to add to it.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"].strip():
            raise CommandError("--name is empty: give the group a name.")
        users = get_user_model()
        names = options["add"]
        field = users.USERNAME_FIELD
        found = {getattr(user, field): user for user in users._default_manager.filter(**{f"{field}__in": names})}
        if unknown := [name for name in names if name not in found]:
            raise CommandError(f"--add {unknown[0]}: there is no such user. Nothing was changed.")
        permissions = Permission.objects.filter(content_type__app_label="django_sendcloud", codename__in=PERMISSIONS)
        if permissions.count() < len(PERMISSIONS):
            raise CommandError("The permissions are not in the database yet: run migrate.")
        group, created = Group.objects.get_or_create(name=options["name"])
        group.permissions.add(*permissions)
        for user in found.values():
            user.groups.add(group)
        done = "made" if created else "completed"
        self.stdout.write(f"The group “{group}” is {done}: {len(PERMISSIONS)} permissions, {len(found)} users added.")
        if any(not user.is_staff for user in found.values()):
            self.stdout.write(
                self.style.WARNING("Some of these users may not enter the admin: set their staff status.")
            )
