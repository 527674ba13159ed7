"""`tlslab completion`: completion of commands and options in the user's shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script for your shell.

    \b
    bash: tlslab completion bash > ~/.local/share/bash-completion/completions/tlslab
    zsh:  tlslab completion zsh > "${fpath[1]}/_tlslab"
    fish: tlslab completion fish > ~/.config/fish/completions/tlslab.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None
    root = context.find_root().command
    print(completion(root, {}, "tlslab", "_TLSLAB_COMPLETE").source())
