"""Our admin with django-unfold: ``/admin/`` as it is after a plain install, ``/styled/`` with its ``ModelAdmin`` as well."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from unfold.admin import ModelAdmin, TabularInline
from unfold.sites import UnfoldAdminSite

from django_sendcloud.admin import SendcloudOrderAdmin, register
from tests.shop.models import Order, OrderLine, OrderProxy


class LineInline(TabularInline):
    model = OrderLine
    extra = 0


class OrderAdmin(SendcloudOrderAdmin, ModelAdmin):
    """As an unfold shop has its own admin, with one word more."""

    inlines = [LineInline]


class PlainOrderAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    """As a shop has it that installed the theme and changed nothing."""


styled = UnfoldAdminSite(name="styled")
ours = admin.AdminSite()
register(ours)
for model, registered in ours._registry.items():
    # Not type(registered): the registry's object is a stand-in until its page is first used.
    base = registered.__class__
    styled.register(model, type(f"Styled{base.__name__}", (base, ModelAdmin), {}))
for site in (styled, admin.site):
    site.register(Order, OrderAdmin)
    site.register(OrderProxy, PlainOrderAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("styled/", styled.urls),
    path("sendcloud/", include("django_sendcloud.urls")),
]
