"""The shop's addresses."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("sendcloud/", include("django_sendcloud.urls")),
    path("", include("shop.urls")),
]
