from django.contrib import admin
from django.urls import include, path

from tests.admin import backoffice, desk

urlpatterns = [
    path("admin/", admin.site.urls),
    path("backoffice/", backoffice.site.urls),
    path("desk/", include(desk.urlpatterns)),
    path("sendcloud/", include("django_sendcloud.urls")),
]
