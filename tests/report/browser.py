"""Debian's Chromium without a network, and what is asked of a page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where none is installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium; install it by apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280) -> Iterator[Any]:
    """The page of a file, without a network; it must ask for none, and no script may fail."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, told, asked = context.new_page(), [], []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("#response-figure .main-svg, #response-figure.empty")
    yield page
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


OVERLAPS = """
() => {
  const found = [];
  for (const figure of document.querySelectorAll('.js-plotly-plot')) {
    const texts = [...figure.querySelectorAll('svg text')].filter((each) =>
      each.textContent.trim() && each.getBoundingClientRect().width
      && !each.closest('.hoverlayer'));
    const boxes = texts.map((each) => each.getBoundingClientRect());
    const whole = figure.getBoundingClientRect();
    boxes.forEach((box, at) => {
      const told = `${figure.id}: ${texts[at].textContent}`;
      if (box.left < whole.left - 1 || box.right > whole.right + 1
          || box.top < whole.top - 1 || box.bottom > whole.bottom + 1) found.push(`${told} is cut`);
      for (let other = 0; other < at; other++) {
        const [a, b] = [box, boxes[other]];
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 3) found.push(`${told} lies over ${texts[other].textContent}`);
      }
    });
  }
  return found;
}
"""
"""Texts of figures that lie over each other or reach beyond their figure."""

CUT = """
() => [...document.querySelectorAll('body *')]
  .filter((each) => !each.closest('.js-plotly-plot') && !['SCRIPT', 'STYLE'].includes(each.tagName))
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth
    && getComputedStyle(each).overflowX !== 'visible')
  .map((each) => each.id || each.className || each.tagName)
"""
"""Elements that hide, or scroll, a part of what is in them."""
