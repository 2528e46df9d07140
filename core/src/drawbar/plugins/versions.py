"""Comparison of versions with requirements such as `drawbar>=0.1,<0.2`: the part of PEP 440 that this needs.

The `packaging` library can do more, but the core does not depend on it. The requirement of an engine is read *before*
the engine is imported, so this must not depend on optional packages.
"""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_n>\d*))?"
    r"(?P<post>[-_.]?(?:post|rev|r)[-_.]?\d*|-\d+)?"
    r"(?P<dev>[-_.]?dev[-_.]?\d*)?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*"
    r"\(?(?P<specifiers>[^;)]*)\)?\s*(?:;(?P<marker>.*))?"
)
_SPECIFIER = re.compile(r"\s*(~=|===|==|!=|<=|>=|<|>)\s*(\S+?)\s*")
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_LAST = 1 << 60

_Key = tuple[int, tuple[int, ...], tuple[str, int], int, int]


def normalized(name: str) -> str:
    """Return the name of a distribution in the normalized form of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_on(name: str, requirements: list[str]) -> str | None:
    """Return the version specifiers for a distribution in `Requires-Dist` lines, joined; None if there are none.

    Lines of extras are left out, since the metadata does not say which extras were installed.

    Args:
        name: The required distribution, with a normalized name.
        requirements: The lines.
    """
    found = []
    for line in requirements:
        match = _REQUIREMENT.fullmatch(line)
        if match and normalized(match["name"]) == name and "extra" not in (match["marker"] or ""):
            found.append(match["specifiers"].strip())
    return ",".join(part for part in found if part) if found else None


def satisfies(version: str, specifiers: str) -> bool:
    """Return True if a version satisfies the specifiers.

    A version or specifier that cannot be parsed counts as satisfied: the installer has checked it already.
    """
    have = _sort_key(version)
    return have is None or all(_satisfies_one(have, part) for part in specifiers.split(",") if part.strip())


def _satisfies_one(have: _Key, specifier: str) -> bool:
    match = _SPECIFIER.fullmatch(specifier)
    if match is None:
        return True
    operator, text = match[1], match[2]
    wildcard = text.endswith(".*")
    want = _sort_key(text.removesuffix(".*"))
    if want is None:
        return True
    length = len(_release(text.removesuffix(".*")))
    if operator in ("==", "!=") and wildcard:
        return _same_series(have, want, length) == (operator == "==")
    match operator:
        case "==" | "===":
            return have == want
        case "!=":
            return have != want
        case ">=":
            return have >= want
        case "<=":
            return have <= want
        case ">":
            # PEP 440: 1.0.post1 is not greater than 1.0, unless the specifier itself has a post-release.
            return have > want and (want[3] >= 0 or have[:3] != want[:3] or have[3] < 0)
        case "<":
            # PEP 440: 2.0rc1 is not less than 2.0, since it has the incompatible changes of 2.0.
            return have < want and (_is_early(want) or want[3] >= 0 or not _is_early(have) or have[:2] != want[:2])
        case _:  # ~=: this version or a later one of the same series
            return have >= want and _same_series(have, want, length - 1)


_FINAL = ("~", 0)  # sorts after a, b and rc


def _is_early(key: _Key) -> bool:
    return key[2] != _FINAL or key[4] != _LAST


def _release(text: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(text)
    return tuple(int(part) for part in match["release"].split(".")) if match else ()


def _same_series(have: _Key, want: _Key, length: int) -> bool:
    zeros = (0,) * length
    return have[0] == want[0] and (have[1] + zeros)[:length] == (want[1] + zeros)[:length]


def _without_trailing_zeros(release: tuple[int, ...]) -> tuple[int, ...]:
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    return release


def _number(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    return int(digits) if digits else 0


def _sort_key(text: str) -> _Key | None:
    """Return the key that orders versions: epoch, release, pre-, post- and dev-release. The local part is left out."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    pre = match["pre"]
    post = _number(match["post"]) if match["post"] else -1
    dev = _number(match["dev"]) if match["dev"] else _LAST
    if pre:
        stage = (_PRE.get(pre.lower(), pre.lower()), _number(match["pre_n"]))
    elif post < 0 and dev != _LAST:
        stage = ("", 0)  # 1.0.dev1 comes before 1.0a1
    else:
        stage = _FINAL
    return (int(match["epoch"] or 0), _without_trailing_zeros(_release(text.strip())), stage, post, dev)
