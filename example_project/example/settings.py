"""Settings of the example shop: everything runs on one machine, without a server for the database or the broker.

From the environment: ``DATABASE_URL``, ``CELERY_BROKER_URL``, ``SENDCLOUD_BASE_URL`` (the sandbox's, to stay on this
machine), ``SECRET_KEY``, ``DEBUG``, ``ALLOWED_HOSTS``, ``EXAMPLE_DATA_DIR``. The commands read
``SENDCLOUD_PUBLIC_KEY``, ``SENDCLOUD_SECRET_KEY``, ``SENDCLOUD_INTEGRATION_ID``, and ``SENDCLOUD_API_GENERATION``
(``v2`` or ``v3``).
"""

import json
import os
from pathlib import Path

import dj_database_url
from kombu.transport import TRANSPORT_ALIASES

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("EXAMPLE_DATA_DIR") or BASE_DIR / ".data")
DATA_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-the-example-shop-never-for-a-real-one-0123456789")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_sendcloud",
    "shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "shop.csp.content_security_policy",
]
ROOT_URLCONF = "example.urls"
WSGI_APPLICATION = "example.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "/static/"
LANGUAGE_CODE = "en"
TIME_ZONE = "Europe/Amsterdam"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": dj_database_url.parse(os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'shop.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # The shop and its worker write at the same time: readers do not wait for writers, and writers wait their turn.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or "filesystem://"
if CELERY_BROKER_URL.startswith("filesystem://"):
    # A broker of files: enough for one machine, and nothing to install.
    TRANSPORT_ALIASES["filesystem"] = "example.broker:Transport"
    _broker = DATA_DIR / "broker"
    for _name in ("messages", "control"):
        (_broker / _name).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

SENDCLOUD = {
    "WEBHOOK_BASE_URL": os.environ.get("SHOP_URL", "http://127.0.0.1:8000"),
    # Any other setting, as JSON, to try one out.
    **json.loads(os.environ.get("SENDCLOUD_SETTINGS", "{}")),
}
if os.environ.get("SENDCLOUD_BASE_URL"):
    SENDCLOUD["BASE_URL"] = os.environ["SENDCLOUD_BASE_URL"]
if os.environ.get("SENDCLOUD_TOKEN_URL"):
    SENDCLOUD["TOKEN_URL"] = os.environ["SENDCLOUD_TOKEN_URL"]
if os.environ.get("SENDCLOUD_SERVICE_POINT_SCRIPT_URL"):
    SENDCLOUD["SERVICE_POINT_SCRIPT_URL"] = os.environ["SENDCLOUD_SERVICE_POINT_SCRIPT_URL"]
