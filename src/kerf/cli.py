"""The command line: every verb as a command. No logic here: options, output and exit status only.

Exit status: 0 a verdict was reached, 1 a result that is none (a placement that is not legal), 2 a user's mistake, 130 interrupted before there was anything to say.
"""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import typer

from kerf.core.types import KerfError
from kerf.core.verb import Parameter, Verb
from kerf.verbs import all_verbs, faces

ABOUT = (
    "Kerf makes code fit chips and chips fit code: faster kernels for PyTorch operators, with evidence that they are right, "
    "and chips placed, with their wirelength measured."
)


def build() -> typer.Typer:
    app = typer.Typer(help=ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    for verb in (*all_verbs().values(), *faces().values()):
        app.command(verb.name, help=verb.summary)(_command(verb))
    app.callback()(_version)
    return app


def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("kerf-ai"))
        raise typer.Exit


def _command(verb: Verb) -> Any:
    """A function whose signature typer reads: the verb's parameters and `--json`."""

    def command(**given: Any) -> None:
        as_json = given.pop("json")
        _answer(verb, given, as_json)

    parameters = [_typed(p) for p in verb.parameters()]
    flag = Annotated[bool, typer.Option("--json", help="End standard output with one JSON object.")]
    parameters.append(
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=flag)
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__name__ = verb.name
    return command


def _typed(p: Parameter) -> inspect.Parameter:
    if p.required:
        face: Any = typer.Argument(help=p.option.help, metavar=p.option.metavar or None)
        return inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[p.kind, face])
    if p.option.positional:
        face = typer.Argument(help=p.option.help, metavar=p.option.metavar or None)
    else:
        face = typer.Option(*p.flags, help=p.option.help, metavar=p.option.metavar or None)
    return inspect.Parameter(
        p.name, inspect.Parameter.KEYWORD_ONLY, default=p.default, annotation=Annotated[p.kind, face]
    )


def _answer(verb: Verb, given: dict[str, Any], as_json: bool) -> None:
    if verb.watched:
        from kerf.report import watcher

        given["watch"] = watcher(to_stderr=as_json)
    try:
        result = verb.call(**given)
    except KerfError as error:
        if as_json:
            typer.echo(json.dumps({"status": "error", "error": str(error)}))
        typer.echo(f"kerf {verb.name}: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or "interrupted", err=True)
        raise typer.Exit(130) from stop
    if said := json.dumps(result, default=str) if as_json else verb.render(result):
        typer.echo(said)
    if verb.failed(result):
        raise typer.Exit(1)


def main() -> None:
    build()(prog_name="kerf")


if __name__ == "__main__":
    main()
