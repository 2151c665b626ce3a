"""The example shop's settings, for the processes of a chaos run: with a queue of its own, and a clock that steps."""

import os

import dj_database_url

from . import clock

clock.install(os.environ.get("CHAOS_CLOCK", ""))

if os.environ.get("DATABASE_URL", "").startswith("mysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

from example.settings import *  # noqa: E402, F403
from example.settings import DATABASES  # noqa: E402

# A connection that hangs is the fault that is played; one that cannot be made has to fail soon.
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 2}
if replica := os.environ.get("CHAOS_REPLICA"):
    DATABASES["replica"] = {**dj_database_url.parse(replica), "OPTIONS": {"connect_timeout": 2}}
    DATABASE_ROUTERS = ["tests.chaos.replica.Router"]
# As many shops have it: whatever runs within a request must not hold its transaction open.
DATABASES["default"]["ATOMIC_REQUESTS"] = True
ROOT_URLCONF = "tests.chaos.urls"
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CHAOS_QUEUE", "chaos")
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
