from django.contrib import admin

from django_sendcloud.admin import SendcloudOrderAdmin

from .models import Customer, Order, OrderLine, Product


class OrderLineInline(admin.TabularInline):
    model = OrderLine
    extra = 0


@admin.register(Order)
class OrderAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
    list_display = ["number", "customer", "country", "status", "placed_at"]
    list_filter = ["status", "country"]
    search_fields = ["number", "customer__name", "customer__email"]
    list_select_related = ["customer"]
    inlines = [OrderLineInline]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "sku", "price", "weight_grams", "hs_code", "origin_country"]
    search_fields = ["name", "sku"]


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["name", "company", "email"]
    search_fields = ["name", "company", "email"]
