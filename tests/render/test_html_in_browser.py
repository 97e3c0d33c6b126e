"""The page in a real browser: it says nothing on the console, the table sorts and filters, links open layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from chromium import BINARY, Browser, browser
from hand_made import ALL, accepted_report, full_report, healthy_report, many_layers

from bncheck.render import renderer
from bncheck.results.report import Report

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BINARY is None, reason="no Chromium is installed")]
render = renderer("html")


@cache
def drawn(make: Callable[[], Report]) -> str:
    """The page of a report; its figures take most of a second."""
    return render(make())


def five_hundred_layers() -> Report:
    """Without their channels, whose figures the table has no part in."""
    report = many_layers(500)
    return replace(report, layers=tuple(replace(layer, table=None) for layer in report.layers))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One for all pages: its start costs more than opening them all."""
    with browser() as made:
        yield made


@pytest.fixture
def ask(chromium: Browser, tmp_path: Path) -> Callable[..., Any]:
    """Gives what a script returns in a report's page, whose console must stay silent."""

    def answer(make: Callable[[], Report], script: str, width: int = 1280) -> Any:
        file = tmp_path / "report.html"
        file.write_text(drawn(make), encoding="utf-8")
        with chromium.page(file, width) as page:
            returned = page.returned(script)
            assert page.console() == []
        return returned

    return answer


NAMES = """const names = () => [...document.querySelectorAll("#layer-table tbody tr")].map(
  (row) => row.querySelector("th").textContent);"""


@pytest.mark.parametrize("make", [*ALL.values(), accepted_report], ids=[*ALL, "accepted"])
def test_nothing_goes_to_the_console_or_the_network(make: Callable[[], Report], ask: Callable[..., Any]) -> None:
    asked = 'return performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:")).length;'
    assert ask(make, asked) == 0


