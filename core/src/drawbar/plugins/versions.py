"""Whether a version satisfies a requirement such as `drawbar>=0.1,<0.2`: as much of PEP 440 as that takes.

The `packaging` library does this and more, but nothing else in the core needs it, and reading an engine's
requirement *before* importing the engine must not depend on what happens to be installed.
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
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_on(name: str, requirements: list[str]) -> str | None:
    """The specifiers that a distribution's `Requires-Dist` lines put on `name`, joined; None without any.

    Lines that belong to an extra are left out, since nobody can tell afterwards which extras were asked for.
    """
    found = []
    for line in requirements:
        match = _REQUIREMENT.fullmatch(line)
        if match and normalized(match["name"]) == name and "extra" not in (match["marker"] or ""):
            found.append(match["specifiers"].strip())
    return ",".join(part for part in found if part) if found else None


def satisfies(version: str, specifiers: str) -> bool:
    """Whether `version` is within `specifiers`.

    What is not understood counts as satisfied: pip has looked at it already.
    """
    have = _key(version)
    return have is None or all(_holds(have, part) for part in specifiers.split(",") if part.strip())


def _holds(have: _Key, specifier: str) -> bool:
    match = _SPECIFIER.fullmatch(specifier)
    if match is None:
        return True
    operator, text = match[1], match[2]
    wildcard = text.endswith(".*")
    want = _key(text.removesuffix(".*"))
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
            # 1.0.post1 is not "greater than 1.0" unless the specifier says post itself.
            return have > want and (want[3] >= 0 or have[:3] != want[:3] or have[3] < 0)
        case "<":
            # 2.0rc1 is not "less than 2.0" in the sense people mean: it has 2.0's incompatibilities.
            return have < want and (_early(want) or want[3] >= 0 or not _early(have) or have[:2] != want[:2])
        case _:  # ~=: at least this, within the same series
            return have >= want and _same_series(have, want, length - 1)


_FINAL = ("~", 0)  # sorts after a, b and rc


def _early(key: _Key) -> bool:
    return key[2] != _FINAL or key[4] != _LAST


def _release(text: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(text)
    return tuple(int(part) for part in match["release"].split(".")) if match else ()


def _same_series(have: _Key, want: _Key, length: int) -> bool:
    zeros = (0,) * length
    return have[0] == want[0] and (have[1] + zeros)[:length] == (want[1] + zeros)[:length]


def _trimmed(release: tuple[int, ...]) -> tuple[int, ...]:
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    return release


def _number(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    return int(digits) if digits else 0


def _key(text: str) -> _Key | None:
    """What versions are compared by: epoch, release, pre-, post- and dev-release (no local part)."""
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
    return (int(match["epoch"] or 0), _trimmed(_release(text.strip())), stage, post, dev)
