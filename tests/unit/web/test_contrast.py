"""Every pair of colours that meets on a page, in both themes, by WCAG 2.2's formula: 91 pairs each."""

import re
from itertools import product
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[3] / "frontend" / "styles" / "tokens.css"
TEXT = 4.5  # WCAG 2.2, 1.4.3: text on its ground
PART = 3.0  # WCAG 2.2, 1.4.11: bars, lines of fields, the mark of focus

STATES = ("neutral", "review", "approved", "scheduled", "running", "paused", "done", "failed", "unknown")
GROUNDS = ("paper", "desk", "sunk", "hover", "selected", "raised")


def theme(name: str) -> dict[str, str]:
    css = TOKENS.read_text(encoding="utf-8")
    light, dark = css.split("[data-bs-theme=dark] {")
    return dict(re.findall(r"--cs-([\w-]+): (#[0-9a-f]{6})\b", {"light": light, "dark": dark}[name]))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def pairs() -> list[tuple[str, str, float]]:
    found = [(f"{s}-fg", ground, TEXT) for s in STATES for ground in (f"{s}-bg", "paper", "desk", "sunk")]
    found += [(f"{s}-fill", "paper", PART) for s in STATES]
    found += [(text, ground, TEXT) for text, ground in product(("text", "text-2", "text-3", "link"), GROUNDS)]
    found += [("ink-fg", "ink", TEXT), ("ink-fg", "ink-hover", TEXT)]
    found += [("add-fg", "add-bg", TEXT), ("del-fg", "del-bg", TEXT)]
    found += [("field-line", "paper", PART), ("focus", "paper", PART)]
    found += [("cat-fg", f"cat-{n}", TEXT) for n in range(1, 9)]
    found += [(f"cat-{n}", "paper", PART) for n in range(1, 9)]
    return found


def test_there_are_91_pairs():
    assert len(pairs()) == len(set(pairs())) == 91


def test_the_formula_agrees_with_the_standard():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_pairs_are_far_enough_apart(name):
    colours = theme(name)
    low = {
        (front, ground): round(contrast(colours[front], colours[ground]), 2)
        for front, ground, least in pairs()
        if contrast(colours[front], colours[ground]) < least
    }
    assert low == {}


def test_both_themes_name_the_same_colours():
    assert theme("light").keys() == theme("dark").keys()
