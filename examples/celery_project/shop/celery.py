"""The shop's Celery app. For Drawbar, only the import and the call of `install` were added."""

import os

from celery import Celery

from drawbar_celery import install

app = Celery("shop", include=["shop.tasks"])
app.conf.broker_url = os.environ.get("SHOP_BROKER", "redis://localhost:6379/1")
app.conf.result_backend = os.environ.get("SHOP_RESULTS", "redis://localhost:6379/2")
app.conf.task_routes = {"shop.tasks.newsletter": {"queue": "mail"}}
app.conf.broker_transport_options = {"confirm_publish": True}

install(app)  # the app's workers now serve the queue `drawbar` too; its settings are in drawbar.toml
