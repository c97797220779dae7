"""The page in a real browser: offline, sealed, usable with and without script, in both themes, on a phone, in print."""

import json
import re
from importlib.resources import files as files_of
from itertools import pairwise
from pathlib import Path

import pytest

from attrib.report.html.page import to_html
from attrib.report.json_report import from_json, to_json
from attrib.report.view.view import view_of
from tests.report.factory import (
    SNIPPET,
    compiled,
    document,
    hostile,
    huge,
    mismatched,
    one_sided,
    tried_document,
)
from tests.report.html.browsing import eventually
from tests.report.screens import SCREENS

pytestmark = pytest.mark.browser
AXE = (files_of("axe_playwright_python") / "axe.min.js").read_text()
SAMPLE = Path(__file__).parents[3] / "reports" / "bert-base-uncased.json"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "base": to_html(document()),
        "static": to_html(document(), interactive=False),
        "compiled": to_html(compiled(), interactive=False),
        "hostile": to_html(hostile()),
        "huge": to_html(huge(), interactive=False),
        "wrong": to_html(mismatched(), interactive=False),
        "one": to_html(one_sided(), interactive=False),
        "tried": to_html(tried_document(), interactive=False),
    }
    for name, data in pages.items():
        (folder / f"{name}.html").write_bytes(data)
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", SCREENS)
def test_first_screen_fits_and_nothing_on_it_overlaps(opened, screens, name, width, scheme):
    page = opened(screens[name], viewport={"width": width, "height": 900}, color_scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for row in page.locator(".wf tr").all():
        label, bar, value, ends = (box.bounding_box() for box in row.locator("a, svg, .value, .ends").all())
        texts = sorted((label, value, ends), key=lambda box: box["x"])
        assert all(a["x"] + a["width"] <= b["x"] for a, b in pairwise(texts))
        assert texts[-1]["x"] + texts[-1]["width"] <= width
        if width == 400:
            assert bar["y"] >= max(box["y"] + box["height"] for box in texts) - 4
        else:
            assert label["x"] + label["width"] <= bar["x"]
            assert bar["x"] + bar["width"] <= value["x"]
            assert abs(bar["y"] + bar["height"] / 2 - value["y"] - value["height"] / 2) < 4


def test_name_of_a_cause_leads_to_its_rows(opened, files):
    page = opened(files["static"]).page
    page.locator(".wf a", has_text="Fused operators").click()
    count = sum(row.cause == "fused" for row in document().ledger)
    eventually(lambda: page.locator("#rows tbody tr").count() == count)
    rows = page.locator("#rows tbody tr:visible td:nth-child(2)").all_text_contents()
    assert {row.strip() for row in rows} == {"Fused operators"}
    assert -1 <= page.locator("#operators").bounding_box()["y"] <= 900


def test_name_of_a_cause_leads_to_its_largest_row_without_script(opened, files):
    page = opened(files["static"], java_script_enabled=False).page
    page.locator(".wf a", has_text="Fused operators").click()
    row = page.locator("#rows tr:target")
    assert row.locator("td").nth(0).text_content().strip() == "Fused operators"
    assert 0 <= row.bounding_box()["y"] <= 900


def test_remainders_open_with_their_link(opened, files):
    page = opened(files["static"]).page
    page.locator(".wf a", has_text="Not explained").click()
    page.wait_for_selector("#remainders:visible")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "width"), [("base", 1280), ("static", 400), ("tried", 1280), ("hostile", 400)]
)
def test_axe_finds_no_violation(opened, files, name, width, scheme):
    page = opened(files[name], viewport={"width": width, "height": 900}, color_scheme=scheme).page
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")
    assert found["passes"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def draw(page) -> None:
    page.click("#charts > summary")
    page.wait_for_selector("#charts[data-drawn=yes]")


@pytest.fixture(scope="module")
def screens(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("screens")
    for name, make in SCREENS.items():
        (folder / f"{name}.html").write_bytes(to_html(make(), interactive=False))
    return {name: (folder / f"{name}.html").as_uri() for name in SCREENS}


@pytest.mark.parametrize("name", ["base", "hostile", "huge", "wrong", "one", "tried", "compiled"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out_sideways(opened, files, name, width):
    page = opened(files[name], viewport={"width": width, "height": 900}).page
    page.click("#expand")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_charts_draw_under_the_policy_and_react_to_the_pointer(opened, files):
    page = opened(files["base"]).page
    assert page.evaluate("window.Plotly") is None
    draw(page)
    assert page.locator(".plot .main-svg").count() >= 4
    assert page.locator("#plot-waterfall .point").count() == len(document().causes) + 2
    page.locator("#plot-waterfall").scroll_into_view_if_needed()
    box = page.locator("#plot-waterfall .point").first.bounding_box()
    for shift in (3, 0):
        page.mouse.move(box["x"] + box["width"] / 2 + shift, box["y"] + box["height"] / 2)
    page.wait_for_selector("#plot-waterfall .hovertext")
    assert "120.245" in page.locator("#plot-waterfall .hovertext").first.text_content()


def test_no_waterfall_is_drawn_where_its_stairs_would_mislead(opened, tmp_path):
    place = tmp_path / "tiny.html"
    place.write_bytes(to_html(SCREENS["tiny-nodes"]()))
    page = opened(place.as_uri()).page
    draw(page)
    assert page.locator("#plot-waterfall").is_hidden()


def test_chart_can_be_saved_but_not_sent_anywhere(opened, files):
    page = opened(files["base"]).page
    draw(page)
    titles = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"}
    page.locator("#plot-steps").hover()
    with page.expect_download() as started:
        page.locator("#plot-steps .modebar-btn").first.click()
    assert Path(started.value.path()).read_bytes().startswith(b"\x89PNG")


def test_charts_follow_the_theme(opened, files):
    page = opened(files["base"], color_scheme="light").page
    draw(page)
    color = "getComputedStyle(document.querySelector('#plot-steps .main-svg')).backgroundColor"
    light = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    eventually(lambda: page.evaluate(color) == "rgb(22, 27, 34)" != light)


def test_hostile_strings_stay_text_even_in_charts(opened, files):
    page = opened(files["hostile"]).page
    draw(page)
    for point in page.locator("#plot-modules .slice").all()[:6]:
        point.hover(force=True)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0
    assert page.locator("main a:not([href^='#'])").count() == 0
    assert page.locator("body script").count() == 4


def test_sorting_turns_the_table_and_says_so(opened, files):
    page = opened(files["static"]).page
    header = page.locator("#rows thead th").nth(4)
    column = "document.querySelectorAll('#rows tbody td:nth-child(5)')"
    figures = f"[...{column}].map(cell => parseFloat(cell.textContent.replace('−', '-')))"
    header.locator("button").click()
    falling = page.evaluate(figures)
    assert falling == sorted(falling, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    header.locator("button").press("Enter")
    assert page.evaluate(figures) == sorted(falling)
    assert header.get_attribute("aria-sort") == "ascending"


def test_filter_shows_matching_rows_and_their_exact_sum(opened, files):
    page = opened(files["static"]).page
    page.fill("#filter", "layer.3. gemm")
    page.select_option("#filter-cause", label="Kernel speed")
    rows = [
        row
        for row in document().ledger
        if row.module.startswith("encoder.layer.3.") and "Gemm" in row.onnx_ops and row.cause == "kernel"
    ]
    shown = page.locator("#rows tbody tr:visible")
    eventually(lambda: shown.count() == 6)
    assert len(rows) == 6
    total = f"{abs(sum(row.delta_ns for row in rows)) / 1e6:.3f}"
    assert page.locator("#filter-sum").text_content() == f"6 of {len(document().ledger)} rows, Δ −{total}"
    assert {row.get_attribute("id") for row in shown.all()} == {f"row/{row.id}" for row in rows}
    page.click("#filter-clear")
    eventually(lambda: shown.count() == len(view_of(document()).operators.lines))


def test_search_reaches_rows_of_lines_and_of_no_line_and_what_is_behind_them(opened, files):
    page = opened(files["static"]).page
    lines = view_of(document()).operators.lines
    held = {position for line in lines for position in line.members}
    rolled_up = next(
        item.row for position, item in enumerate(view_of(document()).operators.rows) if position not in held
    )
    page.fill("#filter", rolled_up.id)
    eventually(lambda: page.locator("#filter-sum").text_content().startswith("1 of "))
    assert page.locator("#rows tbody tr").get_attribute("id") == f"row/{rolled_up.id}"
    page.fill("#filter", "node_gelu_7/biasgelu")
    eventually(lambda: page.locator("#rows tbody th").all_inner_texts() != [rolled_up.region])
    assert page.locator("#rows tbody tr").count() == 1
    assert "layer.7" in page.locator("#rows tbody th").inner_text()


def test_slash_goes_to_the_search_but_not_from_a_field(opened, files):
    page = opened(files["static"]).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter"
    assert page.locator("#filter").input_value() == ""
    page.keyboard.press("/")
    assert page.locator("#filter").input_value() == "/"


def test_line_opens_to_its_rows_which_sum_to_it_and_closes_again(opened, files):
    page = opened(files["static"]).page
    line = next(line for line in view_of(document()).operators.lines if len(line.members) == 12)
    row = page.locator(f"[id='{line.anchor}']")
    summary = row.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    members = page.locator("#rows tbody tr.member")
    eventually(lambda: members.count() == 12)
    ops = row.locator("td").nth(1).inner_html()
    assert "<wbr>" in ops
    assert members.first.locator("td").nth(1).inner_html() == ops, "names break alike in rows of the script"
    assert summary.evaluate("at => document.activeElement === at"), "the focus stays"
    figures = [
        float(text.replace("−", "-")) for text in members.locator("td:nth-child(7)").all_text_contents()
    ]
    assert sum(figures) == pytest.approx(line.row.delta_ns / 1e6, abs=0.0005 * 12)
    page.keyboard.press("Enter")
    eventually(lambda: members.count() == 0)


def test_nothing_scrolls_sideways_on_a_phone_and_rows_stand_with_delta_and_bar(opened, files):
    page = opened(files["base"], viewport={"width": 400, "height": 900}).page
    page.click("#expand")
    wide = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1
            && !['visible', 'clip'].includes(getComputedStyle(e).overflowX) && !e.closest('.sr'))
            .map(e => `${e.tagName} ${e.className} ${e.id}`)"""
    )
    assert wide == []
    for row in page.locator("#rows tbody tr").all()[:5]:
        name, delta, bar = (
            row.locator(part).bounding_box() for part in ("summary", "td:nth-child(7)", ".db")
        )
        assert name["x"] + name["width"] <= delta["x"] + 1
        assert delta["y"] <= bar["y"] <= delta["y"] + delta["height"]
        assert [cell.is_visible() for cell in row.locator("td").all()].count(True) == 1


def test_names_of_what_passed_are_listed_when_asked(opened, files):
    page = opened(files["static"]).page
    names = page.locator("#checks details").first
    assert names.locator("li").first.is_hidden()
    names.locator("summary").click()
    assert "All nodes run on the requested provider" in names.inner_text()


def test_finding_shows_its_rows_in_the_table(opened, files):
    page = opened(files["static"]).page
    page.locator("[id='finding/layout-churn'] .rows-of").click()
    eventually(lambda: page.locator("#rows tbody tr").count() == 24)
    causes = page.locator("#rows tbody tr:visible td:nth-child(2)").all_text_contents()
    assert [cause.strip() for cause in causes] == ["Layout changes"] * 24


@pytest.mark.parametrize(
    ("fragment", "inside"),
    [
        ("finding/operator-fusion", "details.finding"),
        ("row/encoder.layer.3.attention.self/sdpa/decomposed", "th > details"),
        ("rows/encoder.layer.0.intermediate.dense/linear/kernel", "th > details"),
        ("row/encoder.layer.3.output/dropout/missing_work", "th > details"),
    ],
)
def test_permalink_opens_what_it_names(opened, files, fragment, inside):
    page = opened(files["static"]).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = false; })")
    page.evaluate(f"location.hash = {fragment!r}")
    target = page.locator(f"[id='{fragment}']")
    page.wait_for_selector(f"[id='{fragment}'].hit")
    assert target.is_visible()
    assert page.evaluate(
        f"""(() => {{ const at = document.getElementById({fragment!r});
        return (at.matches({inside!r}) ? at : at.querySelector({inside!r}) ?? at.closest({inside!r})).open; }})()"""
    )
    box = target.bounding_box()
    assert -1 <= box["y"] <= 900


def test_link_to_a_row_that_is_rolled_up_says_so(opened, files):
    page = opened(files["huge"] + "#row/nowhere").page
    assert "rolled up" in page.locator("#status").text_content()


def test_opened_row_links_to_itself(opened, files):
    page = opened(files["static"]).page
    page.locator("#rows tbody summary").first.click()
    link = page.locator("#rows tbody details a").first
    assert link.get_attribute("href") == "#" + page.locator("#rows tbody tr").first.get_attribute("id")


def test_link_to_a_check_that_passed_names_it(opened, files):
    page = opened(files["static"] + "#finding/host-copies").page
    page.wait_for_selector("[id='finding/host-copies'].hit")
    assert "Copies between host and device" in page.locator("#status").text_content()


LINEAR = "row/encoder.layer.3.intermediate.dense/linear/kernel"


def unfold(page) -> None:
    """Open every line of the operator table that folds rows."""
    for summary in page.locator("#rows tr.fold summary").all():
        summary.evaluate("at => at.click()")
    lines = view_of(document()).operators.lines
    count = len(lines) + sum(len(line.members) for line in lines if len(line.members) > 1)
    eventually(lambda: page.locator("#rows tbody tr").count() == count)


def test_a_compiled_node_for_many_calls_is_told_in_one_line_each(opened, files):
    page = opened(files["compiled"]).page
    row = page.locator("[id='row/(root)/compiled%20partition%201:fused']")
    row.locator("summary").click()
    page.wait_for_selector(".trail")
    calls = page.locator(".trail .lane").first.locator("li")
    assert calls.count() == 37
    modules = page.locator(".trail .lane").first.locator("li code").all_text_contents()
    assert modules == ["embeddings", "encoder.layer.0.attention.self", "encoder.layer.0.output.dense"]
    assert calls.nth(0).get_attribute("title") == "float[1×128×768]"
    assert max(item.bounding_box()["height"] for item in calls.all()[:37]) < 48
    assert "one node for 37 calls" in page.locator(".trail .lane").last.inner_text()
    assert "aten::linear ×37" in row.locator("td").nth(1).inner_text()


def evidence(page, place="#rows .trail-row") -> str:
    page.wait_for_selector(f"{place} .trail")
    return " ".join(page.locator(f"{place} .trail").first.inner_text().split())


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_row_opens_to_its_calls_nodes_and_rewrites_and_closes_again(opened, files, how):
    page = opened(files["static"]).page
    unfold(page)
    summary = page.locator(f"[id='{LINEAR}'] summary")

    def act():
        if how == "mouse":
            summary.click()
        else:
            summary.focus()
            page.keyboard.press("Enter")

    act()
    text = evidence(page)
    row = next(row for row in document().ledger if row.id == LINEAR.removeprefix("row/"))
    assert f"aten::linear {row.torch_ns / 1e6:.3f} ms" in text
    assert "Exported graph 1 node Gemm node_Gemm_3 fx node fx_1" in text
    assert "ONNX Runtime ran 1 node" in text
    assert "CPUExecutionProvider" in text
    assert "MatMul + Add → Gemm by MatMulAddFusion" in text
    assert "Match: identity, confidence 100 % value name linear_3 is in both graphs" in text
    below = page.locator(f"[id='{LINEAR}'] + tr.trail-row")
    assert below.get_attribute("id") == summary.get_attribute("aria-controls")
    act()
    eventually(lambda: page.locator("#rows .trail-row").count() == 0)


def test_other_work_of_the_region_is_told_apart(opened, files):
    page = opened(files["static"]).page
    unfold(page)
    page.locator("[id='row/encoder.layer.3.attention.self.query/linear/kernel'] summary").click()
    assert "Gemm" in evidence(page)
    other = page.locator(".trail-row .lane li.other")
    assert other.all_inner_texts()[0].startswith("Reshape")
    assert "Layout changes" in other.first.inner_text()


def test_compiled_kernel_lists_what_it_covers(opened, files):
    page = opened(files["static"]).page
    unfold(page)
    page.locator("[id='row/encoder.layer.3.intermediate.intermediate_act_fn/gelu/fused'] summary").click()
    assert "one compiled kernel for 1 op: aten::gelu gelu_7" in evidence(page)


def test_opened_evidence_moves_with_its_row_and_hides_with_it(opened, files):
    page = opened(files["static"]).page
    unfold(page)
    page.locator(f"[id='{LINEAR}'] summary").click()
    evidence(page)
    page.locator("#rows thead th").nth(0).locator("button").click()
    assert page.locator(f"[id='{LINEAR}'] + tr.trail-row").count() == 1
    page.fill("#filter", "no such thing")
    eventually(lambda: page.locator("#rows tbody tr:visible").count() == 0)
    assert page.locator("#filter-sum").text_content().startswith(f"0 of {len(document().ledger)} rows")


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_line_of_the_module_tree_opens_to_the_same_evidence(opened, files, how):
    page = opened(files["static"]).page
    page.locator("#modules summary:visible > span:first-child", has_text=re.compile("^intermediate$")).click()
    leaf = page.locator("#modules .opens > details > summary:visible", has_text="dense").first
    if how == "mouse":
        leaf.click()
    else:
        leaf.focus()
        page.keyboard.press("Enter")
    layers = page.locator("#modules .rowed > summary")
    eventually(lambda: layers.count() == 12)
    layers.nth(3).click()
    text = evidence(page, "#modules .rowed[open]")
    assert "MatMul + Add → Gemm by MatMulAddFusion" in text
    assert "aten::linear" in text


def test_every_kind_of_row_opens_without_trouble(opened, files):
    for name in ("hostile", "huge", "wrong"):
        page = opened(files[name]).page
        for rows in ("tr:not(.member)", "tr.member"):
            for summary in page.locator(f"#rows tbody {rows} summary").all()[:14]:
                summary.evaluate("e => e.click()")
            page.wait_for_timeout(300)
        assert page.evaluate("window.pwned") is None
        assert page.locator("img").count() == 0
        shown = page.locator("main").inner_text()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
        assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert page.locator(".trail-row").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opened_evidence_fits_a_phone(opened, files, scheme):
    page = opened(files["static"], viewport={"width": 400, "height": 900}, color_scheme=scheme).page
    unfold(page)
    page.locator(f"[id='{LINEAR}'] summary").click()
    evidence(page)
    box, around = (page.locator(s).bounding_box() for s in (".trail-row .trail", "#operators .scroll"))
    assert box["x"] >= around["x"]
    assert box["x"] + box["width"] <= around["x"] + around["width"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_copy_gives_the_command(opened, files):
    one = opened(files["static"])
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.page.locator("[data-copy=command]").click()
    one.page.wait_for_selector("#status:visible")
    assert one.page.evaluate("navigator.clipboard.readText()") == document().command
    one.page.locator(".fix button").first.click()
    eventually(lambda: one.page.evaluate("navigator.clipboard.readText()") == "attrib profile --opset 23")


def test_a_section_is_copied_as_markdown_whose_table_sums_and_whose_names_are_text(opened, files):
    one = opened(files["static"])
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def copied(section: str) -> str:
        one.page.locator(f"#{section} .copy.whole").click()
        eventually(lambda: "Markdown" in one.page.locator("#status").inner_text())
        return one.page.evaluate("navigator.clipboard.readText()")

    table = view_of(document()).operators
    text = copied("operators")
    lines = text.splitlines()
    assert lines[0] == f"## Operator pairs {table.total.count}"
    rows = [line for line in lines if line.startswith("| ")]
    assert len({line.count(" | ") for line in rows}) == 1
    assert len(rows) == 1 + 1 + len(table.lines) + 2
    assert f"−{abs(table.total.delta_ns) / 1e6:.3f}" in rows[-1]
    assert "encoder.layer.\\*.intermediate.dense/linear" in text
    assert rows[0].startswith("| Where | Cause |")
    assert re.search(r"^\| Kernel speed \|", copied("difference"), re.MULTILINE)
    assert re.search(r"^  - encoder.layer.\\\* ×12 .*−", copied("modules"), re.MULTILINE)
    assert "- 2 rules found nothing to change\n" in copied("checks")
    assert copied("environment").count("- Version: ") == 2


def test_hostile_names_are_inert_in_copied_markdown(opened, files):
    one = opened(files["hostile"])
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for section in one.page.locator("section.card").all():
        section.locator(".copy.whole").click()
        text = one.page.evaluate("navigator.clipboard.readText()")
        assert text.startswith("## ")
        outside = re.sub(r"(?ms)^(`{3,})$.*?^\1$", "", text)
        assert not re.search(r"<(?!!-- -->)|(?<!\\)\[click|@someone|http://", outside)


def test_the_theme_is_the_readers_choice(opened, files):
    page = opened(files["base"], color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(14, 17, 22)" != light
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.click("#theme")
    assert page.evaluate(ground) == light


def test_the_best_configuration_is_copied_as_a_command_and_as_a_script(opened, files):
    one = opened(files["tried"])
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    best = next(result for result in tried_document().experiments if result.id == "best")
    one.page.locator("[data-copy=best-command]").click()
    eventually(
        lambda: one.page.evaluate("navigator.clipboard.readText()") == f"{document().command} {best.flags}"
    )
    one.page.locator(".best summary").click()
    one.page.locator("[data-copy=best-snippet]").click()
    eventually(lambda: one.page.evaluate("navigator.clipboard.readText()") == SNIPPET)


@pytest.mark.parametrize("width", [400, 1280])
def test_predicted_and_measured_are_drawn_without_script_and_dots_stand_where_they_should(
    opened, files, width
):
    page = opened(files["tried"], java_script_enabled=False, viewport={"width": width, "height": 900}).page
    row = page.locator("[id='experiment/opset-23']")
    predicted, measured = (row.locator("circle").nth(n).bounding_box() for n in (0, 1))
    assert measured["y"] > predicted["y"]
    assert measured["x"] < predicted["x"], "2.9 ms is left of 3.1 ms"
    missed = page.locator("[id='experiment/inverse-pairs']")
    assert missed.locator(".bad").text_content() == "missed"
    page.locator("[id='finding/layout-churn'] .gave a").first.click()
    assert row.is_visible()
    assert row.bounding_box()["y"] < 900


def test_download_is_the_report_byte_for_byte(opened, files):
    page = opened(files["static"]).page
    with page.expect_download() as started:
        page.click("#download")
    assert started.value.suggested_filename == "report.json"
    assert Path(started.value.path()).read_bytes() == to_json(document())


def test_page_is_complete_without_script(opened, files):
    page = opened(files["base"], java_script_enabled=False).page
    assert page.locator("h1").is_visible()
    assert page.locator("table.wf").is_visible()
    assert page.locator(".strip .marks").is_visible()
    assert page.locator("[id='finding/layout-churn'] .body").is_visible()
    table = view_of(document()).operators
    assert page.locator("#rows tbody tr").count() == len(table.lines)
    assert page.locator("#rows tfoot tr").count() == 2
    figures = page.locator("#rows :is(tbody tr, .other) > :nth-child(7)").all_text_contents()
    shown = sum(float(text.replace("−", "-")) for text in figures)
    assert shown == pytest.approx(table.total.delta_ns / 1e6, abs=0.0005 * len(figures))
    assert page.locator(":is(button, input, select):visible").count() == 0
    assert page.locator("#charts").is_hidden()
    assert page.locator("#modules summary", has_text="encoder.layer.*").first.is_visible()


def test_print_shows_tables_whole_and_hides_what_only_works_on_screen(opened, files):
    page = opened(files["static"]).page
    page.emulate_media(media="print")
    assert page.locator(".filter").is_hidden()
    assert page.locator("header.top").is_hidden()
    last = page.locator("#rows tbody tr").last.bounding_box()
    table = page.locator("#operators .scroll").bounding_box()
    assert last["y"] + last["height"] <= table["y"] + table["height"] + 1
    assert page.locator("[id='finding/operator-fusion'] .body").is_visible()
    assert len(page.pdf(format="A4")) > 20_000


MOST_PAGES = 6


@pytest.mark.parametrize(("interactive", "script"), [(True, True), (False, False)])
def test_bert_base_prints_on_few_pages(opened, tmp_path, interactive, script):
    place = tmp_path / "sample.html"
    place.write_bytes(to_html(from_json(SAMPLE.read_bytes()), interactive=interactive))
    page = opened(place.as_uri(), java_script_enabled=script).page
    pages = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
    assert 1 < len(pages) <= MOST_PAGES


def test_keyboard_goes_from_the_skip_link_through_the_page_in_order(opened, files):
    page = opened(files["static"]).page
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(json.loads(page.evaluate("""() => {
            const e = document.activeElement, b = e.getBoundingClientRect();
            return JSON.stringify([e.tagName, e.textContent.trim().slice(0, 20), b.top + scrollY, b.width * b.height]);
        }""")))  # fmt: skip
    assert seen[0][:2] == ["A", "Skip to the report"]
    assert "Expand all" in [text for _, text, _, _ in seen]
    in_main = [top for tag, _, top, _ in seen[12:] if tag != "BODY"]
    assert all(later >= before - 60 for before, later in pairwise(in_main))
    assert all(area > 0 for *_, area in seen)
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_controls_have_names_and_are_large_enough(opened, files):
    page = opened(files["static"]).page
    controls = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, select')].filter(e => e.checkVisibility()).map(e => [
            (e.getAttribute('aria-label') || e.textContent || e.labels?.[0]?.textContent || '').trim(),
            e.tagName, e.getBoundingClientRect().height])"""
    )
    assert [row for row in controls if not row[0]] == []
    assert [row for row in controls if row[1] == "BUTTON" and row[2] < 15] == []
