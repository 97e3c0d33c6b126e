"""The HTML page, read back by a parser: it holds together, holds everything, and nothing of a name is markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from drawn_tables import read_number
from hand_made import (
    ALL,
    HOSTILE,
    accepted_report,
    full_report,
    healthy_report,
    many_layers,
    measured,
    static_report,
    summary,
)
from parsed_html import Page

from bncheck.render import renderer
from bncheck.render.html import page as page_module
from bncheck.render.html import render_fragment
from bncheck.results.notes import OtherNote
from bncheck.results.report import Effect, Report
from bncheck.results.scores import Score

render = renderer("html")
EVERY = {**ALL, "accepted": accepted_report}
every_report = pytest.mark.parametrize("name", EVERY)


@cache
def source(name: str) -> str:
    return render(EVERY[name]())


@cache
def page(name: str) -> Page:
    return Page(source(name))


def resnet50() -> Report:
    """As many layers and channels as a ResNet-50 has: 53 layers, 26,560 channels."""
    random = np.random.default_rng(0)
    widths = [64]
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        widths += [width, width, 4 * width, 4 * width] + [width, width, 4 * width] * (blocks - 1)
    layers = []
    for at, width in enumerate(widths):
        layer = measured(
            f"layer{at // 14 + 1}.{at % 14}.bn{at % 3 + 1}",
            random.normal(0, 0.2, width).tolist(),
            np.exp(random.normal(0, 0.1, width)).tolist(),
            np.abs(random.normal(0, 0.05, width)).tolist(),
        )
        assert layer.table is not None
        stored_mean, stored_var = random.normal(0, 1, width), np.exp(random.normal(0, 1, width))
        table = replace(
            layer.table,
            stored_mean=stored_mean,
            stored_var=stored_var,
            measured_mean=stored_mean + layer.table.shift * np.sqrt(stored_var),
            measured_var=stored_var * layer.table.scale**2,
        )
        layers.append(replace(layer, table=table))
    assert sum(layer.channels for layer in layers) == 26_560
    return replace(full_report(), layers=tuple(layers), summary=summary(tuple(layers), "findings", 1, 0.02))


def test_the_badge_agrees_with_the_headline_where_all_was_accepted() -> None:
    report = accepted_report()
    alone = replace(report, findings=report.findings[1:], summary=replace(report.summary, exit_code=0))
    for judged, style, said in ((report, "findings", "✖ findings"), (alone, "ok", "✔ accepted")):
        for whole in (render(judged), render_fragment(judged)):
            (badge,) = Page(whole).all("p", class_="verdict")
            assert (style in badge.attributes["class"].split(), badge.plain) == (True, said)


@every_report
def test_the_page_holds_together(name: str) -> None:
    read = page(name)
    assert read.faults == []
    identities = Counter(element.attributes["id"] for element in read.elements if "id" in element.attributes)
    assert [identity for identity, times in identities.items() if times > 1] == []
    (html,) = read.all("html")
    assert html.attributes["lang"] == "en"
    assert [len(read.all(tag)) for tag in ("title", "main", "header", "nav", "footer", "h1")][1:] == [1] * 5


@every_report
def test_links_lead_somewhere_and_nothing_is_loaded(name: str) -> None:
    read = page(name)
    identities = {element.attributes.get("id") for element in read.elements}
    for element in read.elements:
        for attribute in ("href", "xlink:href", "src", "clip-path"):
            address = element.attributes.get(attribute)
            if address is None or address.startswith("data:"):
                continue
            inner = address.removeprefix("url(").removesuffix(")")
            assert inner.startswith("#"), element
            assert inner[1:] in identities, element
        for reference in (element.attributes.get("aria-labelledby") or "").split():
            assert reference in identities
    style = "".join(element.text for element in read.all("style"))
    assert "url(" not in style
    assert "@import" not in style


@every_report
def test_headings_descend_one_step_at_a_time(name: str) -> None:
    levels = [int(element.tag[1]) for element in page(name).elements if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_report
def test_tables_and_figures_can_be_listened_to(name: str) -> None:
    read = page(name)
    assert len(read.all("table")) == len(read.all("caption"))
    assert all(element.attributes.get("scope") in ("row", "col") for element in read.all("th"))
    for drawing in read.all("svg"):
        assert drawing.attributes["role"] == "img"
    described = [element.plain for element in read.all("desc")]
    assert len(described) == len(read.all("svg"))
    assert all(re.search(r"\d", text) for text in described)


@every_report
def test_every_finding_is_told_with_its_evidence_and_its_fix(name: str) -> None:
    report = EVERY[name]()
    articles = [element.plain for element in page(name).all("article")]
    for finding in report.findings:
        told = " ".join(finding.message.replace("\x1b", "�").replace("`", "'").split())
        (article,) = (text for text in articles if told in text.replace("`", "'"))
        assert finding.code in article
        assert finding.severity in article
        assert finding.fix in article
        assert all(key.replace("_", " ") in article for key in finding.evidence if key != "accepted")


@every_report
def test_the_table_has_the_numbers_of_the_report(name: str) -> None:
    report = EVERY[name]()
    text = source(name)
    table = text[text.index('<table id="layer-table"') :] if report.layers else ""
    rows = re.findall(r"<tr class.*?</tr>", table[: table.find("</table>")], re.DOTALL)
    assert len(rows) == len(report.layers)
    for row, layer in zip(rows, report.layers, strict=True):
        cells = [element.plain for element in Page(row).all("td")]
        assert cells[1] == str(layer.channels)
        values = (layer.shift_max, layer.gap, layer.own_gap, layer.noise)
        for told, value in zip((cells[2], *cells[4:7]), values, strict=True):
            shown = read_number(told)
            assert (shown is None) == (value is None)
            if value is not None:
                assert shown == pytest.approx(value, abs=0.00501, rel=0.051 if abs(value) > 999 else 0.005, nan_ok=True)


def test_nothing_of_a_name_is_markup() -> None:
    evil = '</script><script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b[31m'
    report = full_report()
    first, *others = report.layers
    finding = replace(report.findings[0], layers=(evil,), message=f"{evil} is wrong", fix=evil, evidence={evil: [evil]})
    read = Page(
        render(
            replace(
                report,
                layers=(replace(first, name=evil), *others),
                findings=(finding,),
                model=replace(report.model, path=evil),
                data=replace(report.data, source=evil),
                run=replace(report.run, noted=(OtherNote(evil),), options={evil: evil}),
            )
        )
    )
    assert read.faults == []
    assert read.all("img") == []
    assert len(read.all("script")) == 1
    assert not [element for element in read.elements if any(key.startswith("on") for key in element.attributes)]
    shown = evil.replace("\x1b", "�")
    assert read.all("title")[0].text == f"bncheck: {shown}"
    assert any(shown in element.text for element in read.all("th"))
    assert any(shown in element.text for element in read.all("dd"))


def test_hostile_names_are_shown_as_they_are() -> None:
    names = [element.text for element in page("accepted").all("th", scope="row")]
    assert HOSTILE.replace("\x1b", "�") in names


def test_the_figures_say_their_numbers_in_words() -> None:
    told = [element.plain for element in page("full").all("desc")]
    assert told[0] == "Accuracy: 71.2% as shipped, 75.1% normalized by the batch, 74.0% recalibrated."
    assert told[2].startswith("4 measured layers, in the order of the network. Gap in the stored pass: from 0.0")
    assert "largest in backbone.features.denseblock3.denselayer24.norm2; 3 of 4 above 0.25." in told[2]
    assert (told[1], told[3]) == (told[0], told[2])  # the same for narrow screens
    assert "8: gap 1.50, shift 1.75" in told[4]
    assert "8: scale 0.45..1.60" in told[5]
    assert len(told) == 6 + 2 * 4


def test_a_figure_is_named_by_what_predictions_are_judged_by() -> None:
    """Dice, or a metric of the user's: no name of another score stands on the page."""
    score = Score("Dice", True, 0.5, 0.6, 0.7, 0.2, 0.1, 0.3, 100)
    report = replace(full_report(), effect=Effect(None, 0.1, None, "positions", score))
    judged = Page(render(report))
    assert "Dice" in {element.attributes.get("aria-label") for element in judged.all("figure")}
    assert "accuracy" not in render(replace(report, findings=())).partition("<main")[2].casefold()


