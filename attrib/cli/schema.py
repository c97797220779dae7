"""`attrib schema`: the JSON Schema of what attrib writes."""

import click

KINDS = ("report", "diff")


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS), default="report")
def command(kind: str) -> None:
    """Print the JSON Schema of report.json, or of `attrib diff --format json`."""
    from attrib.report.schema import schema_text

    click.echo(schema_text(kind), nl=False)
