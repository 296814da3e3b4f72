"""The one model that a library belongs to: pinned when it is made, found again when it is opened."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..encoding.encoder import Encoder
from ..errors import ModelError, ModelMismatchError, OptionError, StoreError
from ..models import zoo
from ..names import printable
from ..spec import ModelSpec
from ..video import Limits
from .database import Database
from .rows import Pinned, checked


@dataclass(frozen=True)
class Pin:
    """The model that a library belongs to, for ever.

    Attributes:
        spec: what decides its codes.
        source: what ``Encoder`` takes: the name of a bundled model, or the path of a file.
    """

    spec: ModelSpec
    source: str


def pin_model(
    database: Database, directory: Path, *, model: str | os.PathLike[str] | None, encoder: Encoder | None
) -> Pin:
    """The model of a library; a new one is pinned to that of ``encoder``, to ``model``, or to ``default``.

    Raises:
        ModelMismatchError: the library belongs to another model than the one asked for.
    """
    pin, wanted = _pinned(database), None
    if encoder is not None:
        wanted = Pin(encoder.spec, str(encoder.info()["file"]))
    elif model is not None or pin is None:
        file = zoo.load("default" if model is None else model)
        wanted = Pin(file.spec, str(file.path.absolute()))
    if pin is None and wanted is not None:
        name = wanted.spec.name
        bundled = name in zoo.names() and zoo.load(name).spec == wanted.spec
        _set_pin(database, Pin(wanted.spec, name if bundled else wanted.source))
        pin = _pinned(database)  # another process may have been faster
    if pin is None:
        raise StoreError(f"{directory}: says nothing about its model; bring it back from a copy")
    if wanted is not None and wanted.spec.fingerprint != pin.spec.fingerprint:
        raise ModelMismatchError(
            f"{directory} belongs to model {named(pin.spec)}, not {named(wanted.spec)}: codes of two models "
            "cannot be compared; leave the model out, or make a second library"
        )
    return pin


def pinned_encoder(pin: Pin, directory: Path, limits: Limits | None) -> Encoder:
    """An encoder of the model that a library belongs to.

    Raises:
        ModelError: the model is not there any more, or is not the same.
    """
    try:
        # pictures may be searched for; whether they are added is asked before
        encoder = Encoder(pin.source, limits=replace(limits or Limits(), stills=True))
    except ModelError as error:
        raise type(error)(
            f"{directory} needs model {named(pin.spec)}: {error}; or open the library with encoder="
        ) from error
    if encoder.spec.fingerprint != pin.spec.fingerprint:
        encoder.close()
        raise ModelMismatchError(
            f"{pin.source} is {named(encoder.spec)}, but {directory} belongs to {named(pin.spec)}; "
            "open it with encoder=Encoder(file of that model)"
        )
    return encoder


def named(spec: ModelSpec) -> str:
    """A model in messages: name, version, short fingerprint."""
    return f"{spec.name} version {spec.version} ({spec.fingerprint[:8]})"


def _pinned(database: Database) -> Pin | None:
    """The model of this library, or None before the first one is pinned."""
    rows = database.read(Pinned, "SELECT spec, source FROM library")
    if not rows:
        return None
    try:
        return Pin(ModelSpec.from_json(rows[0].spec), rows[0].source)
    except ModelError as error:
        raise ModelError(f"{database.path}: {error}") from error


def _set_pin(database: Database, pin: Pin) -> None:
    """Pin the model; does nothing where one is pinned already."""
    spec = pin.spec
    checked(database.path, Pinned, [(spec.to_json(), pin.source)])
    try:
        pin.source.encode("utf-8")
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{printable(pin.source)}: the model of a library lies at a path that is UTF-8; move it"
        ) from error
    with database.transaction():
        database.execute(
            "INSERT OR IGNORE INTO library VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                secrets.token_hex(8),
                secrets.token_hex(8),
                time.time(),
                spec.to_json(),
                spec.name,
                spec.version,
                spec.fingerprint,
                spec.bits,
                pin.source,
            ),
        )
