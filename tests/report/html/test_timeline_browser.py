"""The timeline in a real browser: zoom, move, link, keys, touch, and the drawing that stays without script."""

import json

import pytest

from attrib.report.html.page import to_html
from tests.report.factory import document, hostile, on_device
from tests.report.html.browsing import eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("timelines")
    pages = {
        "base": to_html(document()),
        "device": to_html(on_device()),
        "hostile": to_html(hostile()),
        "static": to_html(document(), interactive=False),
    }
    for name, data in pages.items():
        (folder / f"{name}.html").write_bytes(data)
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


class Stage:
    """The live timeline of a page."""

    def __init__(self, page):
        self.page = page
        page.locator("#timeline").scroll_into_view_if_needed()
        page.wait_for_selector(".tl-stage[data-ready=yes]")
        self.at = page.locator(".tl-stage")
        eventually(lambda: "to" in self.data)
        self.at.scroll_into_view_if_needed()

    @property
    def data(self) -> dict[str, str]:
        return json.loads(self.at.evaluate("stage => JSON.stringify(stage.dataset)"))

    @property
    def view(self) -> tuple[int, int]:
        return int(self.data["from"]), int(self.data["to"])

    @property
    def told(self) -> str:
        return " ".join(self.page.locator(".tl-told").inner_text().split())

    def point(self, share: float, lane: int = 0) -> tuple[float, float]:
        """Where a share of the width lies on the host lane of the first side (0) or of the second (-1)."""
        box = self.at.bounding_box()
        return box["x"] + box["width"] * share, box["y"] + (55 if lane == 0 else box["height"] - 20)

    def settled(self, holds) -> None:
        eventually(holds)


@pytest.fixture
def stage(opened, files):
    def made(name: str = "base", **options) -> Stage:
        return Stage(opened(files[name], **options).page)

    return made


def wall() -> int:
    return max(step.wall_ns for step in document().timeline.values())


def test_it_begins_with_the_whole_step_in_place_of_the_drawing(stage):
    one = stage()
    assert one.view == (0, wall())
    assert one.page.locator(".tl-static").is_hidden()
    assert one.page.evaluate(
        """() => { const c = document.querySelector('.tl-stage canvas');
        return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].some(Boolean); }"""
    )


def test_wheel_zooms_where_the_pointer_is_once_the_timeline_was_chosen(stage):
    one = stage()
    x, y = one.point(0.25)
    one.page.mouse.move(x, y)
    before = one.page.evaluate("scrollY")
    one.page.mouse.wheel(0, -300)
    eventually(lambda: one.page.evaluate("scrollY") != before)
    assert one.view == (0, wall())
    one.at.focus()
    one.at.scroll_into_view_if_needed()
    x, y = one.point(0.25)
    one.page.mouse.move(x, y)
    one.page.mouse.wheel(0, -600)
    eventually(lambda: one.view != (0, wall()))
    begin, end = one.view
    assert end - begin < 0.5 * wall()
    assert begin + 0.25 * (end - begin) == pytest.approx(0.25 * wall(), rel=0.02)
    one.page.mouse.wheel(0, 3000)
    eventually(lambda: one.view == (0, wall()))


def test_dragging_moves_the_view_and_opens_nothing(stage):
    one = stage()
    one.at.focus()
    for _ in range(4):
        one.page.keyboard.press("+")
    eventually(lambda: one.view[1] - one.view[0] < 0.3 * wall())
    begin, end = one.view
    x, y = one.point(0.6)
    one.page.mouse.move(x, y)
    one.page.mouse.down()
    one.page.mouse.move(x - 100, y, steps=4)
    one.page.mouse.up()
    shift = 100 * (end - begin) / one.at.bounding_box()["width"]
    eventually(lambda: one.view[0] == pytest.approx(begin + shift, rel=0.02))
    assert one.view[1] - one.view[0] == pytest.approx(end - begin, rel=1e-6)
    assert one.page.evaluate("location.hash") == ""


def test_pointing_at_a_segment_lights_its_counterparts_and_tells_them(stage):
    one = stage()
    ledger = document().ledger
    one.page.mouse.move(*one.point(0.5))
    eventually(lambda: one.data["region"] != "")
    rows = [row for row in ledger if row.region == one.data["region"]]
    works = sum(len(row.torch_calls) + len(row.onnx_nodes) for row in rows)
    assert int(one.data["lit"]) == works > 1
    assert "PyTorch · host" in one.told
    assert "ONNX Runtime · host:" in one.told
    assert rows[0].module in one.told
    one.page.mouse.move(5, 5)
    eventually(lambda: one.data["region"] == "")


def test_a_click_goes_to_the_row_of_the_table(stage):
    one = stage()
    one.page.mouse.move(*one.point(0.5))
    eventually(lambda: one.data["region"] != "")
    region = one.data["region"]
    one.page.mouse.down()
    one.page.mouse.up()
    one.page.wait_for_selector("#rows tr.hit")
    row = next(r for r in document().ledger if r.region == region and r.torch_calls)
    assert one.page.locator("#rows tr.hit").get_attribute("id") == f"row/{row.id}"
    assert one.page.locator("#rows tr.hit").is_visible()
    assert one.page.evaluate("location.hash") == f"#row/{row.id}"


