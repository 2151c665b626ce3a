"""Audit of a page: axe's findings and overflow, in each theme and width."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Error

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
# Rules that look at colours: the others have nothing new to find in the second theme of a width.
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
RUN = "([context, rules]) => axe.run(context, rules).then((results) => results.violations)"
WIDTHS = (1280, 390)
THEMES = ("light", "dark")

# Elements that overflow the window sideways, unless a smaller box scrolls them.
STICKING_OUT = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide && document.body.scrollWidth <= wide) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > wide + 1)
    .slice(0, 5)
    .map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
}"""


def appearances(page: Any) -> Iterator[tuple[str, int]]:
    """Show the page in each theme and width."""
    for width, theme in itertools.product(WIDTHS, THEMES):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        # Colours in transition from one theme to the other are no findings.
        page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
        yield theme, width


def findings(
    page: Any, exclude: Sequence[str] = (), appearances: Callable[[Any], Iterator[tuple[str, int]]] = appearances
) -> list[str]:
    """Return the findings of a page in each theme and width, one line each.

    Args:
        page: Playwright's page.
        exclude: CSS selectors of parts that are not ours.
        appearances: Shows the page in each theme and width.
    """
    page.wait_for_load_state()
    try:
        return _findings(page, exclude, appearances)
    except Error:
        # A click before this began to leave for another page only now.
        page.wait_for_load_state()
        return _findings(page, exclude, appearances)


def _findings(page: Any, exclude: Sequence[str], appearances: Callable[[Any], Iterator[tuple[str, int]]]) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    context = {"exclude": [[selector] for selector in exclude]}
    found: list[str] = []
    seen = set()
    for theme, width in appearances(page):
        violations = page.evaluate(RUN, [context, COLOURS if width in seen else RULES])
        seen.add(width)
        found += [
            f"{theme} {width}: {violation['id']}: {' '.join(map(str, node['target']))}: {_short(node['failureSummary'])}"
            for violation in violations
            for node in violation["nodes"]
        ]
        found += [f"{theme} {width}: sticks out: {element}" for element in page.evaluate(STICKING_OUT)]
    return found


def _short(summary: str) -> str:
    """Return axe's explanation on one line."""
    return " ".join(summary.split())
