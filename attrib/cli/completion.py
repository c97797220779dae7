"""`attrib completion SHELL`: the completion script for bash, zsh or fish."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script; for bash: eval "$(attrib completion bash)"."""
    from attrib.cli.main import attrib

    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101  (click registers the three shells that Choice allows)
    click.echo(completion(attrib, {}, "attrib", "_ATTRIB_COMPLETE").source())
