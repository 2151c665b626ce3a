from django.urls import include, path

urlpatterns = [path("sendcloud/", include("django_sendcloud.urls"))]
