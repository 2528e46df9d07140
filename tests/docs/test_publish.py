"""Measured numbers find their place on the pages."""

from __future__ import annotations

from benchmarks.publish import IN_SHORT, PAGES, PART, details, published, table
from benchmarks.report import Measurement
from tests.docs.pages import ROOT

MEASURED = [
    Measurement("chain-100", "drawbar", 100, ours=True, seconds=[0.002, 0.001], details={"messages": 1.0}),
    Measurement("chain-100", "other", 100, seconds=[0.003]),
    Measurement("chain-100", "absent", 100, reason="not installed"),
    Measurement("scale-100", "drawbar", 100, ours=True, seconds=[0.001]),
]


def test_a_table_says_how_many_times_as_long_others_take() -> None:
    assert table(MEASURED, "best").split("\n")[2:] == [
        "| chain-100 | **drawbar** | 10.0 |  |",
        "|  | other | 30.0 | 3.00 |",
        "|  | absent | not installed |  |",
        "| scale-100 | **drawbar** | 10.0 |  |",
    ]


def test_the_short_table_has_what_was_measured_of_some_rows() -> None:
    assert table(MEASURED, "best", IN_SHORT).split("\n")[2:] == [
        "| chain-100 | **drawbar** | 10.0 |  |",
        "|  | other | 30.0 | 3.00 |",
    ]


def test_what_was_counted_stands_below() -> None:
    assert "| chain-100 | drawbar | messages | 1.00 |" in details(MEASURED)


def test_both_pages_have_a_place_for_both_benchmarks() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        assert [part[2] for part in PART.finditer(text)] == ["inprocess", "queues"]
        filled = published(text, {"queues": "NUMBERS"})
        assert filled.count("NUMBERS") == 1
        assert published(filled, {"queues": "NUMBERS"}) == filled
