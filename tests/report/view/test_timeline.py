"""The drawing of one step on each side: where every mark lies, and that it holds without script."""

import re

import msgspec
import pytest

from attrib.analysis.attribution.timeline import MOST_SEGMENTS
from attrib.model.document import CAUSES
from attrib.model.timeline import StepTimeline, TimelineLane
from attrib.report.html.page import PAGE_LIMIT, to_html
from attrib.report.json_report import from_json, to_json
from attrib.report.markdown.summary import to_markdown
from attrib.report.view.timeline import COLUMNS, STYLES, segments_of, timeline_of
from tests.report.factory import document, huge, on_device, one_sided
from tests.report.timelines import PARTS, device_timelines_of, timelines_of

BAR = re.compile(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z")


def lane(*segments: tuple[int, int, int, int], kind: str = "host") -> TimelineLane:
    """A lane of `(gap, duration, row, item)`."""
    gaps, durations, rows, items = zip(*segments, strict=True)
    return TimelineLane(kind=kind, name=kind, gaps_ns=gaps, durations_ns=durations, rows=rows, items=items)


def step(*lanes: TimelineLane, wall: int = 1000) -> StepTimeline:
    return StepTimeline(step=0, wall_ns=wall, parts=("torch dispatch",), lanes=lanes)


def bars(path: str) -> list[tuple[int, int]]:
    """From and to of every bar of a path."""
    found = [tuple(map(int, bar)) for bar in BAR.findall(path)]
    assert "".join("M{} {}h{}v{}h-{}z".format(*bar) for bar in found) == path
    return [(left, left + width) for left, _, width, _, _ in found]


def test_every_cause_has_a_paint_of_its_own():
    assert set(CAUSES) | {"several"} == set(STYLES)
    assert len({(style.color, style.hatched) for style in STYLES.values()}) >= len(STYLES) - 1


def test_bars_lie_where_their_segments_do():
    rows = document().ledger
    kernel = next(i for i, row in enumerate(rows) if row.cause == "kernel")
    layout = next(i for i, row in enumerate(rows) if row.cause == "layout")
    drawn = timeline_of(
        document(
            timeline={"torch": step(lane((100, 200, kernel, 0), (0, 300, layout, 0), (400, 0, kernel, 0)))}
        )
    )
    paths = dict(drawn.lanes[0].bands)
    assert bars(paths[STYLES["kernel"]]) == [(COLUMNS // 10, 3 * COLUMNS // 10)]
    assert bars(paths[STYLES["layout"]]) == [(3 * COLUMNS // 10, 6 * COLUMNS // 10)]


def test_a_column_shows_what_took_most_of_it():
    rows = document().ledger
    kernel = next(i for i, row in enumerate(rows) if row.cause == "kernel")
    layout = next(i for i, row in enumerate(rows) if row.cause == "layout")
    wall = 10 * COLUMNS
    many = [part for _ in range(COLUMNS) for part in ((0, 4, layout, 0), (0, 6, kernel, 0))]
    drawn = timeline_of(document(timeline={"torch": step(lane(*many), wall=wall)}))
    (band,) = drawn.lanes[0].bands
    assert (band[0], bars(band[1])) == (STYLES["kernel"], [(0, COLUMNS)])


def test_time_of_the_lanes_is_that_of_the_document():
    made = document()
    for role, told in made.timeline.items():
        found = list(segments_of(told.lanes[0], made.ledger))
        assert sum(one.end_ns - one.start_ns for one in found) == told.wall_ns
        assert {one.paint for one in found if not one.region} <= {"framework", "several"}
        assert PARTS[role] in {one.region for one in found if one.paint == "framework"}


def test_sides_share_an_axis_and_devices_face_each_other():
    drawn = timeline_of(on_device())
    assert [(lane.role, lane.kind) for lane in drawn.lanes] == [
        ("torch", "host"), ("torch", "device"), ("torch", "device"),
        ("onnxruntime", "device"), ("onnxruntime", "device"), ("onnxruntime", "host"),
    ]  # fmt: skip
    assert all(one.bottom <= other.y for one, other in zip(drawn.lanes, drawn.lanes[1:], strict=False))
    longest = max(wall for _, wall in drawn.walls)
    assert 0.5 * longest < drawn.ticks[-1][1] <= longest
    assert 0 < len(drawn.ribbons) <= 10


def test_links_join_the_longest_region_of_both_sides():
    rows = document().ledger
    both = next(i for i, row in enumerate(rows) if row.torch_calls and row.onnx_nodes)
    alone = next(i for i, row in enumerate(rows) if row.torch_calls and not row.onnx_nodes)
    made = document(
        timeline={
            "torch": step(lane((0, 500, both, 0), (0, 500, alone, 0))),
            "onnxruntime": step(lane((500, 100, both, 0)), wall=600),
        }
    )
    drawn = timeline_of(made)
    (path,) = drawn.ribbons
    upper, lower = drawn.lanes
    assert path.startswith(f"M0 {upper.bottom}C")
    assert f" {COLUMNS // 2:g} {lower.y}H{0.6 * COLUMNS:g}C" in path
    assert f" {COLUMNS // 2:g} {upper.bottom}z" in path


def test_legend_names_what_is_drawn_and_nothing_else():
    drawn = timeline_of(on_device())
    titles = [entry.title for entry in drawn.legend]
    causes = {row.cause for row in on_device().ledger if row.torch_calls or row.onnx_nodes} | {"framework"}
    assert set(titles) == {CAUSES[cause].title for cause in causes}
    assert {"Copies", "Fallback kernels", "Device idle"} <= set(titles)


def test_without_a_timeline_there_is_no_section():
    made = document(timeline={})
    assert timeline_of(made) is None
    page = to_html(made, interactive=False).decode()
    assert 'id="timeline"' not in page
    assert "#timeline" not in page


def test_one_side_is_drawn_alone():
    whole = document()
    made = msgspec.structs.replace(
        one_sided(), ledger=whole.ledger, timeline={"torch": whole.timeline["torch"]}
    )
    drawn = timeline_of(made)
    assert len(drawn.lanes) == 1
    assert drawn.ribbons == ()


def test_rows_that_a_stranger_put_out_of_range_are_only_unknown():
    made = document(timeline={"torch": step(lane((0, 500, 10**6, 0), (0, 500, -5, -9)))})
    assert {one.paint for one in timeline_of(made).lanes[0].segments} == {"several", "framework"}
    assert b'id="timeline"' in to_html(made, interactive=False)


def test_static_page_has_the_drawing_and_not_its_script():
    page = to_html(document(), interactive=False).decode()
    assert 'class="tl-static"' in page
    assert "data-styles" not in page
    assert "tl-stage" not in page.split("</style>")[1]
    drawing = page[page.index('<section id="timeline"') :]
    assert len(drawing[: drawing.index("</section>")]) < 16_000


def test_many_segments_are_bounded_and_the_page_says_that_some_are_merged():
    made = huge()
    assert all(
        sum(len(lane.durations_ns) for lane in told.lanes) <= MOST_SEGMENTS for told in made.timeline.values()
    )
    page = to_html(made).decode()
    assert "small neighbors are drawn as one" in page
    assert len(page.encode()) <= PAGE_LIMIT


def test_eight_streams_fit():
    rows = document().ledger
    drawn = timeline_of(document(timeline=device_timelines_of(rows, streams=8)))
    assert len(drawn.lanes) == 18
    assert drawn.axis_y < 900


def test_timelines_survive_the_way_through_json():
    made = on_device()
    assert from_json(to_json(made)).timeline == made.timeline
    assert timelines_of(made.ledger)["torch"].lanes[0].kind == "host"


@pytest.mark.parametrize("make", [document, on_device])
def test_other_renderings_are_as_without(make):
    assert to_markdown(make()) == to_markdown(msgspec.structs.replace(make(), timeline={}))
