"""Settings of the test project. ``TEST_DATABASE_URL`` chooses the database; SQLite in a file by default."""

from __future__ import annotations

import json
import os
import tempfile

import dj_database_url
import django

SECRET_KEY = "a-key-for-tests-only-0123456789-0123456789-0123456789"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "Europe/Amsterdam"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_sendcloud",
    "tests.shop",
    "tests.recipes",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
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
            ],
        },
    }
]
STATIC_URL = "/static/"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

_url = os.environ.get("TEST_DATABASE_URL", "")
if _url:
    DATABASES = {"default": dj_database_url.parse(_url)}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("TEST_SQLITE", ":memory:"),
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
            },
            # A file: what is in memory has one connection for all threads, those of the browser tests' server as well,
            # and transactions of two threads on one connection belong to neither.
            "TEST": {"NAME": os.path.join(tempfile.gettempdir(), f"sendcloud-tests-{os.getpid()}.sqlite3")},
        }
    }
if not DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A name of its own for each process, because several checkouts and their workers share one server.
    DATABASES["default"]["TEST"] = {"NAME": f"test_sendcloud_{os.getpid()}"}
if DATABASES["default"]["ENGINE"].endswith("mysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

# As Django's documentation says for connections that are lent by the transaction.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = bool(os.environ.get("TEST_DISABLE_SERVER_SIDE_CURSORS"))

# For shops whose orders live in a database of their own (tests/sync/test_databases.py).
DATABASES["elsewhere"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}

CELERY_BROKER_URL = os.environ.get("TEST_BROKER_URL", "memory://")
if queue := os.environ.get("TEST_QUEUE"):
    CELERY_TASK_DEFAULT_QUEUE = queue
    if CELERY_BROKER_URL.startswith("redis"):
        CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{queue}:"}
CELERY_TASK_ALWAYS_EAGER = False

SENDCLOUD: dict[str, object] = {
    "DEBOUNCE_SECONDS": 0,
    "UNSAFE_REQUESTS_PER_MINUTE": 1_000_000,
    "UNSAFE_BURST": 1_000_000,
    "SAFE_REQUESTS_PER_MINUTE": 1_000_000,
    "SAFE_BURST": 1_000_000,
    # Processes that tests start get their differences by the environment.
    **json.loads(os.environ.get("TEST_SENDCLOUD", "{}")),
}
