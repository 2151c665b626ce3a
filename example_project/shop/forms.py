"""The checkout: who buys what, and where it goes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction

from django_sendcloud.storefront.forms import ServicePointField

from .models import Customer, Order, OrderLine, Product

COUNTRIES = [
    ("NL", "Netherlands"), ("BE", "Belgium"), ("DE", "Germany"), ("FR", "France"), ("ES", "Spain"), ("IT", "Italy"),
    ("AT", "Austria"), ("GB", "United Kingdom"), ("CH", "Switzerland"), ("US", "United States"),
]  # fmt: skip


class CheckoutForm(forms.Form):
    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    company = forms.CharField(
        max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "organization"})
    )
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    phone = forms.CharField(max_length=40, required=False, widget=forms.TextInput(attrs={"autocomplete": "tel"}))
    street = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "address-line1"}))
    house_number = forms.CharField(max_length=20, required=False)
    postal_code = forms.CharField(max_length=20, widget=forms.TextInput(attrs={"autocomplete": "postal-code"}))
    city = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "address-level2"}))
    state = forms.CharField(max_length=10, required=False, help_text="Where the country has them, e.g. CA.")
    country = forms.ChoiceField(choices=COUNTRIES)
    delivery = forms.ChoiceField(choices=Order.Delivery.choices)
    service_point = ServicePointField(when={"delivery": Order.Delivery.SERVICE_POINT})

    def __init__(self, *args: Any, products: list[Product], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.products = products

    def quantity(self, product: Product) -> int:
        value = self.data.get(f"quantity-{product.pk}", "") if self.is_bound else ""
        return min(int(value), 99) if value.isdigit() else 0

    def rows(self) -> list[tuple[Product, int]]:
        return [(product, self.quantity(product)) for product in self.products]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not any(quantity for _, quantity in self.rows()):
            raise forms.ValidationError("Your basket is empty: choose how many you would like of something.")
        return data

    @transaction.atomic
    def place(self) -> Order:
        data = self.cleaned_data
        customer = Customer.objects.create(**{key: data[key] for key in ("name", "company", "email", "phone")})
        address = ("street", "house_number", "postal_code", "city", "state", "country", "delivery")
        point = data["service_point"]
        order = Order.objects.create(
            customer=customer,
            service_point=point.to_json() if point else None,
            **{key: data[key] for key in address},
        )
        for product, quantity in self.rows():
            if quantity:
                OrderLine.objects.create(order=order, product=product, quantity=quantity, unit_price=product.price)
        return order
