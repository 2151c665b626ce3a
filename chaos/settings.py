"""The example shop's settings, for the processes of a chaos run: with a queue of its own, and a clock that steps."""

import os

from . import clock

clock.install(os.environ.get("CHAOS_CLOCK", ""))

if os.environ.get("DATABASE_URL", "").startswith("mysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

from example.settings import *  # noqa: E402, F403
from example.settings import DATABASES  # noqa: E402

# A connection that hangs is the fault that is played; one that cannot be made has to be given up soon.
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 2}
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CHAOS_QUEUE", "chaos")
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
