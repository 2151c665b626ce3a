"""``sendcloud_group``: a group that may do an operator's work, and no more."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

from django_sendcloud.management.commands.sendcloud_group import PERMISSIONS

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_group", *arguments, stdout=out)
    return out.getvalue()


def test_group_is_made_with_its_permissions() -> None:
    user = User.objects.create_user("ada", is_staff=True)
    assert "is made" in run("--add", "ada")
    group = Group.objects.get(name="Shipping operators")
    assert set(group.permissions.values_list("codename", flat=True)) == set(PERMISSIONS)
    user = User.objects.get(pk=user.pk)
    assert user.has_perm("django_sendcloud.push_order")
    for withheld in ("view_payload", "view_credentials", "change_integration", "delete_remote_shipment"):
        assert not user.has_perm(f"django_sendcloud.{withheld}")


def test_repeated_run_keeps_other_permissions() -> None:
    run()
    group = Group.objects.get()
    group.permissions.set(Permission.objects.filter(codename="view_payload"))
    assert "is completed" in run()
    assert set(group.permissions.values_list("codename", flat=True)) == {*PERMISSIONS, "view_payload"}


def test_unknown_user_changes_nothing() -> None:
    with pytest.raises(CommandError, match="--add bob: there is no such user"):
        run("--add", "bob")
    assert not Group.objects.exists()


def test_user_without_staff_status_is_named() -> None:
    User.objects.create_user("ada")
    assert "staff status" in run("--add", "ada")


def test_empty_name_is_refused() -> None:
    with pytest.raises(CommandError, match="--name is empty"):
        run("--name", " ")
