"""Settings that engines on task queues share."""

from __future__ import annotations

from typing import Any, ClassVar, Self
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr, model_validator

from drawbar.errors import SettingsError
from drawbar.settings.masking import check_url
from drawbar.settings.models import EngineSettings


class QueueSettings(EngineSettings):
    """Base of the settings of engines on task queues, with the settings that all of them have.

    Attributes:
        project: Name of the setting for the project's own object. It is the word of the task queue: `app`, `broker`.
            The subclass declares a field of that name, and gets the object by `load_object`. Default: `app`.
        schemes: Schemes that `broker_url` may have. Default: empty, which allows all.
    """

    project: ClassVar[str] = "app"
    schemes: ClassVar[tuple[str, ...]] = ()

    broker_url: SecretStr | None = Field(None, description="URL of the broker.")
    queue: str = Field("drawbar", min_length=1, description="Queue of steps that name none with `queue=`.")
    queues: tuple[str, ...] | None = Field(
        None,
        description="Queues that this worker serves (`drawbar,gpu`). Default: that of `queue`. `[]`: none.",
    )

    @model_validator(mode="after")
    def _one_broker(self) -> Self:
        if self.project not in type(self).model_fields:  # projects on this task queue have no such object
            if self.broker_url is None:
                raise ValueError("set broker_url: it says where the broker is")
        elif (getattr(self, self.project) is None) == (self.broker_url is None):
            raise ValueError(
                f"set either broker_url or {self.project}: each of them says where the broker is"
            )
        if self.url is not None:
            try:
                check_url(self.url, "broker_url", several=True)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        scheme = (self.url or "").partition(":")[0]
        if self.url is not None and self.schemes and scheme not in self.schemes:
            raise ValueError(f"broker_url begins with {scheme}:, and not with one of {', '.join(self.schemes)}")
        return self

    @property
    def url(self) -> str | None:
        """The setting `broker_url` as text, with its password; None if it is not set.

        The virtual host of an AMQP URL is percent-encoded: task queues read slashes in it in different ways.
        """
        return None if self.broker_url is None else with_encoded_host(self.broker_url.get_secret_value())


def with_encoded_host(url: str) -> str:
    """Return the URL of an AMQP broker with its virtual host percent-encoded, and any other URL as it is.

    All after the first slash is the virtual host: `amqp://here//` means `/`, and so do `amqp://here/` and `amqp://here`.

    Args:
        url: URL of a broker.
    """
    base, slash, rest = url.partition("://")
    place, path_slash, path = rest.partition("/")
    if not (base.startswith("amqp") and slash and path) or "@" in path:
        return url
    host, *more = path.partition("?")
    return f"{base}://{place}{path_slash}{quote(unquote(host), safe='')}{''.join(more)}"


class AppSettings(QueueSettings):
    """Base of the settings of engines on task queues whose projects have an app object."""

    app: Any = Field(
        None, description="Your project's own app object (`package.module:name`); then no `broker_url`."
    )
    concurrency: int | None = Field(
        None, ge=1, description="Messages that a worker works on at once. Default: the task queue's own."
    )