def test_the_console_is_heard(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<script>console.error('loud'); nothing.at.all()</script>", encoding="utf-8")
    with chromium.page(file) as page:
        assert len(page.console()) == 2


def test_the_table_sorts_by_number_and_says_so(ask: Callable[..., Any]) -> None:
    report = full_report()
    script = f"""{NAMES}
      const heads = [...document.querySelectorAll("#layer-table thead th")];
      const head = heads.find((one) => one.textContent.includes("gap"));
      const before = names();
      head.click();
      await new Promise((done) => setTimeout(done, 200));
      const falling = [names(), head.getAttribute("aria-sort")];
      head.click();
      await new Promise((done) => setTimeout(done, 200));
      return {{before, falling, rising: [names(), head.getAttribute("aria-sort")]}};"""
    told = ask(full_report, script)
    measured = sorted((layer for layer in report.layers if layer.gap is not None), key=lambda layer: -layer.gap)
    order = [layer.name for layer in measured]
    assert told["before"] == [layer.name for layer in report.layers]
    assert told["falling"][0][: len(order)] == order
    assert told["falling"][1] == "descending"
    assert told["rising"][0][-len(order) :] == order[::-1]
    assert told["rising"][1] == "ascending"


def test_the_table_filters_by_name_and_by_finding(ask: Callable[..., Any]) -> None:
    script = f"""{NAMES}
      const field = document.querySelector(".filter input");
      const filtered = {{}};
      for (const text of ["transition", "BN706", "no such layer"]) {{
        field.value = text;
        field.dispatchEvent(new Event("input"));
        await new Promise((done) => setTimeout(done, 600));
        filtered[text] = [...document.querySelectorAll("#layer-table tbody tr")].map((row) => row.textContent.trim());
      }}
      return [filtered, field.labels.length];"""
    filtered, labels = ask(full_report, script)
    assert len(filtered["transition"]) == 1
    assert filtered["transition"][0].startswith("backbone.transition.norm")
    assert len(filtered["BN706"]) == 1
    assert filtered["BN706"][0].startswith("auxiliary_classifier.branch3x3dbl.bn")
    assert filtered["no such layer"] == ["No layer matches."]
    assert labels == 1


def test_a_link_opens_the_layer(ask: Callable[..., Any]) -> None:
    script = """
      const target = document.getElementById("layer-3");
      const before = target.closest("details").open;
      document.querySelector('#layer-table a[href="#layer-3"]').click();
      await new Promise((done) => setTimeout(done, 300));
      return [before, target.closest("details").open];"""
    assert ask(full_report, script) == [False, True]


@pytest.mark.parametrize("width", [390, 1280])
def test_every_chart_is_seen_whole_at_any_width(width: int, ask: Callable[..., Any]) -> None:
    """None is cut or scrolled, and its letters are no smaller than can be read."""
    script = """
      for (const one of document.querySelectorAll("details.layer")) one.open = true;
      const shown = [...document.querySelectorAll("figure svg")].filter((one) => one.getClientRects().length);
      return shown.map((one) => {
        const box = one.getBoundingClientRect(), letters = [...one.querySelectorAll("text")];
        const least = Math.min(...letters.map((text) => text.getBoundingClientRect().height));
        return [box.left >= 0 && box.right <= window.innerWidth, least];
      });"""
    told = ask(full_report, script, width)
    assert len(told) == 2 + 2 + 2 * 4  # score and depth, two of batches, two for each measured layer
    assert all(whole for whole, _ in told)
    assert min(least for _, least in told) >= 9


def test_a_click_selects_the_whole_command(ask: Callable[..., Any]) -> None:
    script = """return [...document.querySelectorAll("pre.command")].map((one) => getComputedStyle(one).userSelect);"""
    assert ask(full_report, script) == ["all", "all"]


def test_on_paper_there_is_nothing_to_press_and_the_ground_is_white(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(drawn(full_report), encoding="utf-8")
    with chromium.page(file) as page:
        page.ask("Emulation.setEmulatedMedia", media="print")
        hidden = 'return ["nav", ".theme", ".filter", ".skip"].map((one) => document.querySelector(one).offsetHeight);'
        assert page.returned(hidden) == [0, 0, 0, 0]
        page.returned('document.getElementById("theme-dark").click(); return 0')
        assert page.returned("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_light_and_dark_by_choice(ask: Callable[..., Any]) -> None:
    script = """
      const ground = () => getComputedStyle(document.body).backgroundColor;
      const told = {};
      for (const name of ["light", "dark"]) {
        document.getElementById(`theme-${name}`).click();
        told[name] = ground();
      }
      return told;"""
    told = ask(healthy_report, script)
    assert told == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}


_CONTRAST = """
  const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [red, green, blue] = numbers(colour).map((value) => channel(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
  };
  const poor = [];
  for (const name of ["light", "dark"]) {
    document.getElementById(`theme-${name}`).click();
    for (const element of document.querySelectorAll("body *:not(script, style, title, desc)")) {
      const texts = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!texts) continue;
      const style = getComputedStyle(element);
      const colour = element.closest("svg") ? style.fill : style.color;
      const [high, low] = [light(colour), light(ground(element))].sort((a, b) => b - a);
      if ((high + 0.05) / (low + 0.05) < 4.5) poor.push([name, element.textContent.slice(0, 40), colour]);
    }
  }
  return poor;"""


def test_every_text_has_enough_contrast_in_light_and_dark(ask: Callable[..., Any]) -> None:
    assert ask(full_report, _CONTRAST) == []


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_itself_never_scrolls_sideways(width: int, ask: Callable[..., Any]) -> None:
    script = """const page = document.documentElement;
      return [window.innerWidth, page.scrollWidth - page.clientWidth];"""
    assert ask(accepted_report, script, width) == [width, 0]


def test_five_hundred_layers_are_filtered(ask: Callable[..., Any]) -> None:
    script = f"""{NAMES}
      const field = document.querySelector(".filter input");
      const all = names().length;
      field.value = "stages.9.";
      field.dispatchEvent(new Event("input"));
      await new Promise((done) => setTimeout(done, 600));
      return [all, names().length];"""
    assert ask(five_hundred_layers, script) == [500, 50]
