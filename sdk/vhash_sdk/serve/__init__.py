"""A library behind an HTTP API, and the page that uses it: ``vhash serve``. Needs the extra ``serve``.

``settings`` says what is served and to whom, ``app`` puts the routes of ``routes`` behind the one ``guard``
that every request passes, ``server`` runs it. What is read comes from the library itself; what only the
service knows (sessions, jobs, the groups that were found last, judgements with their order, the basket) is in
``state``, a database beside the library's own. Whatever takes long is a job in a process of its own
(``worker``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":  # loaded when it is asked for: it brings pydantic
        from .client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
