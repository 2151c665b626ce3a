"""A strict Content-Security-Policy, with what the service point picker needs and nothing more."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from django_sendcloud.storefront.service_points import csp_sources


def content_security_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Send a content security policy. Django 6 and django-csp have a middleware that does more."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        picker = csp_sources()
        response.headers["Content-Security-Policy"] = "; ".join(
            (
                "default-src 'self'",
                f"script-src 'self' {picker['script-src']}",
                f"frame-src {picker['frame-src']}",
                "img-src 'self' data:",
                "style-src-attr 'unsafe-inline'",  # the colours of the products
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )
        return response

    return middleware
