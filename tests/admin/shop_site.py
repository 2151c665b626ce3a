"""Admin site of a shop, with our mixin in the admin classes of its orders: plain, and with every override."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.urls import path

from django_sendcloud.admin import SendcloudOrderAdmin, register
from tests.shop.models import Customer, Order, OrderLine, OrderProxy, Unrelated, WholesaleOrder

site = admin.AdminSite(name="backoffice")
register(site)


@admin.register(Order, site=site)
class OrderAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    """Order admin with the mixin and nothing else."""


@admin.register(OrderProxy, site=site)
class OpinionatedAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    """Order admin of a shop that sets everything itself."""

    list_display = ["number", "shouted", "status"]
    list_filter = ["status"]
    list_editable = ["status"]
    list_per_page = 100
    show_facets = admin.ShowFacets.ALWAYS
    actions = ["cancel"]
    fieldsets = [("Mine alone", {"fields": ["number", "status"]})]
    change_form_template = "tests/shop_change_form.html"

    class Media:
        css = {"all": ["shop/own.css"]}

    @admin.display(description="shouted")
    def shouted(self, order: Order) -> str:
        return order.number.upper() + "!"

    @admin.action(description="Cancel them")
    def cancel(self, request: Any, orders: Any) -> None:
        orders.update(status="cancelled")

    def get_list_display(self, request: Any) -> Any:
        return [*super().get_list_display(request), "city"]

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).exclude(number__startswith="HIDDEN")

    def get_urls(self) -> Any:
        return [path("own-page/", self.admin_site.admin_view(self.changelist_view)), *super().get_urls()]


class LineInline(admin.TabularInline):
    model = OrderLine


@admin.register(WholesaleOrder, site=site)
class WholesaleAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    inlines = [LineInline]
    list_display = ["number", "status", "sendcloud_state"]
    list_filter = ["status"]
    actions = None

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(js=["shop/own.js"])


@admin.register(Customer, site=site)
class CustomerAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    """Integer keys, and no adapter unless a test registers one."""


@admin.register(Unrelated, site=site)
class UnrelatedAdmin(admin.ModelAdmin):
    pass
