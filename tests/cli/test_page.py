"""`--open`: the written page in the browser, or one line that says why not."""

import pytest

from attrib.cli import page
from attrib.cli.main import attrib
from attrib.errors import UsageError


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setattr(page.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return lambda: monkeypatch.setenv("DISPLAY", ":0")


@pytest.fixture
def opened(monkeypatch):
    """Addresses that the browser was given; it starts until `works` is False."""
    import webbrowser

    found = {"addresses": [], "works": True}

    def start(address):
        found["addresses"].append(address)
        return found["works"]

    monkeypatch.setattr(webbrowser, "open", start)
    return found


def test_a_page_is_opened_by_its_whole_address(display, opened, tmp_path, capsys):
    display()
    page.open_in_browser(tmp_path / "a b#c.html")
    assert opened["addresses"] == [f"{tmp_path.as_uri()}/a%20b%23c.html"]
    assert capsys.readouterr() == ("", "")


def test_without_a_display_no_browser_is_started(display, opened, tmp_path, capsys):
    page.open_in_browser(tmp_path / "r.html")
    assert opened["addresses"] == []
    assert (
        capsys.readouterr().err == f"attrib: --open: there is no display; the page is {tmp_path / 'r.html'}\n"
    )


def test_a_browser_that_does_not_start_is_a_line(display, opened, tmp_path, capsys):
    display()
    opened["works"] = False
    page.open_in_browser(tmp_path / "r.html")
    assert capsys.readouterr().err.startswith("attrib: --open: there is no browser; the page is ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "{}", "--open", "--format", "json"), "--open opens a page, and none is written"),
        (("report", "{}", "--open", "-o", "r.md"), "--open opens a page, and none is written"),
        (
            ("report", "{}", "--open", "-o", "-", "--format", "html"),
            "--open opens a page, and none is written",
        ),
        (("diff", "{}", "{}", "--open"), "--open opens a page, and none is written"),
        (("profile", "--model", "two-linears", "--open", "--no-report"), "--open has no page to open"),
    ],
)
def test_where_no_page_is_written_there_is_none_to_open(sample, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gc.disable", lambda: None)
    with pytest.raises(UsageError, match=said):
        attrib.main([str(sample) if one == "{}" else one for one in arguments], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (("report", "{}", "--static"), "report.html"),
        (("diff", "{}", "{}", "-o", "page.html"), "page.html"),
    ],
)
def test_the_page_that_was_written_is_the_one_that_is_opened(cli, sample_copy, tmp_path, arguments, written):
    """The browser is a program that keeps what it is given."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/given\n')
    browser.chmod(0o755)
    given = (sample_copy if one == "{}" else one for one in arguments)
    done = cli(*given, "--open", cwd=tmp_path, env={"BROWSER": f"{browser} %s"})
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path if written == "page.html" else sample_copy
    assert (tmp_path / "given").read_text().strip() == (folder / written).as_uri()


def test_without_a_display_a_report_is_made_all_the_same(cli, sample_copy, tmp_path):
    done = cli(
        "report", "--open", "--static", sample_copy, env={"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    )
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert (sample_copy / "report.html").is_file()
