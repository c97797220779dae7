"""`--open`: the written page in the browser."""

import os
import sys
from pathlib import Path

import click

open_option = click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")


def open_in_browser(page: Path) -> None:
    """Open a page; where there is nothing to show it on, say so in a line and go on."""
    import webbrowser

    why = "there is no display" if not has_display() else ""
    if not why:
        try:
            why = "" if webbrowser.open(page.resolve().as_uri()) else "there is no browser"
        except (webbrowser.Error, OSError) as error:
            why = f"the browser did not start: {error}"
    if why:
        click.echo(f"attrib: --open: {why}; the page is {page}", err=True)


def has_display() -> bool:
    """Whether a browser has somewhere to show a page; a browser that `BROWSER` names is taken at its word."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
