"""Settings of a shop with Salesman; with ``SHOP_SWAPS_ORDERS=1``, of one that has an order model of its own."""

from __future__ import annotations

import os
import tempfile

SECRET_KEY = "a-key-for-tests-only-0123456789-0123456789-0123456789"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.contrib.salesman.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "salesman.core",
    "salesman.basket",
    "salesman.checkout",
    "salesman.orders",
    "salesman.admin",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_sendcloud",
    "django_sendcloud.contrib.salesman",
    "tests.contrib.salesman.shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        "TEST": {"NAME": os.path.join(tempfile.gettempdir(), f"sendcloud-salesman-{os.getpid()}.sqlite3")},
    }
}
CELERY_BROKER_URL = "memory://"

SALESMAN_PRODUCT_TYPES = {
    "shop.Mug": "tests.contrib.salesman.shop.serializers.MugSerializer",
    "shop.Song": "tests.contrib.salesman.shop.serializers.SongSerializer",
}
SALESMAN_PAYMENT_METHODS = ["tests.contrib.salesman.shop.payment.PayAtOnce"]
SALESMAN_ORDER_SERIALIZER = "django_sendcloud.contrib.salesman.serializers.OrderSerializer"
if os.environ.get("SHOP_SWAPS_ORDERS") == "1":
    SALESMAN_ORDER_MODEL = "shop.ShopOrder"
    SALESMAN_ORDER_ITEM_MODEL = "shop.ShopOrderItem"
    SALESMAN_ORDER_STATUS = "tests.contrib.salesman.shop.status.Status"

SENDCLOUD: dict[str, object] = {}
