from django.urls import reverse
from wagtail import hooks
from wagtail.admin.menu import MenuItem
from wagtail.admin.panels import FieldPanel, InlinePanel
from wagtail.admin.viewsets.model import ModelViewSet

from .models import Order


class OrderViewSet(ModelViewSet):
    model = Order
    icon = "clipboard-list"
    add_to_admin_menu = True
    list_display = ["number", "name", "is_paid"]
    search_fields = ["number", "name"]
    inspect_view_enabled = True
    inspect_template_name = "shop/inspect_order.html"
    panels = [
        FieldPanel("number"),
        FieldPanel("is_paid"),
        FieldPanel("name"),
        FieldPanel("street"),
        FieldPanel("postal_code"),
        FieldPanel("city"),
        FieldPanel("country"),
        InlinePanel("lines"),
    ]


class OverviewItem(MenuItem):
    def is_shown(self, request):
        return request.user.is_staff and request.user.has_perm("django_sendcloud.view_integration")


@hooks.register("register_admin_viewset")
def orders():
    return OrderViewSet("order")


@hooks.register("register_admin_menu_item")
def overview():
    return OverviewItem("Sendcloud", reverse("admin:django_sendcloud_overview_changelist"), icon_name="mail")
