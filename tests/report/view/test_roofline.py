"""The roofline in every rendering: where dots lie, what is said of them, and that nothing is shown without peaks."""

import re

import msgspec
import pytest

from attrib.model.manifest import Side
from attrib.model.roofline import Peaks, Rate, Roofline, Stream
from attrib.report.html.page import to_html
from attrib.report.html.roofline_chart import HEIGHT, TOP, roofline_drawing
from attrib.report.json_report import from_json, to_json
from attrib.report.markdown.summary import to_markdown
from attrib.report.view.roofline import MOST_KINDS, format_rate, roofline_of
from attrib.report.view.view import view_of
from tests.report import factory
from tests.report.html.test_page import packed_rows

G, MB = 1e9, 1 << 20


def rate(per_s, math=""):
    return Rate(per_s=per_s, typical_per_s=per_s * 0.9, samples=9, math=math)


def peaks(products=None):
    streams = ((MB, 200), (16 * MB, 100), (128 * MB, 40))
    return Peaks(
        device="cpu",
        threads=2,
        products=products or {"float": rate(400 * G)},
        streams=tuple(Stream(bytes=size, rate=rate(speed * G)) for size, speed in streams),
    )


def limited(document=None, shares=(0.3, 0.6), measured=None, **facts):
    """A document in which every kernel row has a limit."""
    document = document or factory.document()
    rows = [row for row in document.ledger if row.cause in ("kernel", "fused") and row.torch_ns]
    fields = {"ops": 400_000_000, "bytes": 8_000_000, "limit_ns": 1_000_000, "bound": "compute"} | facts
    limit = Roofline(**fields, torch_share=shares[0], onnxruntime_share=shares[1])
    sides = {
        role: msgspec.structs.replace(
            document.sides.get(role, Side(engine=role, state="complete", folder=role)),
            peaks=measured or peaks(),
        )
        for role in ("torch", "onnxruntime")
    }
    return msgspec.structs.replace(document, sides=sides, rooflines={row.id: limit for row in rows})


def percent(text):
    return float(text.removesuffix("%"))


@pytest.fixture(scope="module")
def page():
    return to_html(limited(), interactive=False).decode()


class TestView:
    def test_equal_operators_are_one_kind_and_their_sums_are_kept(self):
        document = limited()
        view = roofline_of(document)
        chosen = [row for row in document.ledger if row.id in document.rooflines]
        assert len(view.kinds) + view.more < len(chosen)
        if not view.more:
            assert sum(kind.count for kind in view.kinds) == len(chosen)
            assert sum(kind.times_ns["torch"] for kind in view.kinds) == sum(row.torch_ns for row in chosen)
        assert len(view.kinds) <= MOST_KINDS
        assert [kind.number for kind in view.kinds] == list(range(1, len(view.kinds) + 1))

    def test_shares_of_a_kind_are_those_of_its_rows(self):
        for kind in roofline_of(limited()).kinds:
            assert kind.shares == pytest.approx({"torch": 0.3, "onnxruntime": 0.6})

    def test_a_side_without_a_share_has_none(self):
        view = roofline_of(limited(shares=(None, 0.6)))
        assert all(kind.shares.keys() == {"onnxruntime"} for kind in view.kinds)
        assert set(view.rows.values()) == {"1 ms (arithmetic): 60 % in ONNX Runtime"}

    def test_the_line_names_both_engines(self):
        assert roofline_of(limited()).line == (
            "Share of this machine's peak arithmetic rate: PyTorch 30 %, ONNX Runtime 60 %"
        )
        assert roofline_of(limited(bound="memory")).line == ""

    def test_without_peaks_or_limits_there_is_none(self):
        assert roofline_of(factory.document()) is None
        assert roofline_of(msgspec.structs.replace(limited(), rooflines={})) is None
        bare = limited()
        sides = {role: msgspec.structs.replace(side, peaks=None) for role, side in bare.sides.items()}
        assert roofline_of(msgspec.structs.replace(bare, sides=sides)) is None

    @pytest.mark.parametrize(
        ("per_s", "text"),
        [(450e9, "450 GFLOP/s"), (1e12, "1 TFLOP/s"), (1.234e12, "1.23 TFLOP/s"), (999.9e9, "1000 GFLOP/s"),
         (46.04e9, "46 GFLOP/s"), (12, "12 FLOP/s"), (0.5, "0.5 FLOP/s"), (1.2e18, "1200 PFLOP/s")],
    )  # fmt: skip
    def test_rates_have_three_digits(self, per_s, text):
        assert format_rate(per_s, "FLOP/s") == text


