from django.urls import path

from . import views

app_name = "shop"

urlpatterns = [
    path("", views.storefront, name="storefront"),
    path("orders/<uuid:pk>/", views.order, name="order"),
    path("orders/<uuid:pk>/cancel/", views.cancel, name="cancel"),
]
