"""The root of the command line: the commands by name, and the options before them."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from actors import __version__
from supervisor.cli.options import Config, Context, Json, Server, Timeout

_HOMES = {
    "demo": "demo",
    "up": "up",
    "ask": "ask",
    "get": "deliberations",
    "wait": "deliberations",
    "list": "deliberations",
    "cancel": "deliberations",
    "show": "history",
    "recount": "history",
    "watch": "watch",
    "councils": "councils",
    "seat": "seat",
    "dead": "dead",
    "stats": "stats",
    "contract": "contract",
    "doctor": "doctor",
    "config": "configuration",
    "run": "run",
}
"""Each command and the module it lives in, in the order of `--help`."""


class LazyGroup(TyperGroup):
    """Imports a command's module when that command is wanted: `run` starts in a blink."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every command, imported or not."""
        del ctx
        return list(_HOMES)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Return a command by name; for an unknown one load all, so that a near one is named."""
        del ctx
        for name in [cmd_name] if cmd_name in _HOMES else _HOMES:
            if name not in self.commands:
                self.commands[name] = _load(name)
        found: Any = self.commands.get(cmd_name)
        return found  # type: ignore[no-any-return]


def _load(name: str) -> Any:
    module = import_module(f"supervisor.cli.{_HOMES[name]}")
    return typer.main.get_group(module.app).commands[name]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"conclave {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="conclave",
    cls=LazyGroup,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(
    epilog="Start with [bold]conclave demo[/], or with [bold]conclave up[/] and, elsewhere,"
    ' [bold]conclave ask "…" --role DEV[/].\n\nExit codes: 0 done; 1 refused, failed or cancelled;'
    " 2 wrong usage or configuration; 3 nobody answered in time; 70 the supervisor gave up;"
    " 130 Ctrl-C."
)
def root(
    ctx: typer.Context,
    server: Server = None,
    context: Context = None,
    config: Config = None,
    timeout: Timeout = None,
    json: Json = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Ask a council of language-model agents over NATS.

    One request in, one ranked result out; any program that speaks NATS can do the same.
    """
    del version
    ctx.obj = {
        "server": server,
        "context": context,
        "config": config,
        "timeout": timeout,
        "json": json,
    }
