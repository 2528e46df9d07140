"""Masking of secrets in what is shown to people: logs, errors, `drawbar config`."""

from __future__ import annotations

import re

MASK = "****"
SECRET_KEY = re.compile(r"pass|pwd|secret|token|credential|api[-_]?key|access[-_]?key", re.IGNORECASE)
"""Names of query parameters whose values are never shown."""
_SEPARATOR = re.compile(r";(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")


def mask_url(url: str) -> str:
    """Return a URL without its secrets: the password and every query parameter with a secret's name.

    A URL that cannot be taken apart for certain is shown as its scheme alone: what looks like its path may be the
    rest of a password with an unescaped `/`, `#` or `?` in it.

    Args:
        url: The URL; several of them, separated by `;`, are taken too (Celery's failover). A text that is not a URL
            is returned as it is.
    """
    if "://" not in url:
        return url
    return ";".join(_masked(one) for one in _SEPARATOR.split(url))


def _masked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    unclear = f"{scheme}://{MASK}"
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path, hash_mark, fragment = rest[len(netloc) :].partition("#")
    path, question_mark, query = path.partition("?")
    parameters = query.split("&") if query else []
    user, _, hosts = netloc.rpartition("@")
    if not all(_is_host(host) for host in hosts.split(",")):
        return unclear
    if netloc and "@" in path + fragment:
        return unclear
    if netloc and any("@" in parameter and "=" not in parameter for parameter in parameters):
        return unclear
    name, colon, password = user.partition(":")
    if password:
        netloc = f"{name}{colon}{MASK}@{hosts}"
    query = "&".join(_masked_parameter(parameter) for parameter in parameters)
    return f"{scheme}://{netloc}{path}{question_mark}{query}{hash_mark}{fragment}"


def _is_host(text: str) -> bool:
    """Return True if a text can be a host with or without a port; False if it may be a piece of a password."""
    return re.fullmatch(r"(\[[0-9a-fA-F:.%]*\]|[^:@\[\]]*)(:\d*)?", text) is not None


def _masked_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    return f"{name}={MASK}" if equals and value and SECRET_KEY.search(name) else parameter
