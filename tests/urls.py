from django.contrib import admin
from django.urls import include, path

from tests.admin import other_backoffice, shop_site

urlpatterns = [
    path("admin/", admin.site.urls),
    path("backoffice/", shop_site.site.urls),
    path("other-backoffice/", include(other_backoffice.urlpatterns)),
    path("sendcloud/", include("django_sendcloud.urls")),
]
