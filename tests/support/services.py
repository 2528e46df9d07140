"""Where the tests find Redis, RabbitMQ, PostgreSQL and MySQL, and a part of each that no other test writes to.

A service is looked for in this order: the address in `DRAWBAR_TEST_<SERVICE>_URL`, the usual port on
loopback, a private server of this test session (not of MySQL). Where none of them answers, a test that needs
it is skipped on a laptop and fails where `CI` is set, so that a pipeline without its services is never green.

A corner is a Redis database, a PostgreSQL or MySQL database, a RabbitMQ virtual host. It is empty when a test gets it
and gone after. Several test sessions may share a server, and data that no test wrote is never touched.
"""

import atexit
import contextlib
import fcntl
import functools
import os
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.servers import (
    PrivatePostgres,
    PrivateRabbitMQ,
    PrivateRedis,
    PrivateServer,
    Unavailable,
    find_program,
)

REDIS_DATABASES = 16
USUAL = {
    "redis": "redis://127.0.0.1:6379",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672",
    "postgres": "postgresql://postgres@127.0.0.1:5432/test",
    "mysql": "mysql://root@127.0.0.1:3306",
}
SERVICE_OF_SCHEME = {"amqp": "rabbitmq", "redis": "redis", "mysql": "mysql", "mariadb": "mysql"}
PRIVATE: dict[str, type[PrivateServer]] = {
    "redis": PrivateRedis,
    "rabbitmq": PrivateRabbitMQ,
    "postgres": PrivatePostgres,
}


def require(service: str) -> str:
    """Return the URL of a running `redis`, `rabbitmq`, `postgres` or `mysql`; without one, skip, or fail on CI."""
    try:
        return find(service)
    except Unavailable as error:
        refuse(f"needs {service}: {error}")


def private(service: type[PrivateServer]) -> PrivateServer:
    """Return a server of the test's own, not yet started; without its program, skip, or fail on CI."""
    try:
        return service()
    except Unavailable as error:
        refuse(f"needs a private {service.name}: {error}")


def refuse(reason: str) -> NoReturn:
    """Skip the test on a laptop, fail it on CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


running: dict[str, PrivateServer] = {}


@functools.cache
def find(service: str) -> str:
    """Return the URL of a running service, starting a private one if there is no other.

    Raises:
        Unavailable: None answers and none can be started.
    """
    variable = f"DRAWBAR_TEST_{service.upper()}_URL"
    if given := os.environ.get(variable):
        if not _listens(given):
            raise Unavailable(f"nothing answers at {variable}={given}")
        return given.rstrip("/")
    if _listens(USUAL[service]):
        return USUAL[service]
    if service not in PRIVATE:
        raise Unavailable(f"{variable} is not set, and nothing answers at {USUAL[service]}")
    try:
        server = PRIVATE[service]()
        atexit.register(server.__exit__)
        server.__enter__()
    except Unavailable as error:
        msg = f"{variable} is not set, nothing answers at {USUAL[service]}, and {error}"
        raise Unavailable(msg) from error
    running[server.url] = server
    return server.url


@contextlib.contextmanager
def redis_database() -> Iterator[str]:
    """Give the URL of an empty Redis database, emptied again afterwards."""
    import redis

    url = require("redis")
    for number in range(1, REDIS_DATABASES):
        mine = _with_path(url, str(number))
        with _claim(f"redis-{_place(url)}-{number}") as claim, redis.Redis.from_url(mine) as client:
            if claim is None:
                continue  # another test's, just now
            if client.dbsize() and not claim.read():
                continue  # not written by a test
            client.flushdb()
            _note(claim, "in use")  # so that what a killed session leaves behind is known as a test's
            try:
                yield mine
            finally:
                client.flushdb()
                _note(claim, "")
            return
    refuse(f"every database of {url} is in use or holds data")


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """Give the URL of a new PostgreSQL database, dropped afterwards with whoever is still connected."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    url = require("postgres")
    name = Identifier(f"drawbar_test_{os.getpid()}_{uuid.uuid4().hex[:8]}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(name))
        try:
            yield _with_path(url, name.as_string().strip('"'))
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@contextlib.contextmanager
def mysql_database() -> Iterator[str]:
    """Give the URL of a new MySQL or MariaDB database, dropped afterwards."""
    import pymysql

    url = require("mysql")
    parts = urlsplit(url)
    name = f"drawbar_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        autocommit=True,
    ) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
        try:
            yield _with_path(url, name)
        finally:
            connection.cursor().execute(f"DROP DATABASE {name}")


@contextlib.contextmanager
def rabbitmq_vhost() -> Iterator[str]:
    """Give the URL of a new RabbitMQ virtual host, deleted afterwards.

    Where this machine may not administer the broker, the URL as found: name queues after `unique_name()`.
    """
    url = require("rabbitmq")
    name = unique_name()
    user = urlsplit(url).username or "guest"
    allow = ("set_permissions", "-p", name, user, ".*", ".*", ".*")
    if not (_control(url, "add_vhost", name) and _control(url, *allow)):
        yield url
        return
    try:
        yield _with_path(url, name)
    finally:
        _control(url, "delete_vhost", name)


def unique_name(stem: str = "drawbar-test") -> str:
    """Return a name that no other test, session or machine uses: for queues, prefixes, run ids."""
    return f"{stem}-{uuid.uuid4().hex[:12]}"


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}-{parts.port}"


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    usual = urlsplit(USUAL[SERVICE_OF_SCHEME.get(parts.scheme, "postgres")]).port
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or usual or 0), timeout=2).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _claim(name: str) -> Iterator[IO[str] | None]:
    """Hold a lock among this machine's test sessions, or give None; it goes when its process dies."""
    folder = Path(tempfile.gettempdir(), "drawbar-tests")
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        file.seek(0)
        yield file


def _note(claim: IO[str], text: str) -> None:
    claim.truncate(0)
    claim.write(text)
    claim.flush()


def _control(url: str, *arguments: str) -> bool:
    """Run `rabbitmqctl` on the node behind the URL; False if this machine may not."""
    server = running.get(url)
    try:
        if isinstance(server, PrivateRabbitMQ):
            server.control(*arguments)
        elif url.startswith(USUAL["rabbitmq"]):
            subprocess.run(
                [find_program("rabbitmqctl"), "--quiet", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=30,
            )
        else:
            return False
    except (Unavailable, subprocess.SubprocessError, OSError):
        return False
    return True
