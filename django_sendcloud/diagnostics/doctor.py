"""Doctor: a check of everything that has to work, each finding with what to do.

It asks Sendcloud once for each integration, the broker once, and calls the shop's own webhook address. It changes
nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import Error, connections
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..broker import BROKER_TIMEOUT, celery_app, is_used
from ..conf import SendcloudConfigurationError, conf, problems
from ..core.clock import clock
from ..core.crypto import DecryptionError
from ..core.deployment import deployment_differences
from ..core.schema import unapplied_migrations
from ..exceptions import APIError
from ..models import Integration, PauseReason
from ..registry import registry
from ..sync import breaker, limiter
from ..sync.health import late_after, sweep_age, sweep_late_after
from ..sync.outcomes import reaction_to
from ..webhooks import selftest

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Check", "Finding", "Status", "diagnose", "exit_code"]

logger = logging.getLogger("django_sendcloud.diagnostics")

# Clocks of machines that differ by more than this confuse people, though no worker.
CLOCK_SECONDS = 10.0

# Of the problems that a request may meet, those that say more than that Sendcloud cannot be asked.
CODES = {
    "credentials": "keys_rejected",
    "permission": "not_allowed",
    "gone": "gone",
    "rate_limited": "rate_limited",
}


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Check(StrEnum):
    """Checks of the doctor, in their order."""

    SETTINGS = "settings"
    MIGRATIONS = "migrations"
    CLOCK = "clock"
    ADAPTER = "adapter"
    INTEGRATION = "integration"
    DEPLOYMENT = "deployment"
    KEYS = "keys"
    WEBHOOK = "webhook"
    LIMITER = "limiter"
    BROKER = "broker"
    WORKER = "worker"
    BEAT = "beat"


#: Names of the checks.
TITLES: dict[Check, StrOrPromise] = {
    Check.SETTINGS: _("Settings"),
    Check.MIGRATIONS: _("Migrations"),
    Check.CLOCK: _("Clock"),
    Check.ADAPTER: _("Adapter"),
    Check.INTEGRATION: _("Integration"),
    Check.DEPLOYMENT: _("Deployment"),
    Check.KEYS: _("Keys"),
    Check.WEBHOOK: _("Webhook"),
    Check.LIMITER: _("Rate limit"),
    Check.BROKER: _("Broker"),
    Check.WORKER: _("Worker"),
    Check.BEAT: _("Schedule"),
}

#: Result and advice of each code.
WORDS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    "ok": (_("It works."), ""),
    "settings_wrong": (_("SENDCLOUD has a wrong key or value: %(detail)s."), _("Run: manage.py check")),
    "migrations_missing": (_("The tables are missing or older than the code."), _("Run: manage.py migrate")),
    "database_failed": (_("The database cannot be reached (%(detail)s)."), _("Check the database and its settings.")),
    "clock_differs": (
        _("This machine and the database differ by %(detail)s seconds."),
        _("Start a time service (NTP) on both machines."),
    ),
    "adapter_missing": (
        _("No order model has an adapter, so no order is sent."),
        _("Write an adapter in a module sendcloud.py of an installed app."),
    ),
    "integration_missing": (
        _("No integration is connected and in use."),
        _("Connect one in the admin, or run: manage.py sendcloud_connect"),
    ),
    "paused": (_("It is paused (%(detail)s)."), _("Its page in the admin says how to go on.")),
    "copy": (
        _("It was connected in another deployment, so nothing is sent from here."),
        _("Decide on its page in the admin which deployment ships."),
    ),
    "keys_missing": (_("It has no API keys."), _("Enter them on its page in the admin.")),
    "keys_unreadable": (
        _("The stored keys cannot be read."),
        _("Put the former key back into ENCRYPTION_KEYS, or enter the API keys again."),
    ),
    "keys_rejected": (_("Sendcloud rejects the keys."), _("Enter the keys that Sendcloud's panel shows.")),
    "not_allowed": (
        _("Sendcloud does not allow these keys to use this API."),
        _("Move the integration to API v3: manage.py sendcloud_move --to v3"),
    ),
    "gone": (_("Sendcloud does not know the integration."), _("Connect the one that its panel shows.")),
    "unreachable": (
        _("Sendcloud cannot be reached (%(detail)s)."),
        _("Check the network, the firewall and SENDCLOUD['BASE_URL']."),
    ),
    "webhook_no_url": (
        _("The shop's URLs do not include django_sendcloud.urls."),
        _("Add them, so that parcel updates can arrive."),
    ),
    "webhook_off": (_("Sendcloud sends no parcel updates."), _("Register the webhook on its page in the admin.")),
    "webhook_elsewhere": (
        _("Sendcloud sends parcel updates to another address."),
        _("Register the webhook on its page in the admin."),
    ),
    "webhook_unknown": (
        _("It is not clear where the shop is reached."),
        _("Set SENDCLOUD['WEBHOOK_BASE_URL']."),
    ),
    "webhook_failed": (
        _("The shop's own webhook address does not work (%(detail)s)."),
        _("Press “Check the webhook address” on its page in the admin: it explains the obstacle."),
    ),
    "rate_limited": (_("Sendcloud asked to wait."), _("Nothing to do: it goes on automatically.")),
    "failing": (
        _("Sendcloud fails, and is tried again from time to time."),
        _("Nothing to do: it goes on automatically."),
    ),
    "used_up": (_("The rate limit is used up at this moment."), _("Nothing to do: it goes on automatically.")),
    "no_celery": (
        _("There is no Celery. The work is done by sendcloud_work."),
        _("Run: manage.py sendcloud_work"),
    ),
    "eager": (_("Celery runs tasks in the web process."), _("Use a broker and a worker in production.")),
    "broker_down": (
        _("The broker does not answer (%(detail)s). Orders are recorded, and sent by the schedule."),
        _("Start the broker, and check CELERY_BROKER_URL."),
    ),
    "worker_missing": (
        _("No worker answers, and none has worked for minutes."),
        _("Start one: celery -A yourproject worker, or manage.py sendcloud_work"),
    ),
    "beat_never": (
        _("The periodic work has never run."),
        _("Start beat with beat_schedule() merged into its schedule: celery -A yourproject beat"),
    ),
    "beat_late": (
        _("The periodic work last ran %(detail)s seconds ago."),
        _("Start beat with beat_schedule() merged into its schedule: celery -A yourproject beat"),
    ),
    "check_failed": (_("The check itself failed (%(detail)s)."), _("Read the log.")),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Args:
        check: The check.
        status: Its result.
        code: A key of ``WORDS``.
        detail: What the words have a placeholder for. Never a secret, never personal data.
        integration: The integration it concerns, ``""`` for the shop.
    """

    check: Check
    status: Status
    code: str = "ok"
    detail: str = ""
    integration: str = ""

    @property
    def title(self) -> str:
        name = str(TITLES[self.check])
        return f"{name} ({self.integration})" if self.integration else name

    @property
    def text(self) -> str:
        detail = PauseReason(self.detail).label if self.code == "paused" else self.detail
        return str(WORDS[self.code][0]) % {"detail": detail}

    @property
    def advice(self) -> str:
        return str(WORDS[self.code][1])

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "text": self.text, "advice": self.advice}