def test_keys_go_through_segments_lanes_and_zoom(stage):
    one = stage()
    one.at.focus()
    one.page.keyboard.press("Home")
    assert "torch dispatch" in one.told
    one.page.keyboard.press("ArrowRight")
    first = document().ledger[0]
    assert first.torch_calls[0] in one.told
    one.page.keyboard.press("ArrowDown")
    eventually(lambda: "ONNX Runtime · host ·" in one.told)
    assert first.onnx_nodes[0] in one.told
    one.page.keyboard.press("ArrowUp")
    eventually(lambda: "PyTorch · host ·" in one.told)
    for _ in range(6):
        one.page.keyboard.press("+")
    eventually(lambda: one.view[1] < wall() / 5)
    one.page.keyboard.press("Shift+ArrowRight")
    eventually(lambda: one.view[0] > 0)
    one.page.keyboard.press("End")
    eventually(lambda: one.view[1] >= document().timeline["torch"].wall_ns * 0.98)
    one.page.keyboard.press("0")
    eventually(lambda: one.view == (0, wall()))
    one.page.keyboard.press("Escape")
    assert "Point at a segment" in one.told


def test_enter_opens_the_row_even_after_the_table_was_sorted(stage):
    one = stage()
    one.page.locator("#rows thead th").nth(4).locator("button").click()
    one.at.focus()
    for key in ("Home", "ArrowRight", "Enter"):
        one.page.keyboard.press(key)
    one.page.wait_for_selector("#rows tr.hit")
    assert one.page.locator("#rows tr.hit").get_attribute("id") == f"row/{document().ledger[0].id}"


def test_device_lanes_are_linked_to_the_host_and_to_the_other_side(stage):
    one = stage("device")
    one.at.focus()
    one.page.keyboard.press("Home")
    for key in ("ArrowRight", "ArrowDown"):
        one.page.keyboard.press(key)
    eventually(lambda: "PyTorch · stream 7" in one.told)
    assert "void gemm<float, 128>(int*)" in one.told
    assert "PyTorch · host:" in one.told
    assert "ONNX Runtime · stream" in one.told
    assert "Copies" in one.told


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["base", "device", "hostile"])
def test_it_fits_the_page(stage, name, width):
    one = stage(name, viewport={"width": width, "height": 900})
    one.page.mouse.move(*one.point(0.5))
    eventually(lambda: one.at.bounding_box()["width"] <= width)
    assert one.page.evaluate("document.documentElement.scrollWidth") == width


def test_a_tap_tells_and_a_second_tap_opens(stage):
    one = stage(viewport={"width": 400, "height": 900}, has_touch=True, is_mobile=True)
    x, y = one.point(0.5)
    one.page.touchscreen.tap(x, y)
    eventually(lambda: "PyTorch · host" in one.told)
    assert one.page.evaluate("location.hash") == ""
    one.page.touchscreen.tap(x, y)
    one.page.wait_for_selector("#rows tr.hit")


def test_two_fingers_zoom(stage):
    one = stage(has_touch=True)
    x, y = one.point(0.5)
    client = one.page.context.new_cdp_session(one.page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": place, "y": y, "id": number} for number, place in enumerate(places)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", x - 40, x + 40)
    for apart in (60, 90, 120, 160):
        touch("touchMove", x - apart, x + apart)
    touch("touchEnd")
    eventually(lambda: one.view[1] - one.view[0] < 0.5 * wall())
    begin, end = one.view
    assert (begin + end) / 2 == pytest.approx(wall() / 2, rel=0.1)


def test_hostile_names_stay_text(stage):
    one = stage("hostile")
    one.at.focus()
    for key in ("Home", *["ArrowRight"] * 5, "ArrowDown", "ArrowDown", *["ArrowRight"] * 5):
        one.page.keyboard.press(key)
    assert one.page.evaluate("window.pwned") is None
    assert one.page.locator("#timeline img").count() == 0
    assert one.page.locator(".tl-told a:not([href^='#'])").count() == 0


def test_it_follows_the_theme(stage):
    pixels = "document.querySelector('.tl-stage canvas').toDataURL()"
    dark = stage(color_scheme="dark").page.evaluate(pixels)
    light = stage(color_scheme="light").page.evaluate(pixels)
    switched = stage(color_scheme="light")
    before = switched.data["frames"]
    switched.page.emulate_media(color_scheme="dark")
    eventually(lambda: switched.data["frames"] != before)
    assert switched.page.evaluate(pixels) == dark != light


def test_it_is_a_control_with_a_name_and_its_figures_are_announced(stage):
    one = stage()
    assert one.at.get_attribute("role") == "application"
    assert one.at.get_attribute("aria-label")
    described = one.at.get_attribute("aria-describedby")
    assert "arrows" in one.page.locator(f"#{described}").inner_text()
    assert one.page.locator(".tl-told").get_attribute("role") == "status"
    assert one.at.get_attribute("tabindex") == "0"
    assert one.page.locator(".tl-stage canvas").get_attribute("aria-hidden") == "true"


@pytest.mark.alone
def test_drawing_many_frames_is_fast_enough_for_every_one(stage):
    one = stage()
    one.at.focus()
    longest = one.page.evaluate(
        """async () => {
        const stage = document.querySelector('.tl-stage'), times = [];
        const frame = () => new Promise((done) => requestAnimationFrame(done));
        for (let i = 0; i < 60; i += 1) {
            stage.dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? '-' : '+' }));
            await frame();
            times.push(Number(stage.dataset.drew));
        }
        return times.sort((a, b) => a - b)[30];
    }"""
    )
    assert longest < 16


@pytest.mark.parametrize("name", ["base", "static"])
def test_without_script_the_drawing_is_there(opened, files, name):
    page = opened(files[name], java_script_enabled=False).page
    drawing = page.locator(".tl-static")
    assert drawing.is_visible()
    assert page.locator(".tl-stage").count() == 0
    box = drawing.bounding_box()
    assert box["height"] > 120
    assert page.locator(".tl-static path").count() > 4


def test_print_shows_the_drawing(stage):
    one = stage()
    one.page.emulate_media(media="print")
    assert one.page.locator(".tl-static").is_visible()
    assert one.at.is_hidden()
