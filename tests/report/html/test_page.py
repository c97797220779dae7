"""The page as bytes: complete without script, sealed by its policy, the same every time, and bounded."""

import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from attrib.model.document import EvidenceRow, Gap
from attrib.report.html.embed import pack, pack_plotly, plotly_source
from attrib.report.html.filters import op
from attrib.report.html.page import PAGE_LIMIT, to_html
from attrib.report.json_report import from_json, to_json
from attrib.report.markdown.summary import to_markdown
from tests.report.factory import (
    HOSTILE,
    document,
    hostile,
    huge,
    ledger,
    mismatched,
    not_significant,
    one_sided,
    slower_document,
    tried_document,
)
from tests.report.screens import SCREENS, busy, quiet, same

ROOT = Path(__file__).parents[3]
STATIC_SIZE = 400_000
"""Bytes of BERT-base's page without charts: it goes into reviews."""

MOST_ROWS = 25
"""Rows of a table, with those that sum others."""

MOST_WORDS = 4_000
"""Words of BERT-base's page, in closed sections too: what can be read in a minute begins with what is short."""

MAKERS = {
    "faster": document, "slower": slower_document, "same": not_significant, "wrong": mismatched,
    "torch only": one_sided, "ort only": lambda: one_sided("onnxruntime"), "hostile": hostile,
    "tried": tried_document, "no findings": lambda: document(findings=()),
}  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "div", "span", "nav", "button", "main", "section",
    "h1", "h2", "h3", "p", "ul", "li", "svg", "desc", "defs", "pattern", "rect", "circle", "line", "text", "tspan",
    "path", "g", "figure", "figcaption", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th",
    "td", "details", "summary", "b", "i", "small", "code", "pre", "br", "wbr", "label", "input", "select", "option",
    "output", "footer", "script",
}  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes, visible text and scripts of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._within = False
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._raw = ""
        self.feed(data.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""
        self._within = tag == "wbr"

    def handle_endtag(self, tag):
        self._raw = ""

    def handle_data(self, data):
        if self._raw == "script":
            self.scripts.append(data)
        elif self._within:
            self.text[-1] += data  # a word that may break here is one word
        elif not self._raw:
            self.text.append(data)
        self._within = False

    def attribute(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]

    @property
    def policy(self) -> str:
        return next(a["content"] for t, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split()).replace("\u00a0", " ")


def static(made) -> bytes:
    return to_html(made, interactive=False)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(static(document()))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_page_holds_only_known_elements_and_no_handler(make):
    made = Page(static(make()))
    assert {tag for tag, _ in made.tags} <= TAGS
    assert not [name for _, attrs in made.tags for name in attrs if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_ids_are_unique_and_every_link_leads_somewhere(make):
    made = Page(static(make()))
    counts = Counter(made.attribute("id"))
    assert max(counts.values()) == 1, counts.most_common(1)
    links = set(made.attribute("href"))
    assert links
    assert {link[:1] for link in links} == {"#"}
    assert {link[1:] for link in links} <= set(counts)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_page_asks_for_nothing_from_outside(make):
    made = Page(to_html(make()))
    assert not made.attribute("src")
    assert made.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in made.policy
    assert not re.search(r"https?:|\*", made.policy)
    assert not re.search(r"blob:|data:", made.policy.replace("img-src data: blob:;", ""))


def test_policy_allows_exactly_the_scripts_of_the_page():
    made = Page(to_html(document()))
    allowed = set(re.findall(r"'sha256-([^']+)'", made.policy.split("script-src ")[1].split(";")[0]))
    inline = made.scripts[-1]
    hashes = {
        base64.b64encode(hashlib.sha256(text).digest()).decode()
        for text in (inline.encode(), plotly_source())
    }
    assert allowed == hashes


def test_policy_allows_the_style_of_the_page():
    data = static(document()).decode()
    style = re.search(r"<style>(.*?)</style>", data, re.DOTALL).group(1)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in Page(data.encode()).policy


def test_our_own_scripts_and_styles_cannot_end_their_element():
    for name in ("report.css", "report.js", "rows.js", "trail.js", "markdown.js", "timeline.js", "charts.js"):
        assert "</" not in (ROOT / "attrib/report/html/static" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_as_text(text):
    finding = msgspec.structs.replace(
        document().findings[0], title=text, summary=text, fix=text, evidence=(EvidenceRow(text=text),)
    )
    made = Page(static(document(findings=(finding,), command=text, warnings=(text,))))
    shown = text.replace("\x1b", "\\x1b").replace("\u202e", "\\u{202e}").replace("\ud800", "\\u{d800}")
    assert "".join(shown.split("\n")[0].split("\x07")[0].split("\u2066")[0].split("\udfff")[0].split("`"))[
        :30
    ] in ("".join("".join(made.text).replace("\u00a0", " ").split("`")))
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "".join(made.text)
    )


def test_long_text_is_shortened_and_its_title_too():
    data = static(hostile())
    assert b"L" * 5_000 not in data
    assert re.search(rb'title="L{200,}\xe2\x80\xa6L+"', data)


@pytest.mark.parametrize("make", [document, hostile, huge])
def test_same_document_gives_the_same_bytes(make):
    assert static(make()) == static(make())


def test_bytes_do_not_depend_on_the_hash_seed():
    code = (
        "import hashlib; from tests.report import factory; from attrib.report.html.page import to_html;"
        "print(hashlib.sha256(to_html(factory.hostile())).hexdigest())"
    )
    path = str(ROOT)
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(runs) == 1


def test_report_imports_nothing_heavy():
    code = (
        "import sys, attrib.report.html.page, attrib.report.json_report, attrib.report.markdown.summary,"
        " attrib.report.terminal.summary;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'pandas','plotly','torch','onnxruntime','transformers','scipy','onnx','pyarrow','numpy','rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_plotly_is_read_without_being_imported():
    code = "import sys; from attrib.report.html.embed import plotly_source; plotly_source(); print('plotly' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_the_chart_library_is_packed_fast_and_smaller_where_a_page_has_little_room():
    (source, fast), (same, small) = pack_plotly(), pack_plotly(small=True)
    assert (
        source == same == gzip.decompress(base64.b64decode(fast)) == gzip.decompress(base64.b64decode(small))
    )
    assert len(small) < len(fast)
    assert fast in to_html(document()).decode()
    assert small in to_html(huge()).decode()


def test_packing_gives_the_same_text_on_every_system():
    assert pack(b"x" * 100) == pack(b"x" * 100)
    raw = base64.b64decode(pack(b"x" * 100))
    assert gzip.decompress(raw) == b"x" * 100
    assert raw[4:8] == b"\0\0\0\0"
    assert raw[9] == 255


def _embedded(data: bytes, name: bytes = b"data") -> bytes:
    return gzip.decompress(base64.b64decode(re.search(rb'id="%b">([^<]+)<' % name, data).group(1)))


def packed_rows(data: bytes) -> list[list]:
    """What the page's script knows of the operator table: anchor, place, delta, cells and limit of each row."""
    return json.loads(_embedded(data, b"row-data"))


@pytest.mark.parametrize("interactive", [True, False])
def test_page_carries_the_whole_report(interactive):
    assert _embedded(to_html(document(), interactive=interactive)) == to_json(document())


def test_static_page_of_bert_base_is_small():
    assert len(static(document())) < STATIC_SIZE
    assert b'id="plotly"' not in static(document())


@pytest.mark.parametrize("interactive", [True, False])
@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased"])
def test_pages_of_the_samples_are_short(name, interactive):
    sample = from_json((ROOT / "reports" / f"{name}.json").read_bytes())
    made = Page(to_html(sample, interactive=interactive))
    body = made.words[made.words.index("Skip to the report") :]
    assert 1_000 < len(body.split()) <= MOST_WORDS


def many_op_types():
    """Both sides ran sixty kinds of operators, and each call is of a kind of its own without a counterpart."""
    base = document()
    ops = {f"op{number}": 1_000 * (number + 1) for number in range(60)}
    profiled = {
        role: msgspec.structs.replace(t, by_op_ns=ops, counts={}) for role, t in base.profiled.items()
    }
    rows = tuple(
        msgspec.structs.replace(
            row, torch_ops=(f"op{number}",), torch_calls=(f"call{number}",), onnx_nodes=()
        )
        for number, row in enumerate(ledger(3))
    )
    return document(rows, profiled=profiled)


@pytest.mark.parametrize("make", [document, huge, slower_document, tried_document, many_op_types])
def test_no_table_has_more_rows_than_a_reader_takes_in(make):
    data = static(make()).decode()
    tables = re.findall(r'<table class="data[^"]*"[^>]*>.*?</table>', data, re.DOTALL)
    counts = [len(re.findall(r"<tr\b", table.split("</thead>")[1])) for table in tables]
    assert max(counts) <= MOST_ROWS
    assert len(counts) > 2


@pytest.mark.parametrize("make", [document, huge, hostile])
def test_page_stays_below_its_limit(make):
    assert len(to_html(make())) <= PAGE_LIMIT


def test_page_stays_below_its_limit_even_where_every_string_is_long():
    filler = tuple(f"{n}" + "W" * 3_000 for n in range(8))
    rows = tuple(
        msgspec.structs.replace(
            row, id=f"{number}" + "V" * 5_000, region=filler[number % 8], onnx_nodes=filler, shapes=filler,
            match=msgspec.structs.replace(row.match, evidence=filler),
        )
        for number, row in enumerate(ledger(40))
    )  # fmt: skip
    assert len(to_html(document(rows))) <= PAGE_LIMIT


def test_data_that_does_not_fit_is_reduced_and_the_page_says_so():
    rng = __import__("random").Random(0)
    rows = tuple(
        msgspec.structs.replace(row, onnx_nodes=tuple(f"{rng.getrandbits(256):x}" for _ in range(4)))
        for row in huge().ledger
    )
    data = to_html(document(rows))
    assert len(data) <= PAGE_LIMIT
    assert len(from_json(_embedded(data)).ledger) in {500, 10_000}
    assert "to stay small: report.json holds" in Page(data).words
    assert 'data-name="report-reduced.json"' in data.decode()


GAP = Gap(what="the graph that ran", cost="rewrites are unknown", how="set optimized_model_filepath")


def test_missing_evidence_is_listed_near_the_top_with_its_cost_and_its_cure():
    data = static(document(gaps=(GAP,)))
    assert "the graph that ran : rewrites are unknown set optimized_model_filepath" in Page(data).words
    assert data.index(b"rewrites are unknown") < data.index(b'id="difference"')
    assert "Missing evidence" not in Page(static(document())).words


def test_order_is_verdict_steps_difference_findings_modules_operators_checks_environment(page):
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section" and "id" in attrs]
    assert sections == [
        "steps", "difference", "findings", "modules", "operators", "unmatched", "timeline", "breakdown", "checks",
        "environment", "guide",
    ]  # fmt: skip
    assert next(tag for tag, _ in page.tags if tag in ("h1", "svg", "table")) == "h1"


def test_wrong_outputs_come_before_the_verdict_and_unfairness_before_attribution():
    data = static(mismatched()).decode()
    places = [
        data.index(text) for text in ("The outputs differ", "<h1", "equal threads: PyTorch used", "<svg")
    ]
    assert places == sorted(places)


def test_verdict_is_in_the_page_with_its_interval(page):
    assert "ONNX Runtime is 1.87× faster than PyTorch" in page.words
    assert "64.4 ms against 120.2 ms a step; difference −55.9 ± 1.8 ms, 95 % interval" in page.words


def chart_of(data: bytes) -> str:
    """The rows of the waterfall."""
    return re.search(r'<table class="wf.*?</table>', data.decode(), re.DOTALL).group(0)


def test_every_bar_stands_on_one_line_with_its_figure_and_its_interval():
    rows = re.findall(r"<tr class=.*?</tr>", chart_of(static(quiet())), re.DOTALL)
    words = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert words == [
        "PyTorch 185.1 183.0 to 187.9",
        "Kernel speed −41.9 −44.0 to −39.1",
        "Framework overhead −11.3 −12.0 to −10.9",
        "Fused operators +3.2 +3.0 to +3.6",
        "Layout changes +2.2 +1.8 to +2.4",
        "Decomposed operators −1.9 −2.4 to −1.6",
        "3 smaller causes −0.3 −0.3 to −0.2",
        "Not explained −0.2 −3.1 to +3.2",
        "ONNX Runtime 134.9 133.1 to 136.2",
    ]
    assert all(row.count("<rect") == 1 for row in rows)


def test_a_color_means_a_sign_and_hollow_that_nothing_is_known():
    chart = chart_of(static(quiet()))
    fills = dict(re.findall(r'<tr class="(\w+)">.*?fill="(#\w+)"', chart, re.DOTALL))
    assert fills == {"total": "#57606a", "faster": "#0b5fb8", "slower": "#b3400a", "remainder": "#d5dbe1"}
    assert "hollow" not in chart
    assert re.findall(r'<tr class="(\w+ hollow)">', chart_of(static(same()))) == [
        "slower hollow",
        "faster hollow",
    ]
    busy_chart = chart_of(static(busy()))
    assert 'class="wf doubtful"' in busy_chart
    assert busy_chart.count("hollow") == 5
    assert "#0b5fb8" not in busy_chart


def test_every_bar_links_to_its_rows():
    data = static(document())
    links = dict(re.findall(r'data-cause="([^"]+)" href="#([^"]+)"', chart_of(data)))
    assert links.keys() == {"Kernel speed", "Fused operators", "Framework overhead"}
    rows = dict(re.findall(r'<tr id="(rows?/[^"]+)"[^>]*>.*?<td>([^<]+)<', data.decode(), re.DOTALL))
    assert {title: rows[link].strip() for title, link in links.items()} == {title: title for title in links}
    assert 'href="#causes"' in chart_of(data)
    assert 'href="#remainders"' in chart_of(data)


def test_remainders_are_no_rows_among_the_causes():
    data = static(quiet()).decode()
    table = re.search(r'<table class="data stack" id="causes">.*?</table>', data, re.DOTALL).group(0)
    causes, rest = table.split('<tbody id="remainders">')
    assert "Profiler overhead" not in causes
    assert "Unattributed" not in causes
    assert "Profiler overhead" in rest
    assert "Not explained" in rest


def test_strip_shows_every_step_and_why_a_block_is_shaded():
    data = static(quiet()).decode()
    strip = data[data.index('class="marks"') : data.index("</svg>", data.index('class="marks"'))]
    drawn = re.findall(r'class="dots-(\w+)" d="([^"]+)"', strip)
    steps = quiet().plain_blocks
    for role in ("torch", "onnxruntime"):
        count = sum(len(block.walls_ns) for block in steps if block.role == role)
        assert sum(path.count("h0") for name, path in drawn if name == role) == count
    assert strip.count('class="hole"') == 2
    titles = re.findall(r"<title>([^<]+)</title>", strip)
    assert titles == [
        "Round 4, PyTorch: its threads waited for a processor. Left out.",
        "Round 8, PyTorch: its threads waited for a processor. Left out.",
    ]
    assert strip.count('class="s-muted thin"') == 2, "three launches"
    assert "Shaded: disturbed (2 of 28 blocks)." in data


def test_hostile_reasons_and_names_of_the_strip_stay_text():
    block = msgspec.structs.replace(quiet().plain_blocks[0], disturbed=(HOSTILE[0], HOSTILE[5]))
    data = static(msgspec.structs.replace(quiet(), plain_blocks=(block,)))
    assert b"&lt;/script&gt;&lt;script&gt;window.pwned" in data
    assert b"\x1b" not in data


@pytest.mark.parametrize("name", SCREENS)
def test_first_screen_is_well_formed_and_small(name):
    made = Page(static(SCREENS[name]()))
    counts = Counter(made.attribute("id"))
    assert max(counts.values()) == 1
    assert {link[1:] for link in made.attribute("href")} <= set(counts)
    assert {tag for tag, _ in made.tags} <= TAGS


def test_every_table_ends_with_the_headline_delta(page):
    assert page.words.count("Sum 120.245 64.391 −55.854") == 2


def test_rolled_up_rows_are_named_and_summed(page):
    count = int(re.search(r"other \((\d+) rows\)", page.words).group(1))
    members = [len(attrs["data-m"].split()) for tag, attrs in page.tags if "data-m" in attrs]
    assert max(members) == 12
    assert sum(members) + count == len(ledger())


def test_a_folded_line_has_the_count_the_mean_and_the_range_of_its_rows(page):
    own = [row.delta_ns for row in ledger() if row.module.endswith("intermediate.dense")]
    mean, least, most = (f"{abs(ns) / 1e6:.3f}" for ns in (sum(own) / 12, min(own), max(own)))
    told = f"encoder.layer.*.intermediate.dense/linear×12mean−{mean},−{least}to−{most}"
    assert told in page.words.replace(" ", "")


def test_the_script_knows_every_row_by_its_link_place_and_delta():
    rows = packed_rows(static(document()))
    by_id = {row.id: (place, row) for place, row in enumerate(ledger())}
    assert len(rows) == len(by_id)
    for anchor, place, ns, cells, _ in rows:
        at, row = by_id[anchor]
        assert (place, ns, cells[0]) == (at, row.delta_ns, row.region)
    sizes = [abs(ns) for _, _, ns, _, _ in rows]
    assert sizes == sorted(sizes, reverse=True)


def test_rows_that_would_take_too_much_of_a_page_are_the_largest_ones():
    rng = __import__("random").Random(0)
    rows = tuple(
        msgspec.structs.replace(row, onnx_ops=tuple(f"{rng.getrandbits(220):x}" for _ in range(4)))
        for row in huge().ledger
    )
    told = packed_rows(static(document(rows)))
    largest = sorted((abs(row.delta_ns) for row in rows), reverse=True)
    assert [abs(row[2]) for row in told] == largest[:500]


def test_match_shows_method_confidence_and_evidence(page):
    assert "fx-node 95 %" in page.words
    assert any("value name linear_" in title for title in page.attribute("title"))


def test_a_contradiction_stands_out():
    row = ledger()[0]
    match = msgspec.structs.replace(row.match, evidence=("SIZES DIFFER: PyTorch computes on float[2]",))
    data = static(document((msgspec.structs.replace(row, match=match),))).decode()
    assert 'title="SIZES DIFFER: PyTorch computes on float[2]"' in data
    assert '<b class="bad">the sides contradict each other</b>' in data
    assert "the sides contradict each other" not in static(document()).decode()


def test_unmatched_work_is_listed_with_its_time_and_reason_largest_first(page):
    words = page.words[page.words.index("Only in") :]
    mask = next(row for row in ledger() if row.region.endswith("/mask"))
    dropout = [row for row in ledger() if row.region.endswith("/dropout")]
    assert "the other side has nothing for it" in words
    assert words.index("Expand") < words.index("aten::dropout ×12")
    assert f"{sum(row.torch_ns for row in dropout) / 1e6:.3f}" in words
    assert f"{mask.onnxruntime_ns / 1e6:.3f}" in words


def test_everything_matched_is_said_in_one_line():
    rows = tuple(row for row in ledger() if row.torch_calls and row.onnx_nodes)
    words = Page(static(document(rows))).words
    assert "Every call and every node has a counterpart." in words
    assert "Only in" not in words


def test_reduced_data_leaves_out_the_trails_before_the_rows():
    rng = __import__("random").Random(0)
    rows = tuple(
        msgspec.structs.replace(row, onnx_nodes=tuple(f"{rng.getrandbits(256):x}" for _ in range(4)))
        for row in huge().ledger
    )
    assert from_json(_embedded(to_html(document(rows)))).regions == ()


def test_one_side_shows_its_breakdown_and_why_there_is_no_delta():
    made = Page(static(one_sided()))
    assert "No comparison: one side is missing" in made.words
    assert "ONNX Runtime: failed: ONNX Runtime could not create the session: opset 99" in made.words
    assert "aten::scaled_dot_product_attention" in made.words
    assert "waterfall" not in {attrs.get("id") for _, attrs in made.tags}
    assert made.words.index("Time by operator") < made.words.index(
        "One side is missing: there is no difference to explain"
    )


def test_cancelling_rows_of_an_insignificant_difference_are_shown():
    made = Page(static(not_significant()))
    assert "No significant difference" in made.words
    assert "slow copy" in made.words
    assert "No rule found a cost or a saving larger than the noise" in made.words


def test_noise_is_marked():
    row = msgspec.structs.replace(ledger()[0], low_ns=-1_000_000, high_ns=1_000_000)
    assert "noise" in re.search(r"<tbody>.*", static(document((row,))).decode(), re.DOTALL).group(0)


def test_script_is_only_an_addition(page):
    hidden = [attrs.get("class") or attrs.get("id") for _, attrs in page.tags if "hidden" in attrs]
    assert set(hidden) == {"theme", "expand", "download", "rows-of", "copy", "filter", "toast"}


def test_landmarks_headings_and_labels(page):
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(name) for name in ("main", "nav", "header", "footer", "h1")] == [1, 1, 1, 1, 1]
    levels = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3")]
    assert all(later - before <= 1 for before, later in pairwise(levels))
    for tag, attrs in page.tags:
        if tag in ("section", "nav"):
            assert "aria-label" in attrs or "aria-labelledby" in attrs, attrs
        if attrs.get("tabindex"):
            assert attrs["tabindex"] == "0"
        if tag == "svg":
            assert not attrs or attrs.get("aria-hidden") == "true" or attrs.get("role") == "img"
    named = set(page.attribute("id"))
    for reference in page.attribute("aria-labelledby"):
        assert set(reference.split()) <= named
    text = static(document()).decode()
    assert re.search(r"<label>[^<]*<input", text)
    assert re.search(r"<label>[^<]*<select", text)
    assert text.startswith('<!doctype html>\n<html lang="en">')


def test_scrolling_regions_can_be_reached_by_keyboard(page):
    for tag, attrs in page.tags:
        if tag == "div" and "scroll" in (attrs.get("class") or "").split():
            assert attrs.get("tabindex") == "0"
            assert attrs.get("role") == "region"
            assert attrs.get("aria-label")


@pytest.mark.parametrize("median", [0, 1, 999, -5, 10**24])
def test_odd_figures_still_make_every_rendering(median):
    base = document((), causes=(), findings=(), profiled={}, plain_ns={}, protocol=None, sides={})
    estimate = msgspec.structs.replace(base.latency.torch_ns, median=median, low=median, high=median)
    delta = msgspec.structs.replace(base.latency.delta_ns, median=-median, low=-median, high=-median)
    latency = msgspec.structs.replace(base.latency, torch_ns=estimate, delta_ns=delta, significant=True)
    made = msgspec.structs.replace(base, latency=latency)
    assert Page(static(made)).words.count("ONNX Runtime") > 1
    assert to_markdown(made).startswith("**ONNX Runtime is")


def test_what_passed_is_one_line_with_a_count_and_what_failed_stands_whole(page):
    words = page.words[page.words.index("Checks", page.words.index("Time by operator, profiled")) :]
    assert "2 rules found nothing to change ✓ ✓" in words
    assert "1 rule does not apply here –" in words
    assert "All nodes run on the requested provider" not in words
    assert "All nodes run on the requested provider" in page.attribute("title")
    assert "Shape arithmetic error: the rule failed: KeyError 'Gather'" in words
    assert {"finding/cpu-fallback", "finding/host-copies"} <= set(page.attribute("id"))


def test_title_and_heading_say_model_shape_and_verdict(page):
    said = "bert-base-uncased, batch 1, sequence 128: ONNX Runtime is 1.87× faster than PyTorch"
    data = static(document()).decode()
    assert f"<title>{said}" in data.replace("\u00a0", " ")
    heading = re.search(r"<h1.*?</h1>", data, re.DOTALL).group(0).replace("\u00a0", " ")
    assert re.sub(r"<[^>]+>", "", heading).startswith(said)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("aten::scaled_dot_product_attention", "aten::|scaled_|dot_|product_|attention"),
        ("SkipLayerNormalization", "Skip|Layer|Normalization"),
        ("IsNaN", "IsNaN"),
        ("Gemm", "Gemm"),
        ("<b>::x_y", "&lt;b&gt;::|x_|y"),
    ],
)
def test_names_of_ops_break_between_their_words(name, broken):
    assert op(name, 60) == broken.replace("|", "<wbr>")


def test_a_name_that_is_cut_is_whole_in_its_title():
    assert op("a_" * 40, 60).startswith(f'<span title="{"a_" * 40}">a_<wbr>')
