from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("salesman.urls")),
    path("sendcloud/", include("django_sendcloud.urls")),
]
