"""The store's URL."""

import pytest

from drawbar.errors import SettingsError
from drawbar_postgres import plugin
from drawbar_postgres.options import read_url
from tests.stores.postgres.conftest import make


def test_all_that_a_url_says() -> None:
    options = read_url(
        "postgresql://u%40x:p%2Fw@db.example:6543/app?schema=flows&pool_size=3&connect_timeout=2.5&timeout=7"
        "&synchronous_commit=off&prepared=no&listen=false&sslmode=require"
    )
    assert (options.hosts, options.ports, options.database) == (("db.example",), ("6543",), "app")
    assert (options.user, options.password, options.schema) == ("u@x", "p/w", "flows")
    assert (options.pool_size, options.connect_timeout, options.timeout) == (3, 2.5, 7)
    assert (options.synchronous_commit, options.prepared, options.listen) == ("off", False, False)
    info = options.conninfo()
    assert (info["sslmode"], info["password"], info["connect_timeout"]) == ("require", "p/w", 3)


def test_what_a_url_leaves_out() -> None:
    options = read_url("postgres://localhost")
    assert (options.hosts, options.ports, options.database) == (("localhost",), ("5432",), None)
    assert (options.schema, options.pool_size, options.user) == ("drawbar", 5, None)
    assert "user" not in options.conninfo()
    assert "host" not in read_url("postgresql:///app").conninfo()


@pytest.mark.parametrize(
    ("places", "hosts", "ports"),
    [
        ("[::1]:6000", ("::1",), ("6000",)),
        ("[::1]", ("::1",), ("5432",)),
        ("one:1,two:2,three", ("one", "two", "three"), ("1", "2", "5432")),
        (":7000", ("localhost",), ("7000",)),
    ],
)
def test_places(places: str, hosts: tuple[str, ...], ports: tuple[str, ...]) -> None:
    options = read_url(f"postgresql://u@{places}/app")
    assert (options.hosts, options.ports) == (hosts, ports)
    assert options.conninfo()["host"] == ",".join(hosts)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("pool=3", "has no option 'pool'. The options are: .*pool_size"),
        ("password=x", "has no option 'password'"),
        ("pool_size=0", "option 'pool_size' of the store's URL is '0': expected a number from 1 to 1000"),
        ("pool_size=many", "option 'pool_size'"),
        ("timeout=-1", "option 'timeout'.*more than 0"),
        ("connect_timeout=soon", "option 'connect_timeout'"),
        ("schema=a.b", "option 'schema'.*lower-case letters"),
        ("schema=pg_mine", "option 'schema'"),
        ("schema=" + "x" * 49, "option 'schema'"),
        ("synchronous_commit=maybe", "option 'synchronous_commit'.*remote_apply"),
        ("listen=perhaps", "option 'listen'.*true or false"),
    ],
)
def test_wrong_options_are_named(query: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        plugin.create(f"postgresql://localhost/app?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@host:port/app",
        "postgresql://u:secret@host:0/app",
        "postgresql://u:secret@host:99999/app",
        "postgresql://u:secret@[::1/app",
        "postgresql://u:secret@host/app/more",
        "postgresql://u:secret@host/app?nope=1",
        "mysql://u:secret@host/app",
        "postgresql:u:secret@host",
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plugin.create(url)
    assert "secret" not in str(caught.value)


def test_nothing_shows_the_password() -> None:
    store = make("postgresql://u:secret@host/app")
    shown = [repr(store), repr(store.options), store.options.where, store.options.url]
    assert not any("secret" in text for text in shown)
    assert "host:5432" in repr(store)
    assert store.options.url == "postgresql://u:****@host:5432/app"


def test_making_a_store_connects_nowhere() -> None:
    assert make("postgresql://nowhere.invalid/app")._process_state is None
