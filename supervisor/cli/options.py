"""The options that every command takes, and how a command gets them.

A command written as `def get(common: Common, …)` and wrapped by `command` is offered
`--server`, `--context`, `--config`, `--timeout` and `--json`, after its name as well as before.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from msgspec import Struct

from supervisor.cli import errors

P = ParamSpec("P")

DEFAULT_TIMEOUT_S = 5.0
_PANEL = "Options of every command"


class Common(Struct, frozen=True, kw_only=True):
    """What every command may be told. Empty means: not told."""

    server: str = ""
    context: str = ""
    config: Path | None = None
    timeout: float = DEFAULT_TIMEOUT_S
    json: bool = False


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        "-s",
        metavar="URL",
        help="NATS server. Else: --context, $NATS_URL, the configuration, the selected nats"
        " context, nats://127.0.0.1:4222.",
        rich_help_panel=_PANEL,
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context of the nats command line.",
        rich_help_panel=_PANEL,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Configuration in TOML; see deploy/conclave.toml.",
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.01,
        help=f"How long a reply may take. [default: {DEFAULT_TIMEOUT_S:g}]",
        rich_help_panel=_PANEL,
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="At most so many.")]
Cursor = Annotated[int | None, typer.Option(min=0, help="Continue where a page before ended.")]
Json = Annotated[
    bool | None,
    typer.Option(
        "--json",
        help="Print the messages as they are on the wire, one JSON document per line.",
        rich_help_panel=_PANEL,
    ),
]

_COMMON = {
    "server": Server,
    "context": Context,
    "config": Config,
    "timeout": Timeout,
    "json": Json,
}


def command(function: Callable[Concatenate[Common, P], int | None]) -> Callable[..., None]:
    """Give a command the common options as its first argument and turn errors into exit codes."""

    @wraps(function)
    def call(ctx: typer.Context, *args: P.args, **kwargs: P.kwargs) -> None:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in _COMMON}
        common = merged(ctx.obj or {}, given)
        try:
            code = function(common, *args, **kwargs)
        except errors.EXPECTED as error:
            errors.say(f"conclave: {errors.one_line(error)}")
            raise typer.Exit(errors.exit_code_of(error)) from None
        raise typer.Exit(code or errors.OK)

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
            *(_parameter(name, hint) for name, hint in _COMMON.items()),
        ]
    )
    call.__annotations__ = {}  # the signature is the truth, not the wrapped function's hints
    del call.__wrapped__
    return call


def merged(before: dict[str, Any], after: dict[str, Any]) -> Common:
    """Return the options given, those after the command's name winning over those before it."""
    told = before | {name: value for name, value in after.items() if value is not None}
    return Common(**{name: value for name, value in told.items() if value is not None})


def _parameter(name: str, hint: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
