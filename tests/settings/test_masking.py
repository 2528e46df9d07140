"""A URL is shown without its secrets, whatever delimiters a password has."""

import re
import string
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from drawbar.settings.masking import MASK, mask_url

# `*` is the character of the mask itself.
PRINTABLE = "".join(chr(code) for code in range(33, 127) if chr(code) != "*") + " äß漢"
PASSWORDS = st.one_of(
    st.text(PRINTABLE, min_size=4, max_size=12),
    # The delimiters of URLs, often: random letters rarely meet them.
    st.text(":@/?#&;=,[]%1a", min_size=4, max_size=12),
    st.lists(st.sampled_from(["@h", ":1", "/", "?a=b", "&", "#", ";s://", "x:y@z", "1"]), min_size=2)
    .map("".join)
    .filter(lambda text: len(text) >= 4),
)
USERS = st.one_of(st.just(""), st.text(PRINTABLE, max_size=6), st.text(":@/?#&;=1a", max_size=6)).filter(
    lambda user: re.search(":.*@", user) is None  # that is a user with a password, and a host
)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6)
HOSTS = st.one_of(NAMES, st.sampled_from(["", "h:6379", "[::1]", "[::1]:6379", "h1:1,h2:2", "127.0.0.1"]))
PATHS = st.sampled_from(["", "/", "/0", "//", "/db?sslmode=require", "/db?opt=a@b", "/db?opt=a:b@c", "/a@b", "/0#x"])
SCHEMES = st.sampled_from(["s", "redis", "rediss", "amqp", "postgresql+psycopg"])


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        # No secret, nothing to mask.
        ("memory://", "memory://"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
        ("sqlite:////var/lib/runs.db?busy=5", "sqlite:////var/lib/runs.db?busy=5"),
        ("sqlite:///runs@home.db", "sqlite:///runs@home.db"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("redis://user@h/0", "redis://user@h/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("postgresql://h1:1,h2:2/db", "postgresql://h1:1,h2:2/db"),
        ("http://h/x?mail=a@b", "http://h/x?mail=a@b"),
        ("amqp://h1;amqp://h2", "amqp://h1;amqp://h2"),
        # The password.
        ("redis://:p@h/0", "redis://:****@h/0"),
        ("redis://u:p@h:6379/0", "redis://u:****@h:6379/0"),
        ("redis://u:@h/0", "redis://u:****@h/0"),
        ("redis://u:p%40%2Fx@h/0", "redis://u:****@h/0"),
        ("redis://u:p@q@h/0", "redis://u:****@h/0"),
        ("redis://u:p:q@h/0", "redis://u:****@h/0"),
        ("amqp://u:p@/vhost", "amqp://u:****@/vhost"),
        ("redis://u:p@[::1]:6379/0", "redis://u:****@[::1]:6379/0"),
        ("postgresql://u:p@h1:1,h2:2,[::1]:3/db", "postgresql://u:****@h1:1,h2:2,[::1]:3/db"),
        ("postgresql://u:p@h/db?opt=a%40b", "postgresql://u:****@h/db?opt=a%40b"),
        ("amqp://u:p@h1//;amqp://u:q@h2//", "amqp://u:****@h1//;amqp://u:****@h2//"),
        # Query parameters with a secret's name, or with credentials as their value.
        ("postgresql://h/db?user=u&password=secret", "postgresql://h/db?user=u&password=****"),
        ("postgresql://h/db?user=u;password=secret", "postgresql://h/db?user=u;password=****"),
        ("postgresql://h/db?sslpassword=s&sslmode=require", "postgresql://h/db?sslpassword=****&sslmode=require"),
        ("x://h/?Access-Key=s", "x://h/?Access-Key=****"),
        ("x://h/?auth_token=a=b", "x://h/?auth_token=****"),
        ("x://h/?pass%77ord=s", "x://h/?pass%77ord=****"),
        ("x://h/?options=-c%20password%3Ds", "x://h/?options=****"),
        ("x://u:p@h/?backend=redis://u:q@h2", "x://****"),
    ],
)
def test_secrets_are_masked_and_the_rest_is_shown(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:p/w@h/0",
        "redis://u:12/34@h/0",
        "redis://u:p#w@h/0",
        "redis://u:12#34@h/0",
        "redis://u:p?w@h/0",
        "redis://u:12?x=34@h/0",
        "redis://u:12?x=3&y=4@h/0",
        "redis://u:p@1/w@h/0",
        "redis://u:@1?x=w@h/0",
        "redis://u:p;redis://w@h/0",
        "redis://u:12;redis://w@h/0",
        "redis://:secret",
        "redis://user:secret",
        "redis://user:123456",
        "redis:///u:p@h/0",
        "redis://h/0?password=&secret",
        "redis://h/0?password=a&secret",
        "redis://h/0?password=a#secret",
        "redis://h/0?password=#secret",
        "redis://h:80/x?mail=a@b",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_shown_as_its_scheme(url: str) -> None:
    assert mask_url(url) == f"redis://{MASK}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("package.module:app", "package.module:app"),
        ("flows.py", "flows.py"),
        ("user@home", "user@home"),
        ("u:secret@h/0", MASK),
        ("u%3Asecret%40h", MASK),
        ("host=h password=secret", MASK),
        ("u:secret@h://", MASK),
        (" redis://u:secret@h", MASK),
    ],
)
def test_a_text_that_is_not_a_url_is_shown_unless_it_looks_like_credentials(text: str, masked: str) -> None:
    assert mask_url(text) == masked


