"""Colors of the page: text and marks stand out from their ground in every theme (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[3] / "attrib/report/html/static/report.css").read_text(encoding="utf-8")
TEXT = ("ink", "text", "muted", "slower", "faster", "link", "bad", "warn", "ok")
MARKS = ("slower", "faster", "total", "muted", "ink", "violet", "rose")


def _block(start: str) -> dict[str, str]:
    body = CSS[CSS.index(start) :]
    body = body[body.index(":root {") : body.index("}")]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", body))


LIGHT = _block(":root")
THEMES = {
    "light": LIGHT,
    "dark": LIGHT | _block("@media (prefers-color-scheme: dark)"),
    "print": LIGHT | _block("@media print"),
}


def _luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colors, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_the_one_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["paper", "ground", "soft"])
@pytest.mark.parametrize("name", TEXT)
def test_text_stands_out(theme, ground, name):
    colors = THEMES[theme]
    assert contrast(colors[name], colors[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", MARKS)
def test_marks_stand_out(theme, name):
    assert contrast(THEMES[theme][name], THEMES[theme]["paper"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "ground"),
    [
        ("bad", "bad-soft"),
        ("warn", "warn-soft"),
        ("text", "bad-soft"),
        ("ink", "warn-soft"),
        ("muted", "warn-soft"),
    ],
)
def test_alerts_stand_out(theme, name, ground):
    assert contrast(THEMES[theme][name], THEMES[theme][ground]) >= 4.5