def diagnose() -> list[Finding]:
    """Run all checks, in their order. Takes some seconds."""
    found = list(_settings())
    if any(finding.status is Status.PROBLEM for finding in found):
        return found
    found += _guarded(Check.MIGRATIONS, _migrations)
    if any(finding.status is Status.PROBLEM for finding in found):
        return found
    for check, run in (
        (Check.CLOCK, _clock),
        (Check.ADAPTER, _adapter),
        (Check.INTEGRATION, _integrations),
        (Check.BROKER, _broker),
        (Check.WORKER, _worker),
        (Check.BEAT, _beat),
    ):
        found += _guarded(check, run)
    return found


def exit_code(found: list[Finding]) -> int:
    """Return 2 for a problem, 1 for a warning, 0 otherwise."""
    statuses = {finding.status for finding in found}
    return 2 if Status.PROBLEM in statuses else 1 if Status.WARNING in statuses else 0


def _guarded(check: Check, run: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run a check, whose own failure is a finding, too."""
    try:
        return list(run())
    except Error as error:
        return [Finding(check, Status.PROBLEM, "database_failed", type(error).__name__)]
    except Exception as error:
        # Only the type: a text may quote an address with a password.
        return [Finding(check, Status.PROBLEM, "check_failed", type(error).__name__)]


# -- the shop -----------------------------------------------------------------------------------------


def _settings() -> Iterator[Finding]:
    found = problems(getattr(settings, "SENDCLOUD", {}))
    for key, _sentence in found:
        yield Finding(Check.SETTINGS, Status.PROBLEM, "settings_wrong", key)
    if not found:
        yield Finding(Check.SETTINGS, Status.OK)


def _migrations() -> Iterator[Finding]:
    if unapplied_migrations():
        yield Finding(Check.MIGRATIONS, Status.PROBLEM, "migrations_missing")
    else:
        yield Finding(Check.MIGRATIONS, Status.OK)


def _clock() -> Iterator[Finding]:
    connections[conf().DATABASE].ensure_connection()
    clock.synchronize()
    difference = abs((clock.now() - timezone.now()).total_seconds())
    if difference > CLOCK_SECONDS:
        yield Finding(Check.CLOCK, Status.WARNING, "clock_differs", f"{difference:.0f}")
    else:
        yield Finding(Check.CLOCK, Status.OK)


def _adapter() -> Iterator[Finding]:
    if len(registry):
        yield Finding(Check.ADAPTER, Status.OK)
    else:
        yield Finding(Check.ADAPTER, Status.PROBLEM, "adapter_missing")


# -- each integration ---------------------------------------------------------------------------------


def _integrations() -> Iterator[Finding]:
    active = list(Integration.objects.active().select_related("account").order_by("pk"))
    if not active:
        yield Finding(Check.INTEGRATION, Status.PROBLEM, "integration_missing")
        return
    for integration in active:
        name = f"#{integration.remote_id}"
        if integration.is_paused:
            reason = integration.paused_reason
            yield Finding(Check.INTEGRATION, Status.PROBLEM, "paused", reason, name)
        else:
            yield Finding(Check.INTEGRATION, Status.OK, integration=name)
        if deployment_differences(integration.deployment):
            yield Finding(Check.DEPLOYMENT, Status.PROBLEM, "copy", integration=name)
        else:
            yield Finding(Check.DEPLOYMENT, Status.OK, integration=name)
        for check, run in ((Check.KEYS, _keys), (Check.WEBHOOK, _webhook), (Check.LIMITER, _limiter)):
            yield from _guarded(check, functools.partial(_of_integration, check, run, integration, name))


_Result = tuple[Status, str, str]


def _of_integration(
    check: Check, run: Callable[[Integration], _Result], integration: Integration, name: str
) -> Iterator[Finding]:
    status, code, detail = run(integration)
    yield Finding(check, status, code, detail, name)


def _keys(integration: Integration) -> _Result:
    if not (integration.public_key and integration.secret_key):
        return Status.PROBLEM, "keys_missing", ""
    try:
        limiter.wait_for_turn(integration.account.pk, "safe")
        with integration.client(retries=0) as client:
            integration.read(client)
    except DecryptionError:
        return Status.PROBLEM, "keys_unreadable", ""
    except (APIError, SendcloudConfigurationError) as error:
        code = CODES.get(reaction_to(error).problem.code)
        if code is None:
            return Status.PROBLEM, "unreachable", type(error).__name__
        return Status.WARNING if code == "rate_limited" else Status.PROBLEM, code, ""
    return Status.OK, "ok", ""


def _webhook(integration: Integration) -> _Result:
    if not integration.webhook_path():
        return Status.WARNING, "webhook_no_url", ""
    if not (integration.webhook_active and integration.webhook_url):
        return Status.WARNING, "webhook_off", ""
    address = selftest.own_address(integration)
    if not address:
        return Status.WARNING, "webhook_unknown", ""
    if address != integration.webhook_url:
        return Status.WARNING, "webhook_elsewhere", ""
    if not integration.secret_key:
        return Status.SKIPPED, "keys_missing", ""
    outcome = selftest.run(integration, address)
    if outcome.problem:
        return Status.PROBLEM, "webhook_failed", outcome.problem
    return Status.OK, "ok", ""


def _limiter(integration: Integration) -> _Result:
    if breaker.closed_until(integration.account, clock.now()):
        code = "rate_limited" if integration.account.closed_reason == "rate_limited" else "failing"
        return Status.WARNING, code, ""
    if not all(limiter.left(integration.account.pk).values()):
        return Status.WARNING, "used_up", ""
    return Status.OK, "ok", ""


# -- the work -----------------------------------------------------------------------------------------


def _broker() -> Iterator[Finding]:
    app = celery_app()
    if not is_used():
        yield Finding(Check.BROKER, Status.SKIPPED, "no_celery")
    elif app.conf.task_always_eager:
        yield Finding(Check.BROKER, Status.WARNING, "eager")
    else:
        try:
            with app.connection_for_write(connect_timeout=BROKER_TIMEOUT) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=BROKER_TIMEOUT)
        except Exception as error:
            # Only the type: a broker's error may contain its password.
            yield Finding(Check.BROKER, Status.PROBLEM, "broker_down", type(error).__name__)
        else:
            yield Finding(Check.BROKER, Status.OK)


def _worker() -> Iterator[Finding]:
    """Judge by the traces of work first: not every broker lets a worker answer."""
    age = sweep_age()
    if age is not None and age < late_after().total_seconds():
        yield Finding(Check.WORKER, Status.OK)
        return
    if is_used() and not celery_app().conf.task_always_eager and _answers():
        yield Finding(Check.WORKER, Status.OK)
    else:
        yield Finding(Check.WORKER, Status.PROBLEM, "worker_missing")


def _answers() -> bool:
    try:
        return bool(celery_app().control.inspect(timeout=BROKER_TIMEOUT).ping())
    except Exception as error:
        logger.info("Workers cannot be asked through this broker: %s.", type(error).__name__)
        return False


def _beat() -> Iterator[Finding]:
    age = sweep_age()
    if age is None:
        yield Finding(Check.BEAT, Status.PROBLEM, "beat_never")
    elif age > sweep_late_after():
        yield Finding(Check.BEAT, Status.PROBLEM, "beat_late", f"{age:.0f}")
    else:
        yield Finding(Check.BEAT, Status.OK)
