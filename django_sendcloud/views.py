"""Views for Sendcloud's webhooks and for monitors.

The order of the checks matters: the size, then the raw bytes, then the signature, and only then anything else. A body
that is not verified is neither stored nor parsed nor logged.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpResponse, HttpResponseNotAllowed
from django.http.request import HttpRequest, RawPostDataException, UnreadablePostError
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .conf import SendcloudConfigurationError, lenient_conf
from .core.transactions import outside_transactions
from .diagnostics.metrics import MetricsMissing, exposition
from .hidden import HiddenBytes, HiddenStr
from .models import Integration
from .webhooks import credentials, inbox, selftest, signature

logger = logging.getLogger("django_sendcloud.webhooks")

# The columns that verify a webhook. Reading all of them takes half a millisecond longer, of two for the whole webhook.
_NEEDED = (
    "remote_id",
    "secret_key",
    "previous_secret_key",
    "previous_secret_key_until",
    "webhook_signature_key",
    "keys_by_webhook_until",
)


class _AlwaysJson(BaseContentNegotiation):
    """Answers JSON, whatever the ``Accept`` header says."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


@method_decorator([outside_transactions, csrf_exempt, login_not_required], name="dispatch")
class WebhookView(APIView):
    """Endpoint for one signed webhook: stores it and answers immediately; a worker applies it.

    | answer | when |
    | --- | --- |
    | 200 | it is kept, or was already; also if it cannot be read, since sending it again would not help |
    | 200 | the shop tries its own address: it is not kept |
    | 403 | the signature is missing or wrong |
    | 404 | no integration has this address |
    | 405 | it was no POST |
    | 411, 413 | the length is missing, or too large |
    | 503 | it could not be kept: Sendcloud sends it again |
    """

    http_method_names = ["post"]
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    parser_classes = ()
    renderer_classes: tuple[type[BaseRenderer], ...] = (JSONRenderer,)
    content_negotiation_class = _AlwaysJson
    versioning_class = None
    schema = None

    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Take one webhook."""
        length = _content_length(request._request)
        if length is None:
            return _answer(411, "Content-Length is required.")
        if length > lenient_conf().WEBHOOK_MAX_BYTES:
            return _answer(413, "The body is too large.")
        # Before anything is asked for that may fail: Sentry reads the body of a request if the view has not read it.
        raw = _body(request._request, length)
        try:
            integration = Integration.objects.only(*_NEEDED).get(webhook_key=key)
            secrets = integration.webhook_secrets()
        except Integration.DoesNotExist:
            return _answer(404, "Not found.")
        except (Error, SendcloudConfigurationError) as error:
            logger.error("A webhook could not be verified (%s).", type(error).__name__)
            return _answer(503, "Try again later.")
        header = HiddenStr(request.headers.get(signature.HEADER) or "")
        brings_keys = raw is not None and credentials.are_offered(integration, raw, header)
        if raw is None or not (brings_keys or signature.verify(raw, header, secrets)):
            logger.warning("A webhook for integration %s was not signed as it should be.", integration.remote_id)
            return _answer(403, selftest.NOT_SIGNED)
        if proof := selftest.answer(raw, secrets):
            return Response({"detail": "ok", "proof": proof})
        try:
            inbox.store(integration, raw, keep_keys=brings_keys)
        except Error as error:
            logger.error("A webhook could not be kept (%s).", type(error).__name__)
            return _answer(503, "Try again later.")
        return _answer(200, "ok")


def _answer(status: int, detail: str) -> Response:
    return Response({"detail": detail}, status=status)


def _content_length(request: HttpRequest) -> int | None:
    """Return the announced length, ``None`` if there is none, as with a body in chunks."""
    value = request.META.get("CONTENT_LENGTH", "")
    if not value.isascii() or not value.isdigit() or request.META.get("HTTP_TRANSFER_ENCODING"):
        return None
    # int() refuses thousands of digits; that many are too large in any case.
    return int(value.lstrip("0")[:19] or 0)


def _body(request: HttpRequest, length: int) -> bytes | None:
    """Return the raw body, whatever ``DATA_UPLOAD_MAX_MEMORY_SIZE`` says; ``None`` if it cannot be read."""
    try:
        if hasattr(request, "_body"):
            return HiddenBytes(request.body)
        return HiddenBytes(request.read(length))
    except (RawPostDataException, UnreadablePostError, OSError):
        return None


@outside_transactions
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a monitor with the metrics, in the text format of Prometheus.

    It needs ``SENDCLOUD["METRICS_TOKEN"]`` as a bearer token, or a log-in with the permission to view integrations.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not _may_read_metrics(request):
        answer = HttpResponse("A token is needed.\n", status=401, content_type="text/plain")
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    try:
        text, content_type = exposition()
    except MetricsMissing as error:
        return HttpResponse(f"{error}\n", status=501, content_type="text/plain")
    except (Error, SendcloudConfigurationError) as error:
        logger.error("The metrics could not be read (%s).", type(error).__name__)
        return HttpResponse("Try again later.\n", status=503, content_type="text/plain")
    answer = HttpResponse(text, content_type=content_type)
    answer["Cache-Control"] = "no-store"
    return answer


def _may_read_metrics(request: HttpRequest) -> bool:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    try:
        token = lenient_conf().METRICS_TOKEN
    except SendcloudConfigurationError:
        token = ""
    if token and scheme.lower() == "bearer" and constant_time_compare(sent.strip(), token):
        return True
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.has_perm("django_sendcloud.view_integration")
