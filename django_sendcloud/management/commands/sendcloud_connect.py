"""``sendcloud_connect``: connect an integration without a browser."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...api.v2 import Integration as RemoteIntegration
from ...conf import SendcloudConfigurationError, conf
from ...core.crypto import Secret
from ...core.deployment import current_deployment
from ...core.schema import RUN_MIGRATE, unapplied_migrations
from ...enums import ApiGeneration, AuthScheme
from ...exceptions import APIError, AuthenticationError
from ...models import Integration, PauseReason
from ...sync.generation import Opened, open_keys
from ...sync.routing import adapters_route, is_routed
from ...webhooks.address import reachability

WHERE = (
    "Make both keys in Sendcloud's panel: Settings > Integrations > Sendcloud API > Connect. Those of an integration "
    "that exists already are under Settings > Integrations > Configure."
)


class Command(BaseCommand):
    help = (
        "Connect a Sendcloud integration: ask Sendcloud whether the keys are right, store them encrypted, and register "
        "the webhook. Safe to repeat, also to replace the keys. The secret key is read from the environment variable "
        "SENDCLOUD_SECRET_KEY, or asked for: on the command line, other users of the machine could see it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--public-key", metavar="KEY", help="Default: environment variable SENDCLOUD_PUBLIC_KEY.")
        parser.add_argument(
            "--integration-id",
            type=int,
            metavar="ID",
            help="Which one, where the keys open several. Default: environment variable SENDCLOUD_INTEGRATION_ID.",
        )
        parser.add_argument(
            "--auth",
            choices=[scheme.value for scheme in AuthScheme],
            help="How the keys are used. Default: as it was, or basic.",
        )
        parser.add_argument(
            "--api",
            choices=[generation.value for generation in ApiGeneration],
            help="API generation. Default: as it was, or SENDCLOUD_API_GENERATION, or what the keys open: v3 for "
            "ordinary accounts, v2 where SENDCLOUD['PARTNER_ID'] is set. To change it later: sendcloud_move.",
        )
        parser.add_argument(
            "--webhook-url",
            metavar="URL",
            help="Where Sendcloud reaches this shop (https://shop.example); the webhook's path is added. Default: "
            "SENDCLOUD['WEBHOOK_BASE_URL'].",
        )
        parser.add_argument(
            "--webhook",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="Register the webhook at Sendcloud.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if unapplied_migrations():
            raise CommandError(RUN_MIGRATE)
        public_key = options["public_key"] or os.environ.get("SENDCLOUD_PUBLIC_KEY", "")
        if not public_key:
            raise CommandError(f"No public key: give --public-key or set SENDCLOUD_PUBLIC_KEY. {WHERE}")
        secret_key = Secret(os.environ.get("SENDCLOUD_SECRET_KEY", "") or self.ask_secret())
        wanted = options["integration_id"] or _environment_id()
        base = self.webhook_base(options)

        api = self.generation(options["api"])

        candidate = self.candidate(wanted, options["auth"])
        candidate.public_key, candidate.secret_key = public_key, secret_key
        opened = self.ask(candidate, api)
        remote = self.choose(opened.integrations, wanted)
        candidate.api_generation = opened.generation.value
        integration, created = self.store(candidate, remote, api)
        done = "Connected" if created else "Updated"
        api_name = f"API {integration.api_generation}"
        self.say(f"{done}: “{integration}” (#{integration.remote_id}) at {conf().BASE_URL}, {api_name}.")
        if created and not integration.is_active:
            self.warn(
                "It is not in use, because another integration is: enter the countries or sites it is for in the "
                "admin, or let the adapter's get_integration() choose, and mark it as in use."
            )
        if integration.is_paused:
            self.resume(integration)
        if options["webhook"]:
            self.register_webhook(integration, base)

    # -- arguments ------------------------------------------------------------------------------

    def ask_secret(self) -> str:
        if not sys.stdin.isatty():
            raise CommandError(f"No secret key: set the environment variable SENDCLOUD_SECRET_KEY. {WHERE}")
        return getpass.getpass("Secret key (it is not shown): ").strip()

    def webhook_base(self, options: dict[str, Any]) -> str:
        base = str(options["webhook_url"] or conf().WEBHOOK_BASE_URL)
        if base and (urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname):
            raise CommandError(f"--webhook-url {base}: give an address such as https://shop.example.")
        return base

    def generation(self, option: str | None) -> ApiGeneration | None:
        """Return the API generation a person chose, by option or environment."""
        value = option or os.environ.get("SENDCLOUD_API_GENERATION", "")
        if not value:
            return None
        try:
            return ApiGeneration(value)
        except ValueError:
            raise CommandError(f"SENDCLOUD_API_GENERATION is {value!r}: give v2 or v3.") from None

    def candidate(self, wanted: int | None, auth: str | None) -> Integration:
        """Return the integration as it may be stored already, for asking Sendcloud with other keys."""
        stored = Integration.objects.filter(remote_id=wanted).first() if wanted else None
        candidate = Integration(remote_id=wanted or 1, auth_scheme=stored.auth_scheme if stored else "basic")
        if auth:
            candidate.auth_scheme = auth
        return candidate

    # -- Sendcloud ------------------------------------------------------------------------------

    def ask(self, candidate: Integration, api: ApiGeneration | None) -> Opened:
        """Return the integrations the keys open, and the API generation for them (operation: GET /integrations)."""
        try:
            return open_keys(candidate, api)
        except AuthenticationError as error:
            hint = "Try --auth oauth2. " if error.oauth2_required else ""
            raise CommandError(f"Sendcloud rejects these keys. {hint}{WHERE} ({error})") from None
        except APIError as error:
            raise CommandError(f"Sendcloud could not be asked, and nothing was stored. {error}") from None
        except SendcloudConfigurationError as error:
            raise CommandError(str(error)) from None

    def choose(self, found: list[RemoteIntegration], wanted: int | None) -> RemoteIntegration:
        names = ", ".join(f"#{remote.id} “{remote.shop_name}”" for remote in found)
        if not found:
            raise CommandError("The keys are right, but the account has no integration. Make one in Sendcloud's panel.")
        if wanted is None:
            if len(found) > 1:
                raise CommandError(f"The keys open several integrations: choose one with --integration-id: {names}.")
            return found[0]
        for remote in found:
            if remote.id == wanted:
                return remote
        raise CommandError(f"The keys are right, but do not open the integration #{wanted}. They open: {names}.")

    def store(
        self, candidate: Integration, remote: RemoteIntegration, api: ApiGeneration | None
    ) -> tuple[Integration, bool]:
        rows = Integration.objects
        integration = rows.filter(remote_id=remote.id).first()
        created = integration is None
        if integration is None:
            integration = candidate
            integration.remote_id = remote.id
            # A second one must not stop the orders of the first.
            others = list(rows.active())
            integration.is_active = not others or adapters_route() or is_routed(others)
        else:
            if api is not None and api.value != integration.api_generation:
                raise CommandError(
                    f"{integration} uses API {integration.api_generation}. Move it with: manage.py sendcloud_move --to "
                    f"{api.value} --integration {integration.remote_id}"
                )
            integration.public_key, integration.auth_scheme = candidate.public_key, candidate.auth_scheme
            if _reveal(integration.secret_key) != _reveal(candidate.secret_key):
                integration.replace_secret_key(_reveal(candidate.secret_key))
        integration.apply_remote(remote)
        # A person who enters keys here says that this deployment ships.
        integration.deployment = current_deployment()
        keys = [
            "public_key",
            "auth_scheme",
            "secret_key",
            "previous_secret_key",
            "previous_secret_key_until",
            "deployment",
        ]
        # Workers write into this row, too: what was not changed here is not written back.
        integration.save(using=conf().DATABASE, update_fields=None if created else [*keys, *Integration.REMOTE_FIELDS])
        return integration, created

    def resume(self, integration: Integration) -> None:
        if integration.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE, PauseReason.COPY):
            integration.resume()
            self.say("It was paused, and runs again.")
        else:
            reason = integration.get_paused_reason_display()
            self.warn(f"It is paused ({reason}), and stays so: resume it in the admin.")

    def register_webhook(self, integration: Integration, base: str) -> None:
        if not integration.webhook_path():
            self.warn('No webhook: add path("sendcloud/", include("django_sendcloud.urls")) to the urlpatterns.')
            return
        address = integration.webhook_address(base)
        if not address:
            self.warn("No webhook: say where Sendcloud reaches this shop with --webhook-url https://shop.example.")
            return
        if integration.webhook_active and integration.webhook_url == address:
            self.say(f"Webhook: parcels are reported to {address} already.")
            return
        try:
            integration.change_at_sendcloud(webhook_active=True, webhook_url=address)
        except APIError as error:
            raise CommandError(f"The integration is connected; its webhook could not be registered. {error}") from None
        if not integration.webhook_active or integration.webhook_url != address:
            raise CommandError(
                f"Sendcloud accepted the webhook, but says that it goes to {integration.webhook_url or 'nowhere'}."
            )
        self.say(f"Webhook: parcels are reported to {address}, Sendcloud confirms.")
        for warning in reachability(address):
            self.warn(str(warning))

    def say(self, text: str) -> None:
        self.stdout.write(self.style.SUCCESS(text))

    def warn(self, text: str) -> None:
        self.stderr.write(self.style.WARNING(text))


def _reveal(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""


def _environment_id() -> int | None:
    value = os.environ.get("SENDCLOUD_INTEGRATION_ID", "")
    if value and not value.isdigit():
        raise CommandError(f"SENDCLOUD_INTEGRATION_ID is {value!r}: it must be a number.")
    return int(value) if value else None
