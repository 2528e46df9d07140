"""The comparison of versions agrees with `packaging`, which implements all of PEP 440."""

import itertools

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from drawbar.plugins.versions import requirement_on, satisfies

VERSIONS = [
    "0.1",
    "0.1.0",
    "0.1.5",
    "0.2",
    "0.2.0.dev1",
    "0.2rc1",
    "0.2a1.dev3",
    "1",
    "1.0",
    "1.0.post1",
    "1.0.post2",
    "1.1.2",
    "1.10",
    "2.0b3",
    "2!1.0",
    "1.0.dev0",
]


@pytest.mark.parametrize("operator", ["~=", "==", "!=", "<=", ">=", "<", ">"])
def test_agrees_with_packaging(operator: str) -> None:
    compared = 0
    for have, want in itertools.product(VERSIONS, VERSIONS):
        if operator == "~=" and len(Version(want).release) < 2:
            continue
        specifiers = [operator + want]
        if operator in ("==", "!=") and Version(want).release == Version(want.removesuffix(".*")).release:
            specifiers += [operator + want + ".*"] if want.replace(".", "").isdigit() else []
        for specifier in specifiers:
            expected = SpecifierSet(specifier).contains(have, prereleases=True)
            assert satisfies(have, specifier) is expected, f"{have} {specifier}"
            compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    ("specifiers", "expected"),
    [
        ("", True),
        (">=0.1,<0.2", True),
        (">=0.1,!=0.1.5,<0.2", False),
        (">=0.2", False),
        ("what is this", True),
    ],
)
def test_all_parts_have_to_hold(specifiers: str, expected: bool) -> None:
    assert satisfies("0.1.5", specifiers) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        (["redis>=5"], None),
        (["drawbar-redis>=5"], None),
        (["drawbar"], ""),
        (["Drawbar >=0.1 , <0.2"], ">=0.1 , <0.2"),
        (["drawbar[cli]>=0.1; python_version >= '3.11'"], ">=0.1"),
        (["drawbar (>=0.1)"], ">=0.1"),
        (["drawbar>=9; extra == 'next'"], None),
    ],
)
def test_requirement_lines(lines: list[str], expected: str | None) -> None:
    assert requirement_on("drawbar", lines) == expected