def check(before: str, password: str, after: str) -> None:
    """Check that a password is not in the masked text, if the rest of the URL does not have the same text."""
    assume(password not in before + after)

    assert password not in mask_url(before + password + after)


@given(SCHEMES, USERS, PASSWORDS, HOSTS, PATHS)
@example("s", "u", "@h/db?opt=a", "b", "")
@example("s", "a@b?d=e", "x&y=z", "h", "")
@example("s", "a;s", "//bcd", "h", "")
def test_an_unquoted_password_is_never_shown(scheme: str, user: str, password: str, host: str, path: str) -> None:
    check(f"{scheme}://{user}:", password, f"@{host}{path}")


@given(SCHEMES, USERS, PASSWORDS, HOSTS, st.booleans())
def test_an_unquoted_password_in_a_list_of_urls_is_never_shown(
    scheme: str, user: str, password: str, host: str, first: bool
) -> None:
    other = f"{scheme}://u:p@other//"
    if first:
        check(f"{scheme}://{user}:", password, f"@{host}//;{other}")
    else:
        check(f"{other};{scheme}://{user}:", password, f"@{host}//")


@given(SCHEMES, st.sampled_from(["", "u@", "u:p@"]), PASSWORDS, HOSTS, st.sampled_from(["", "&sslmode=require", "#x"]))
def test_an_unquoted_password_in_the_query_is_never_shown(
    scheme: str, user: str, password: str, host: str, more: str
) -> None:
    check(f"{scheme}://{user}{host}/db?password=", password, more)


@given(USERS, PASSWORDS, HOSTS, PATHS)
def test_a_password_in_a_url_that_lacks_its_scheme_is_never_shown(
    user: str, password: str, host: str, path: str
) -> None:
    assume(not password.startswith("//"))  # then the user is a scheme

    check(f"{user}:", password, f"@{host}{path}")


@given(
    SCHEMES,
    st.text(PRINTABLE, min_size=1, max_size=6),
    st.text(PRINTABLE, min_size=1, max_size=12),
    HOSTS,
    st.text(PRINTABLE, max_size=6),
)
def test_a_quoted_url_keeps_all_but_its_password(scheme: str, user: str, password: str, host: str, path: str) -> None:
    user, path = quote(user, safe=""), quote(path, safe="")

    masked = mask_url(f"{scheme}://{user}:{quote(password, safe='')}@{host}/{path}")

    assert masked == f"{scheme}://{user}:{MASK}@{host}/{path}"