class TestDrawing:
    def test_faster_is_higher_and_no_dot_leaves_the_drawing(self):
        for document in (limited(), limited(ops=4000), limited(ops=10**14), limited(bytes=1)):
            for point in roofline_drawing(roofline_of(document)).points:
                faster = min(point.kind.times_ns, key=point.kind.times_ns.get)
                assert point.ys[faster] == min(point.ys.values())
                assert all(TOP <= y <= TOP + HEIGHT for y in point.ys.values())
                assert 0 <= percent(point.x) <= 100

    def test_roofs_meet_where_bandwidth_suffices_for_the_arithmetic(self):
        drawing = roofline_drawing(roofline_of(limited()))
        cache, memory, flat = drawing.roofs
        assert (cache.cache, memory.cache, flat.flat) == (True, False, True)
        assert abs(cache.y2 - flat.y1) <= 1
        assert abs(memory.y2 - flat.y1) <= 1
        assert percent(cache.x2) == pytest.approx(percent(flat.x1), abs=0.02)
        assert percent(cache.x2) < percent(memory.x2)  # less reuse is enough for the faster memory

    def test_a_dot_at_its_limit_lies_on_the_roof(self):
        document = limited()
        ledger = tuple(
            msgspec.structs.replace(row, torch_ns=1_000_000) if row.id in document.rooflines else row
            for row in document.ledger
        )
        drawing = roofline_drawing(roofline_of(msgspec.structs.replace(document, ledger=ledger)))
        assert all(abs(point.ys["torch"] - drawing.roofs[-1].y1) <= 1 for point in drawing.points)

    def test_arithmetic_that_differs_has_a_roof_of_its_own(self):
        view = roofline_of(limited(measured=peaks({"float": rate(400 * G), "int8": rate(1600 * G)})))
        flat = [roof for roof in roofline_drawing(view).roofs if roof.flat]
        assert [roof.text for roof in flat] == ["float 400 GFLOP/s", "int8 1.6 TFLOP/s"]
        assert flat[1].y1 < flat[0].y1

    def test_work_that_only_moves_data_has_no_place_in_it(self):
        assert roofline_drawing(roofline_of(limited(ops=0, bound="memory"))) is None

    def test_every_dot_is_named_once(self):
        drawing = roofline_drawing(roofline_of(limited()))
        named = sorted(int(number) for _, _, text in drawing.labels for number in text.split(", "))
        assert named == sorted(point.kind.number for point in drawing.points)


class TestPage:
    def test_chart_and_table_are_in_the_static_page(self, page):
        section = re.search(r'<section id="roofline".*?</section>', page, re.DOTALL)[0]
        assert section.count("<circle") == 2 * len(roofline_of(limited()).kinds)
        assert "30 %" in section
        assert 'role="img" aria-labelledby="rl-t rl-d"' in section
        assert len(section) < 20_000
        assert "style=" not in section

    def test_its_links_lead_to_rows(self, page):
        section = re.search(r'<section id="roofline".*?</section>', page, re.DOTALL)[0]
        targets = re.findall(r'href="#(rows?/[^"]+)"', section)
        assert targets
        assert all(f'id="{target}"' in page for target in targets)

    def test_an_opened_row_tells_its_limit(self, page):
        assert "1 ms (arithmetic): 30 % and 60 %" in [limit for *_, limit in packed_rows(page.encode())]

    def test_without_peaks_nothing_is_shown(self):
        page = to_html(factory.document(), interactive=False).decode()
        assert 'id="roofline"' not in page
        assert "<dt>limit" not in page
        assert "peak arithmetic" not in to_markdown(factory.document())

    def test_more_than_the_limit_is_explained(self):
        page = to_html(limited(shares=(1.2, 0.6)), interactive=False).decode()
        assert "120 %" in page
        assert "More than 100 %" in page

    def test_strings_of_strangers_are_inert(self):
        document = limited()
        ledger = tuple(
            msgspec.structs.replace(row, torch_ops=factory.HOSTILE, shapes=factory.HOSTILE)
            for row in document.ledger
        )
        hostile = msgspec.structs.replace(
            document,
            ledger=ledger,
            sides={
                role: msgspec.structs.replace(
                    side, peaks=peaks({text: rate(400 * G, text) for text in factory.HOSTILE[:3]})
                )
                for role, side in document.sides.items()
            },
        )
        page = to_html(hostile, interactive=False).decode()
        assert "<script>window" not in page
        assert "<img" not in page
        assert "{{ 7*7 }}" in page  # text, not a template

    def test_markdown_and_terminal_have_one_line(self):
        assert to_markdown(limited()).count("Share of this machine's peak arithmetic rate") == 1
        assert view_of(limited()).roofline.line

    def test_the_document_survives_json(self):
        document = limited()
        assert from_json(to_json(document)).rooflines == document.rooflines
