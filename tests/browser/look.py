"""How a page is looked at: axe's findings, and what sticks out of the window, in each theme and width."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
RUN = "([context, rules]) => axe.run(context, rules).then((results) => results.violations)"
WIDTHS = (1280, 390)
THEMES = ("light", "dark")

# What sticks out of the window sideways, and where a person can see it all by scrolling in something smaller.
STICKING_OUT = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide && document.body.scrollWidth <= wide) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > wide + 1)
    .slice(0, 5)
    .map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
}"""


def looks(page: Any) -> Iterator[tuple[str, int]]:
    """Show the page in each theme and width."""
    for width, theme in itertools.product(WIDTHS, THEMES):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        # Colours that are still on their way from one theme to the other are nobody's.
        page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
        yield theme, width


def findings(
    page: Any, exclude: Sequence[str] = (), looks: Callable[[Any], Iterator[tuple[str, int]]] = looks
) -> list[str]:
    """What is wrong with the page as it stands, in each theme and width: one line a finding, nothing where it is fine.

    Args:
        page: Playwright's page.
        exclude: CSS selectors of what is not ours to mend.
        looks: Shows the page in each theme and width.
    """
    page.evaluate(AXE_SCRIPT)
    context = {"exclude": [[selector] for selector in exclude]}
    found = []
    for theme, width in looks(page):
        violations = page.evaluate(RUN, [context, RULES])
        found += [
            f"{theme} {width}: {violation['id']}: {' '.join(map(str, node['target']))}: {_short(node['failureSummary'])}"
            for violation in violations
            for node in violation["nodes"]
        ]
        found += [f"{theme} {width}: sticks out: {element}" for element in page.evaluate(STICKING_OUT)]
    return found


def _short(summary: str) -> str:
    """Axe's explanation on one line."""
    return " ".join(summary.split())
