"""The options in the store's URL."""

import pytest

from drawbar.errors import SettingsError
from drawbar_redis import RedisStore, plugin
from drawbar_redis.options import Options, read_url


def test_a_url_with_all_parts() -> None:
    options = read_url("rediss://me:p%40ss@example.org:7000/3?prefix=app&shards=4&retention=86400&timeout=2.5")
    expected = Options(
        "example.org", 7000, 3, "me", "p@ss", tls=True, prefix="app", shards=4, retention=86400, timeout=2.5
    )
    assert options == expected
    assert options.location == "rediss://example.org:7000/3"


def test_left_out_parts_have_defaults() -> None:
    assert read_url("redis://") == Options()
    assert read_url("redis://localhost") == Options()
    assert read_url("redis://[::1]:7/1").location == "redis://[::1]:7/1"
    assert read_url("redis://?socket=/run/redis.sock").location == "/run/redis.sock (db 0)"


def test_the_password_is_not_shown() -> None:
    store = plugin.create("redis://me:secret@localhost/0")
    assert isinstance(store, RedisStore)
    assert "secret" not in f"{store!r} {store.options!r} {store.options.location}"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost", "redis:// or rediss://, not 'http'"),
        ("redis://localhost:port", "redis://**** cannot be taken apart for certain: its port is not a number"),
        ("redis://localhost/first", "'first' as its database, which must be a number"),
        ("redis://localhost?retain=1", "no option 'retain'. The options are: connect_timeout, prefix"),
        ("redis://localhost?retention=-1", "option 'retention' of the store's URL is '-1'"),
        ("redis://localhost?retention=day", "option 'retention'"),
        ("redis://localhost?timeout=0", "more than 0"),
        ("redis://localhost?shards=0", "from 1 to 1024"),
        ("redis://localhost?prefix={a}", "no braces"),
        ("redis://localhost?prefix=", "at least one character"),
        ("redis://localhost?ssl_check_hostname=maybe", "true or false"),
        ("redis://localhost?ssl_cert_reqs=perhaps", "required, optional or none"),
    ],
)
def test_a_wrong_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plugin.create(url)
    assert says in str(caught.value)


def test_the_error_of_a_wrong_port_does_not_show_the_password() -> None:
    with pytest.raises(SettingsError) as caught:
        read_url("redis://me:secret@localhost:x")
    assert "secret" not in str(caught.value)


def test_tls_options_make_the_ssl_context() -> None:
    import ssl

    strict = read_url("rediss://localhost").ssl_context
    assert strict is not None
    assert strict.verify_mode is ssl.CERT_REQUIRED
    assert strict.check_hostname
    loose = read_url("rediss://localhost?ssl_cert_reqs=none").ssl_context
    assert loose is not None
    assert loose.verify_mode is ssl.CERT_NONE
    assert read_url("redis://localhost").ssl_context is None


def test_both_schemes_have_an_entry_point() -> None:
    from importlib.metadata import entry_points

    found = {point.name: point.value for point in entry_points(group="drawbar.stores")}
    assert found["redis"] == found["rediss"] == "drawbar_redis:plugin"
