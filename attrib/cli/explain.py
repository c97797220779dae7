"""`attrib explain`: what is behind one node, call, module or row of a trace directory."""

import gc
from pathlib import Path

import click

from attrib.cli.command import Command


@click.command("explain", cls=Command)
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.argument("name", metavar="NODE|CALL|MODULE")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(trace_dir: Path, name: str, *, as_json: bool) -> None:
    """Show what a node, call or module corresponds to on the other side, what it costs there, and how that is known.

    The name may be that of an executed node, of a node or a value of a captured graph, of a PyTorch call, an fx node, a
    module, a region or a row of the report. A part of the name is enough if no other name contains it.
    """
    gc.disable()  # a process of a second: collecting frees nothing

    from attrib.api import load

    found = load(trace_dir).explain(name)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    from rich.console import Console

    from attrib.report.terminal.explain import print_explanation

    print_explanation(found, Console(highlight=False, emoji=False, markup=False))
