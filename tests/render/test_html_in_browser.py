"""The page in a real browser: it says nothing on the console, the table sorts and filters, links open layers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from chromium import BINARY, opened
from hand_made import ALL, accepted_report, full_report, healthy_report, many_layers

from bncheck.render import renderer
from bncheck.results.report import Report

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BINARY is None, reason="no Chromium is installed")]
render = renderer("html")


def ask(folder: Path, report: Report, script: str) -> Any:
    """What `script` returns in the page, and the console must stay silent."""
    page = folder / "report.html"
    asking = f"""<script type="module">
      const answer = await (async () => {{ {script} }})();
      const told = document.createElement("pre");
      told.id = "answer";
      told.textContent = JSON.stringify(answer);
      document.body.append(told);
    </script></body>"""
    page.write_text(render(report).replace("</body>", asking), encoding="utf-8")
    document, console = opened(page)
    assert console == []
    found = re.search(r'<pre id="answer">(.*?)</pre>', document, re.DOTALL)
    assert found is not None, "the script did not come to its end"
    return json.loads(unescape(found[1]))


NAMES = """const names = () => [...document.querySelectorAll("#layer-table tbody tr")].map(
  (row) => row.querySelector("th").textContent);"""


@pytest.mark.parametrize("make", [*ALL.values(), accepted_report], ids=[*ALL, "accepted"])
def test_nothing_goes_to_the_console_or_the_network(make: Callable[[], Report], tmp_path: Path) -> None:
    asked = 'return performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:")).length;'
    assert ask(tmp_path, make(), asked) == 0


def test_the_console_is_heard(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>console.error('loud'); nothing.at.all()</script>", encoding="utf-8")
    _, console = opened(page)
    assert len(console) == 2


def test_the_table_sorts_by_number_and_says_so(tmp_path: Path) -> None:
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
    told = ask(tmp_path, report, script)
    measured = sorted((layer for layer in report.layers if layer.gap is not None), key=lambda layer: -layer.gap)
    order = [layer.name for layer in measured]
    assert told["before"] == [layer.name for layer in report.layers]
    assert told["falling"][0][: len(order)] == order
    assert told["falling"][1] == "descending"
    assert told["rising"][0][-len(order) :] == order[::-1]
    assert told["rising"][1] == "ascending"


def test_the_table_filters_by_name_and_by_finding(tmp_path: Path) -> None:
    script = f"""{NAMES}
      const field = document.querySelector(".dt-search input");
      const filtered = {{}};
      for (const text of ["transition", "BN706", "no such layer"]) {{
        field.value = text;
        field.dispatchEvent(new Event("input"));
        await new Promise((done) => setTimeout(done, 600));
        filtered[text] = [...document.querySelectorAll("#layer-table tbody tr")].map((row) => row.textContent.trim());
      }}
      return [filtered, field.labels.length];"""
    filtered, labels = ask(tmp_path, full_report(), script)
    assert len(filtered["transition"]) == 1
    assert filtered["transition"][0].startswith("backbone.transition.norm")
    assert len(filtered["BN706"]) == 1
    assert filtered["BN706"][0].startswith("auxiliary_classifier.branch3x3dbl.bn")
    assert filtered["no such layer"] == ["No layer matches."]
    assert labels == 1


def test_a_link_opens_the_layer(tmp_path: Path) -> None:
    script = """
      const target = document.getElementById("layer-3");
      const before = target.closest("details").open;
      document.querySelector('#layer-table a[href="#layer-3"]').click();
      await new Promise((done) => setTimeout(done, 300));
      return [before, target.closest("details").open];"""
    assert ask(tmp_path, full_report(), script) == [False, True]


def test_light_and_dark_by_choice(tmp_path: Path) -> None:
    script = """
      const ground = () => getComputedStyle(document.body).backgroundColor;
      const told = {};
      for (const name of ["light", "dark"]) {
        document.getElementById(`theme-${name}`).click();
        told[name] = ground();
      }
      return told;"""
    told = ask(tmp_path, healthy_report(), script)
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


def test_every_text_has_enough_contrast_in_light_and_dark(tmp_path: Path) -> None:
    assert ask(tmp_path, full_report(), _CONTRAST) == []


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_itself_never_scrolls_sideways(width: int, tmp_path: Path) -> None:
    page = tmp_path / "inner.html"
    page.write_text(render(accepted_report()), encoding="utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        f"""<iframe src="inner.html" style="width:{width}px;height:900px;border:0"></iframe><pre id="answer"></pre>
        <script>onload = () => {{ const inner = frames[0].document.documentElement;
        document.getElementById("answer").textContent = inner.scrollWidth - inner.clientWidth; }}</script>""",
        encoding="utf-8",
    )
    document, console = opened(outer, "--allow-file-access-from-files")
    assert console == []
    assert '<pre id="answer">0</pre>' in document


def test_five_hundred_layers_are_filtered(tmp_path: Path) -> None:
    script = f"""{NAMES}
      const field = document.querySelector(".dt-search input");
      const all = names().length;
      field.value = "stages.9.";
      field.dispatchEvent(new Event("input"));
      await new Promise((done) => setTimeout(done, 600));
      return [all, names().length];"""
    assert ask(tmp_path, many_layers(500), script) == [500, 50]
