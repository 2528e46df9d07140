"""Masking of secrets in what is shown to people: logs, errors, `drawbar config`.

A password in a URL may hold unescaped delimiters (`/`, `?`, `#`, `@`, `:`). Such a URL can be read in more than one
way. The rule is to fail closed: a URL that cannot be taken apart for certain is shown as its scheme alone.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from drawbar.errors import SettingsError

MASK = "****"
SECRET_KEY = re.compile(r"pass|pwd|secret|token|credential|api[-_]?key|access[-_]?key", re.IGNORECASE)
"""Names of query parameters whose values are never shown."""
_CREDENTIALS = re.compile(r":.*@", re.DOTALL)
"""A `user:password@` anywhere in a text."""
SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*")
"""The scheme of a URL, as RFC 3986 has it."""
_NEXT_URL = re.compile(r";(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
_HOST = re.compile(r"(\[[0-9a-fA-F:.%]*\]|[^:@\[\]]*)(:\d{0,5})?")


class _Unclear(ValueError):
    """The URL can be read in more than one way, and one of them would show a part of a secret."""


def mask_url(url: str) -> str:
    """Return a URL without its secrets: the password and every query parameter with a secret's name.

    A URL that cannot be taken apart for certain is shown as its scheme alone: what looks like its path may be the
    rest of a password with an unescaped `/`, `#` or `?` in it.

    Args:
        url: The URL; several of them, separated by `;`, are taken too (Celery's failover). A text that is not a URL
            is returned as it is, unless it looks like credentials: then only the mask is returned.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return MASK if _holds_secret(url) else url
    if not SCHEME.fullmatch(scheme):
        return MASK
    urls = _NEXT_URL.split(url)
    try:
        # In a list, `;` may belong to a password. It does not if each URL has a password of its own, or none has any.
        if len(urls) > 1 and "@" in url and not all(_password(one) for one in urls):
            raise _Unclear
        return ";".join(_masked(one) for one in urls)
    except _Unclear:
        return f"{scheme}://{MASK}"


def check_url(url: str, what: str, *, several: bool = False) -> None:
    """Refuse a URL that can be read in more than one way, before a part of its password is taken for something else.

    Args:
        url: The URL.
        what: The setting it comes from, for the error.
        several: True if it may be several URLs, separated by `;`.

    Raises:
        SettingsError: It cannot be taken apart for certain. The text shows its scheme alone.
    """
    shown = mask_url(url)
    if shown != MASK and not several and _NEXT_URL.search(url):
        shown = f"{url.partition('://')[0]}://{MASK}"
    if shown == MASK or shown.endswith(f"://{MASK}"):
        raise SettingsError(
            f"{what} {shown} cannot be taken apart for certain: its port is not a number, or its password "
            "has a delimiter in it. In a password, write %2F for /, %23 for #, %3F for ?, %40 for @ and %3A for : "
            "(urllib.parse.quote does it)"
        )


def _masked(url: str) -> str:
    """Return one URL without its secrets.

    Raises:
        _Unclear: It can be read in more than one way.
    """
    scheme, netloc, path, query, fragment = _parts(url)
    user, _, hosts = netloc.rpartition("@")
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise _Unclear
    after_netloc = path + query + fragment
    if ":" in user:
        if "@" in after_netloc:  # it may be the end of the password
            raise _Unclear
        netloc = f"{user.partition(':')[0]}:{MASK}@{hosts}"
    elif _CREDENTIALS.search(f"{hosts}{after_netloc}"):
        raise _Unclear
    return f"{scheme}://{netloc}{path}{_masked_query(query, fragment)}{fragment}"


def _parts(url: str) -> tuple[str, str, str, str, str]:
    """Return scheme, netloc, path, query and fragment as RFC 3986 divides them, with their delimiters."""
    scheme, _, rest = url.partition("://")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path, hash_mark, fragment = rest[len(netloc) :].partition("#")
    path, question_mark, query = path.partition("?")
    return scheme, netloc, path, question_mark + query, hash_mark + fragment


def _password(url: str) -> str:
    """Return the password of a URL as its standard divides it, or the empty text."""
    user, _, _ = _parts(url)[1].rpartition("@")
    return user.partition(":")[2]


def _masked_query(query: str, fragment: str) -> str:
    """Return a query without the values of secret parameters.

    Raises:
        _Unclear: What follows a secret value may be the rest of it.
    """
    pieces = re.split("([&;])", query)
    parameters = pieces[::2]
    for index, parameter in enumerate(parameters):
        name, equals, value = parameter.partition("=")
        if not equals or not _holds_secret(parameter):
            continue
        following = parameters[index + 1 : index + 2]
        if not value or fragment or any("=" not in rest for rest in following):
            raise _Unclear
        pieces[2 * index] = f"{name}={MASK}"
    return "".join(pieces)


def _holds_secret(text: str) -> bool:
    """Return True if a text has the form `password=...` or `user:password@...`, percent-encoded or not."""
    text = unquote(text)
    return _CREDENTIALS.search(text) is not None or (
        "=" in text and SECRET_KEY.search(text.rpartition("=")[0]) is not None
    )
