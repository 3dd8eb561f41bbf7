"""The film of the README is well-formed, and shows at each moment what its frames say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "docs" / "animated_svg.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def film() -> ModuleType:
    spec = importlib.util.spec_from_file_location("animated_svg", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["animated_svg"] = module
    spec.loader.exec_module(module)
    return module


def shown_at(root: Any, share: float) -> set[str]:
    """The texts that are visible when this share of the film has passed."""
    found = set()
    for group in root.iter(f"{SVG}g"):
        animation = group.find(f"{SVG}animate")
        visible = group.get("visibility", "visible")
        if animation is not None:
            times = [float(time) for time in animation.get("keyTimes", "").split(";")]
            values = animation.get("values", "").split(";")
            assert times == sorted(times) and times[0] == 0.0 and len(times) == len(values)
            visible = next(value for time, value in reversed(list(zip(times, values, strict=True))) if time <= share)
        if visible == "visible":
            found |= {text.text or "" for text in group.iter(f"{SVG}text")}
    return found


def test_each_moment_shows_its_frame(film: ModuleType) -> None:
    def row(text: str) -> Any:
        return (film.Piece(text, "#ffffff", "#000000"),)

    frames = [
        film.Frame((row("one <&>"), row("same")), "first", 1.0),
        film.Frame((row("two"), row("same")), "then", 2.0),
        film.Frame((row("one <&>"), row("same")), "first", 1.0),
    ]
    root = ElementTree.fromstring(film.animated_svg(frames, 20, "#000000", "a & b"))
    for share, expected in (
        (0.0, "one <&>"),
        (0.2, "one <&>"),
        (0.3, "two"),
        (0.7, "two"),
        (0.8, "one <&>"),
        (0.99, "one <&>"),
    ):
        assert shown_at(root, share) == {expected, "same", "then" if expected == "two" else "first"}
    still = {
        text.text
        for group in root.iter(f"{SVG}g")
        if group.get("visibility", "visible") == "visible"
        for text in group.iter(f"{SVG}text")
    }
    assert still == {"one <&>", "same", "first"}, "where nothing is played, the last frame is seen"
