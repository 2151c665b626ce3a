"""WSGI application of the webhook benchmark: the test project's, with two views to compare ours with."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Read the body, and nothing else: the limit."""
    assert request.body
    return HttpResponse("ok")


@csrf_exempt
def usual(request: HttpRequest) -> HttpResponse:
    """Verify a webhook and immediately update its parcel: the baseline."""
    from django_sendcloud.models import Integration, Parcel

    integration = Integration.objects.get()
    made = hmac.new(integration.secret_key.reveal().encode(), request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made, request.headers.get("Sendcloud-Signature", "")):
        return HttpResponse(status=403)
    parcel = json.loads(request.body)["parcel"]
    Parcel.objects.update_or_create(
        integration=integration,
        remote_id=parcel["id"],
        defaults={"status_id": parcel["status"]["id"], "tracking_number": parcel["tracking_number"]},
    )
    return JsonResponse({"detail": "ok"})


def _serve() -> Any:
    served = get_wsgi_application()
    from tests import urls

    urls.urlpatterns += [path("bare/", bare), path("usual/", usual)]
    # As production keeps them: one connection, kept.
    connections["default"].settings_dict["CONN_MAX_AGE"] = None
    return served


application = _serve()
