import uuid

from django.db import models
from modelcluster.fields import ParentalKey
from modelcluster.models import ClusterableModel
from wagtail.models import Page


class Order(ClusterableModel):
    number = models.CharField(max_length=20, unique=True)
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    is_paid = models.BooleanField(default=False)
    name = models.CharField(max_length=100)
    street = models.CharField(max_length=100)
    postal_code = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2, default="NL")
    placed_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(auto_now=True)

    def __str__(self):
        return self.number


class Line(models.Model):
    order = ParentalKey(Order, on_delete=models.CASCADE, related_name="lines")
    title = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=9, decimal_places=2)
    weight_grams = models.PositiveIntegerField()
    quantity = models.PositiveIntegerField(default=1)


class TrackingPage(Page):
    """The page that the shop's mails lead to: ``?order=`` and the order's token."""

    def get_context(self, request):
        try:
            order = Order.objects.filter(token=uuid.UUID(request.GET.get("order", ""))).first()
        except ValueError:
            order = None
        return {**super().get_context(request), "order": order}
