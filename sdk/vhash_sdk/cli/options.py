"""Commands with many options: a frozen dataclass lists them, and the command takes one instance of it.

Typer finds out what a command takes by reading the signature of a function, one parameter for each option. A
command with sixteen options would be a function of sixteen parameters, which hand each other on one by one.
Here they are the fields of a dataclass instead, and ``takes`` makes the function that Typer wants:

    @dataclass(frozen=True)
    class Options:
        name: Annotated[str, typer.Argument(help="Whom to greet.")]
        loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False

    @takes(Options)
    def greet(given: Options) -> None:
        '''Greet somebody.'''
        print(given.name.upper() if given.loud else given.name)

    app.command()(greet)

Fields are what parameters of a Typer command are: their order is that of the help, and one without a default
has to be given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def takes(options: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Turn a command that takes one ``options`` into a function with a parameter for each of its fields.

    The function has the name and the docstring of the command, which are what Typer shows.

    Args:
        options: a dataclass whose fields are ``Annotated[type, typer.Option(…)]`` or ``typer.Argument(…)``.

    Raises:
        TypeError: a default is made by a function (``default_factory``), which Typer would not see.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Options:
    ...     name: str
    ...     times: int = 1
    >>> @takes(Options)
    ... def greet(given: Options) -> None:
    ...     print(" ".join(["hello"] * given.times), given.name)
    >>> inspect.signature(greet)
    <Signature (*, name: str, times: int = 1) -> None>
    >>> greet(name="world", times=2)
    hello hello world
    """
    types = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field, options),
            annotation=types[field.name],
        )
        for field in fields(options)
    ]

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            command(options(**given))

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(run, name, getattr(command, name))
        # Typer reads both: the signature for the options, the annotations for types that are only names
        run.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {**types, "return": None}
        return run

    return decorate


def _default(field: Field[Any], options: type[Any]) -> Any:
    if field.default_factory is not MISSING:
        raise TypeError(f"{options.__name__}.{field.name}: give a plain default, or None")
    return inspect.Parameter.empty if field.default is MISSING else field.default
