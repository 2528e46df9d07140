"""The picture, looked at with a ruler: nothing lies on anything else, nothing leaves the paper."""

import itertools
from dataclasses import dataclass
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.graph.render.outline import Arm, Box, Frame, Item, Outline, Split, outline
from drawbar.graph.render.picture import svg
from tests.graph.render.everything import EVERYTHING

SVG = "{http://www.w3.org/2000/svg}"
SOLID = {"step", "map", "sleep", "wait", "gate", "end", "label", "bar"}


@dataclass(frozen=True)
class Rect:
    kind: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Rect") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: "Rect") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def rects(root: ElementTree.Element) -> list[Rect]:
    found = []
    for element in root.iter(f"{SVG}rect"):
        x, y, width, height = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
        found.append(Rect(element.attrib["class"], x, y, x + width, y + height))
    return found


def check(drawing: Outline) -> None:
    root = ElementTree.fromstring(svg(drawing))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    paper = Rect("paper", 0, 0, width, height)
    found = rects(root)
    assert [rect for rect in found if not paper.holds(rect)] == []
    solid = [rect for rect in found if rect.kind in SOLID]
    assert [pair for pair in itertools.combinations(solid, 2) if pair[0].overlaps(pair[1])] == []
    frames = [rect for rect in found if rect.kind.startswith("frame")]
    for frame, other in itertools.product(frames, found):
        if frame.overlaps(other) and other.kind != "paper" and frame is not other:
            assert frame.holds(other) or other.holds(frame), (frame, other)
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height


names = st.text("abcdefgmWi_-", min_size=1, max_size=30)
boxes = st.builds(Box, names, st.sampled_from(["step", "map", "sleep", "wait"]), names, st.one_of(st.just(""), names))


def _bigger(items: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
    arms = st.builds(Arm, st.one_of(st.just(""), names), st.one_of(st.none(), items))
    several = st.lists(items, min_size=1, max_size=3).map(tuple)
    splits = st.builds(
        Split, names, st.sampled_from(["branch", "choose"]), st.lists(arms, min_size=1, max_size=4).map(tuple)
    )
    full = st.builds(Arm, st.just(""), items)
    parallels = st.builds(Split, names, st.just("parallel"), st.lists(full, min_size=1, max_size=4).map(tuple))
    frames = st.builds(Frame, names, st.sampled_from(["loop", "foreach", "chain", "workflow"]), names, several, names)
    return st.one_of(splits, parallels, frames)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.recursive(boxes, _bigger, max_leaves=8), min_size=1, max_size=5))
def test_every_item_can_be_drawn_inside_every_other(items: list[Item]) -> None:
    check(Outline("any", "In", "Out", tuple(items)))


def test_the_workflow_with_everything() -> None:
    check(outline(EVERYTHING))


def test_it_is_for_light_and_dark_pages_and_keeps_its_style_to_itself() -> None:
    text = svg(outline(EVERYTHING))
    assert "prefers-color-scheme:dark" in text
    style = ElementTree.fromstring(text).findtext(f"{SVG}style") or ""
    rules = [rule for rule in style.replace("}}", "}").split("}") if rule]
    for rule in rules:
        selectors = rule.split("{")[-2]
        assert all(selector.strip().startswith(".drawbar") for selector in selectors.split(",")), rule


def test_boxes_say_on_hovering_where_their_function_is() -> None:
    titles = [element.text or "" for element in ElementTree.fromstring(svg(outline(EVERYTHING))).iter(f"{SVG}title")]
    assert any(title.endswith(".check_order") for title in titles)
