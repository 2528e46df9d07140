"""Settings of a Django project on PostgreSQL."""

import os
from typing import Any
from urllib.parse import urlsplit

_url = urlsplit(os.environ["SHOP_DATABASE"])
SECRET_KEY = "for tests"
INSTALLED_APPS = ["django.contrib.contenttypes"]
USE_TZ = True
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": _url.username or "",
        "PASSWORD": _url.password or "",
        "HOST": _url.hostname or "",
        "PORT": str(_url.port or ""),
        "CONN_MAX_AGE": int(os.environ["SHOP_CONN_MAX_AGE"]),
        "OPTIONS": {"application_name": "shop"},
    }
}
