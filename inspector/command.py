"""What every command line of the product shares: lazy sub-commands, and errors as one line with exit code 1."""

import importlib
import sys
from collections.abc import Mapping

import click

from inspector.errors import InandoutError


class LazyGroup(click.Group):
    """A group whose sub-commands live one to a file and are imported only when they are called.

    Args:
        lazy: command name -> (`module:attribute`, one-line help shown in the listing).
        default: the command meant when the line starts with an option that is not the group's own.
    """

    def __init__(
        self, *args: object, lazy: Mapping[str, tuple[str, str]], default: str | None = None, **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._lazy = dict(lazy)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if self._default is not None and args and args[0].startswith("-") and args[0] not in own:
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


def run(command: click.Command) -> None:
    """Run a command line: 0 done, 1 failed with one line on stderr, 2 usage, 130 interrupted."""
    try:
        outcome = command.main(standalone_mode=False)
    except click.ClickException as usage:
        usage.show()
        sys.exit(usage.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except InandoutError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # writing our own output: click has dealt with a closed pipe
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    sys.exit(outcome if isinstance(outcome, int) else 0)