def test_what_was_not_measured_is_not_drawn() -> None:
    assert page("static").all("svg") == []
    assert [element.attributes.get("class") for element in page("empty").all("table")] == ["told"]
    assert len(page("healthy").all("svg")) == 2 + 2 * 2


def test_what_is_not_finite_is_said() -> None:
    told = [element.plain for element in page("broken").all("desc")]
    assert any("1 layer whose gap is not finite" in text for text in told)
    read = page("broken")
    assert not [element for element in read.elements if re.search(r"\bnan\b", element.attributes.get("d") or "")]


def test_a_report_without_channels_shows_what_there_is() -> None:
    report = full_report()
    layers = tuple(replace(layer, table=None) for layer in report.layers)
    read = Page(render(replace(report, layers=layers)))
    assert len(read.all("details", class_="layer")) == len(layers)
    assert len(read.all("svg")) == 6
    assert sum("read back from its JSON" in element.text for element in read.all("p")) == 4


def test_every_layer_has_its_details_and_its_worst_channels() -> None:
    details = page("full").all("details", class_="layer")
    assert [element.text.split()[0] for element in details] == [layer.name for layer in full_report().layers]
    assert "momentum 0.1" in details[0].plain
    assert "gap of each call 0.10, 0.95" in details[3].plain
    assert "reason not exercised" in details[4].plain


