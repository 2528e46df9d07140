"""The services of the tests: isolated from one another, never a reason for a false green."""

import pytest

from tests.support import services
from tests.support.servers import PrivatePostgres, PrivateRedis, PrivateServer, Unavailable


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(service: str) -> str:
        raise Unavailable(f"no {service} in this test")

    monkeypatch.setattr(services, "find", find)


@pytest.mark.usefixtures("nothing_runs")
def test_a_missing_service_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="needs redis: no redis in this test"):
        services.require("redis")


@pytest.mark.usefixtures("nothing_runs")
def test_a_missing_service_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="needs redis"):
        services.require("redis")


def test_an_address_that_was_given_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWBAR_TEST_REDIS_URL", "redis://127.0.0.1:1")

    with pytest.raises(Unavailable, match="nothing answers at DRAWBAR_TEST_REDIS_URL="):
        services.find.__wrapped__("redis")


def test_a_service_that_is_never_started_is_looked_for_at_its_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAWBAR_TEST_MYSQL_URL", raising=False)
    monkeypatch.setitem(services.USUAL, "mysql", "mysql://127.0.0.1:1")

    with pytest.raises(Unavailable, match="DRAWBAR_TEST_MYSQL_URL is not set, and nothing answers at mysql://"):
        services.find.__wrapped__("mysql")


def test_a_private_server_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAWBAR_TEST_REDIS_URL", raising=False)
    monkeypatch.setitem(services.USUAL, "redis", "redis://127.0.0.1:1")
    services.private(PrivateRedis)  # skips, or fails on CI, where there is no program

    url = services.find.__wrapped__("redis")

    assert url == services.running[url].url
    services.running[url].__exit__()


def test_redis_databases_are_disjoint_and_left_empty() -> None:
    redis = pytest.importorskip("redis", reason="comes with the plugins that need it")
    with services.redis_database() as first, services.redis_database() as second:
        assert first != second
        with redis.Redis.from_url(first) as one, redis.Redis.from_url(second) as two:
            one.set("key", "value")
            assert two.get("key") is None

    with redis.Redis.from_url(first) as one:
        assert one.get("key") is None


def test_a_redis_database_with_data_of_others_is_left_alone() -> None:
    redis = pytest.importorskip("redis", reason="comes with the plugins that need it")
    with services.redis_database() as url:
        pass
    with redis.Redis.from_url(url) as client:
        client.set("not", "a test's")
        try:
            with services.redis_database() as other:
                assert other != url
            assert client.get("not") == b"a test's"
        finally:
            client.delete("not")


def test_postgres_databases_are_disjoint_and_dropped() -> None:
    psycopg = pytest.importorskip("psycopg", reason="comes with the plugin that needs it")
    with services.postgres_database() as first, services.postgres_database() as second:
        assert first != second
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE t ()")

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)


@pytest.mark.parametrize("kind", [PrivateRedis, PrivatePostgres])
def test_a_private_server_outlives_its_own_death(kind: type[PrivateServer]) -> None:
    if kind is PrivatePostgres:
        pytest.importorskip("psycopg", reason="comes with the plugin that needs it")
    with services.private(kind) as server:
        url, pid = server.url, server.pid

        server.kill()
        server.start()

        assert (server.url, server.pid) == (url, server.pid)
        assert server.pid != pid
    assert not server.folder.exists()
