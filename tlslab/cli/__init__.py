"""The command line: `tlslab`. One file per subcommand; nothing imports this package.

Exit codes
    0    everything was as declared
    1    the outcome of a scenario, a check of an exercise or a verification was not
    2    the user's mistake: one line that says what is wrong, and a hint
    3    a fault of tlslab's own; TLSLAB_DEBUG=1 shows the traceback
    130  interrupted (Ctrl-C); 143 and 129 by SIGTERM and SIGHUP, 141 when nobody reads on

Standard output carries results, standard error carries progress, logs and errors.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from tlslab import __version__
from tlslab.errors import TlslabError, UsageError

COMMANDS = {
    "demo": ("tlslab.cli.demo", "The headline scenarios, and the exposure matrix."),
    "run": ("tlslab.cli.run", "Run scenarios by name, group or file."),
    "list": ("tlslab.cli.list", "List the scenarios that ship with tlslab."),
    "show": ("tlslab.cli.show", "Show a scenario: its lesson, what it declares, its source."),
    "catalogue": ("tlslab.cli.catalogue", "Every attack, where it is shown, or why it is not."),
    "up": ("tlslab.cli.up", "Keep a lab running for your own clients."),
    "probe": ("tlslab.cli.probe", "Is your client safe? Run it against faulty servers."),
    "attack": ("tlslab.cli.attack", "What attacks on the path there are."),
    "store": ("tlslab.cli.store", "An S3 and KMS endpoint that really encrypts, by itself."),
    "put": ("tlslab.cli.put", "Store a file as an object, encrypted before upload if you like."),
    "get": ("tlslab.cli.get", "Fetch an object, decrypt and verify it."),
    "audit": ("tlslab.cli.audit", "Who used which key, and whether the record of it is intact."),
    "volume": ("tlslab.cli.volume", "Encrypted volumes and their snapshots, under KMS keys."),
    "ca": ("tlslab.cli.ca", "Make and look into certificate authorities."),
    "capture": ("tlslab.cli.capture", "Show and compare packet captures."),
    "exercise": ("tlslab.cli.exercise", "Training exercises, checked by the real thing."),
    "completion": ("tlslab.cli.completion", "Print the completion script for your shell."),
}
"""Subcommands, in the order of the help: module and summary. A module is imported when used."""


class _Commands(click.Group):
    """Subcommands loaded on first use, so that help and --version stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        command = getattr(module, "command", None) or getattr(module, name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for one that is not there."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "`tlslab --help` lists them"
            raise UsageError(f"no command is called {name!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `tlslab demo`. Each command explains itself with --help.",
)
@click.version_option(__version__, prog_name="tlslab")
def cli() -> None:
    """A network lab that shows, with evidence, who can read what."""


def _invoke(arguments: list[str]) -> object:
    """What a command returns. Click's own `main` would turn a broken pipe into exit code 1."""
    if "_TLSLAB_COMPLETE" in os.environ:
        return cli.main(args=arguments, prog_name="tlslab")
    with cli.make_context("tlslab", arguments) as context:
        return cli.invoke(context)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with one of the codes above."""
    _stopped_by.clear()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        result = _invoke(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        code = result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        print(help_wanted.format_message())
        code = 0
    except click.ClickException as error:
        code = _mistake(error.format_message(), _where_to_look(error))
    except TlslabError as error:
        code = _mistake(error.message, error.hint)
    except (KeyboardInterrupt, click.Abort):
        code = _interrupted()
    except SystemExit as stop:
        # rich ends the program so when whoever read our output has had enough.
        code = stop.code if isinstance(stop.code, int) else 1
        if isinstance(stop.__context__, BrokenPipeError):
            code = 128 + signal.SIGPIPE
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter must not try to flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        code = _mistake(
            f"{error.strerror or error}{where}", "check the path, its permissions and free space"
        )
    except BaseExceptionGroup as group:
        code = _of_group(group)
    except Exception as error:
        code = _our_fault(error)
    sys.exit(code)


_stopped_by: list[int] = []
"""The signal that asked us to stop, if it was not Ctrl-C."""


def _stop(number: int, frame: object) -> None:
    """Stop as Ctrl-C does, which everything here is prepared for: nothing is left behind."""
    _stopped_by.append(number)
    signal.raise_signal(signal.SIGINT)


def _interrupted() -> int:
    return 128 + (_stopped_by[0] if _stopped_by else signal.SIGINT)


def _mistake(message: str, hint: str | None) -> int:
    message = " ".join(message.split())
    line = message[:1].lower() + message[1:].rstrip(".")
    print(f"tlslab: {line}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return 2


def _where_to_look(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` explains it" if context is not None else None


def _of_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Tasks that run side by side fail as a group, even if it is a group of one."""
    if group.subgroup(KeyboardInterrupt) is not None:
        return _interrupted()
    ours, rest = group.split(TlslabError)
    if ours is None or rest is not None:
        return _our_fault(group)
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, TlslabError)
    return _mistake(first.message, first.hint)


def _our_fault(error: BaseException) -> int:
    if os.environ.get("TLSLAB_DEBUG"):
        raise error
    print(f"tlslab: a fault of its own: {type(error).__name__}: {error}", file=sys.stderr)
    print("hint: set TLSLAB_DEBUG=1 to see the traceback, and please report it", file=sys.stderr)
    return 3