def test_what_it_cost_is_told_by_stage() -> None:
    section = next(element for element in page("full").all("section") if "How to repeat it" in element.plain)
    assert "cost 2,410 samples run" in section.plain
    assert "padding 1,813 samples" in section.plain
    assert "samples run" not in next(one for one in page("static").all("section") if "How to" in one.plain).plain


@pytest.mark.slow
def test_a_page_for_a_resnet_50_is_small() -> None:
    text = render(resnet50())
    assert len(text.encode()) < 700_000
    assert len(Page(text).all("image")) == 2 * page_module.DRAWN


@pytest.mark.slow
def test_a_page_of_three_hundred_layers_is_below_a_megabyte() -> None:
    """Of the widths of a ResNet-50, again and again."""
    report = resnet50()
    layers = tuple(
        replace(layer, name=f"backbone.{part}.{layer.name}") for part in range(6) for layer in report.layers
    )[:300]
    text = render(replace(report, layers=layers, summary=summary(layers, "findings", 1, 0.02)))
    assert len(Page(text).all("details", class_="layer")) == 300
    assert len(text.encode()) < 1_000_000


@pytest.mark.slow
def test_of_five_hundred_layers_the_largest_gaps_are_drawn_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a dozen: each figure takes as long as a hundred rows, and none is drawn otherwise than the last."""
    assert page_module.DRAWN == 30
    monkeypatch.setattr(page_module, "DRAWN", 12)
    report = many_layers(500)
    text = render(report)
    read = Page(text)
    assert read.faults == []
    assert len(read.all("details", class_="layer")) == 500
    drawn = [
        element.attributes["id"] for element in read.all("title") if "channels" in (element.attributes.get("id") or "")
    ]
    assert drawn == [f"layer-{at}-channels-{what}-title" for at in range(489, 501) for what in ("mean", "sd")]
    said = (
        "The channels are drawn and listed for the 12 layers with the largest gaps; 488 other layers name their worst"
    )
    assert said in " ".join(text.split())
    assert text.count("The channels of the largest gaps") == 12
    assert (
        len(re.findall("<dt>worst channel</dt> <dd>0, gap [^<]*: mean [^<]* measured; sd [^<]* measured</dd>", text))
        == 500
    )
    assert text.count("495 more of this kind") == 1


def test_five_layers_have_their_names_under_the_figure() -> None:
    read = Page(render(many_layers(5)))
    shown = [element.plain for element in read.all("text")]
    assert all(any(text.endswith(f"{at}.norm") for text in shown) for at in range(5))
    assert not any("largest gaps;" in element.plain for element in read.all("p"))


def test_the_page_is_the_same_every_time() -> None:
    assert render(full_report()) == source("full")


def test_the_users_matplotlib_is_left_as_it_was() -> None:
    import matplotlib

    with matplotlib.rc_context({"axes.facecolor": "red", "svg.fonttype": "path"}):
        text = render(healthy_report())
        assert matplotlib.rcParams["axes.facecolor"] == "red"
    assert "<text" in text
    assert text == source("healthy")


@every_report
def test_a_notebook_shows_verdict_findings_and_table(name: str) -> None:
    report: Report = EVERY[name]()
    text = report._repr_html_()
    assert text == render_fragment(report)
    read = Page(text)
    assert read.faults == []
    assert [read.all(tag) for tag in ("script", "svg", "html", "h1")] == [[], [], [], []]
    assert not [element for element in read.elements if "id" in element.attributes]
    assert len(read.all("article")) == len(page(name).all("article"))
    assert len(read.all("tr")) == (len(report.layers) + 1 if report.layers else 0)
    assert len(text) < 30_000


def test_a_static_audit_names_what_it_audited() -> None:
    assert "3 layers: 2 audited, 1 skipped" in page("static").all("caption")[0].plain
    assert static_report().findings[0].code in page("static").all("ul", class_="lead")[0].plain
