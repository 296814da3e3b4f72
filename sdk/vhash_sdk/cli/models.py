"""``vhash models``: which models are here."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ModelNotFoundError, VhashError
from ..names import printable
from .output import ExitCode, Json, Output, error_entry, safe


def models(
    name: Annotated[
        str | None, typer.Argument(help="Alias, name, .onnx file or folder: show that one with its card.")
    ] = None,
    *,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write it there as a folder in the layout of model hubs."),
    ] = None,
    json: Json = False,
) -> None:
    """List the bundled models and your own, or show one.

    Your own are named in a file, $VHASH_MODELS or vhash/models.toml in your configuration: a table
    \\[models.NAME] with a path, or with a repo on a hub and its revision.

    The fingerprint says which codes may be compared: it is the same for all files of a model, whatever
    they compute in, and different for every other model.

    [bold]Examples[/bold]

      vhash models

      vhash models default

      vhash models my-model.onnx --json

      vhash models my-model.onnx --save my-model/   # then: hf upload USER/my-model my-model/
    """
    with Output("models", json=json) as out:
        from ..models import zoo

        if save is not None and name is None:
            raise typer.BadParameter("--save writes one model; name it: vhash models NAME --save FOLDER")
        entries, errors = [], []
        for wanted in [name] if name is not None else _listed(out):
            try:
                entries.append(_entry(wanted))
            except VhashError as error:
                if name is not None:
                    raise
                out.problem(error)
                errors.append(error_entry(error))
        if name is not None:
            _show(entries[0], out)
            if save is not None:
                shown = printable(_save(name, save))
                entries[0]["folder"] = shown
                out.note(f"vhash: wrote {shown}; `hf upload USER/NAME {shown}` puts it on a hub")
        elif entries:
            _list(entries, out)
        else:
            out.note(f"vhash: no models in {zoo.FOLDER}; install vhash-sdk again")
        out.document(models=entries, errors=errors)
        out.end(ExitCode.of(len(entries), len(errors)))


def _listed(out: Output) -> list[str]:
    """The models that are here; those that lie on a hub are named, and fetched when they are asked for."""
    from ..models import zoo

    own = zoo.own()
    for name, model in own.items():
        if model.path is None:
            out.note(f"vhash: {name} is {printable(model.repo or '')}, on a hub: vhash models {name}")
    return [*zoo.names(), *(name for name, model in own.items() if model.path is not None)]


def _save(name: str, folder: Path) -> Path:
    from ..models import zoo
    from ..models.folder import save_folder

    files = {}
    for precision in ("int8", "fp32"):
        with contextlib.suppress(ModelNotFoundError):
            model = zoo.load(name, precision)
            files[model.path] = model  # a file that is given by its path is both
    return save_folder(list(files.values()), folder)


def _entry(wanted: str) -> dict[str, Any]:
    from ..models import zoo

    model = zoo.load(wanted)
    spec, card = model.spec, model.card
    files = {}
    for precision in ("int8", "fp32"):
        try:
            path = zoo.model_path(wanted, precision)
            files[path] = {"file": path.name, "precision": precision, "bytes": path.stat().st_size}
        except ModelNotFoundError:
            continue
    if len(files) == 1:  # a file given by its path, or a model with one file only
        files[model.path] |= {"precision": model.precision}
    return {
        "name": spec.name,
        "aliases": [alias for alias, target in zoo.ALIASES.items() if target == spec.name],
        "version": spec.version,
        "family": spec.family,
        "bits": spec.bits,
        "fingerprint": spec.fingerprint,
        "parts": [{"name": part.name, "bits": list(part.bits)} for part in spec.parts],
        "sampling": {"kind": spec.sampling.kind, "frames": spec.sampling.frames},
        "height": spec.resize.output[0],
        "width": spec.resize.output[1],
        "embedding": spec.embedding,
        "files": list(files.values()),
        "licence": card.get("licence", card.get("license")),
        "card": card,
    }


def _list(entries: list[dict[str, Any]], out: Output) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("model", "alias", "bits", "fingerprint", "frames", "files", "licence"):
        table.add_column(column, justify="right" if column == "bits" else "left")
    for entry in entries:
        sampling = entry["sampling"]
        table.add_row(
            entry["name"],
            ", ".join(entry["aliases"]),
            str(entry["bits"]),
            entry["fingerprint"][:8],
            f"{sampling['frames']} {sampling['kind']}, {entry['width']}×{entry['height']}",
            _files(entry),
            Text(safe(str(entry["licence"] or "").partition(". ")[0])),  # the card has the rest
        )
    out.table(table)


def _files(entry: dict[str, Any]) -> str:
    return ", ".join(f"{file['precision']} {file['bytes'] / 1e6:.1f} MB" for file in entry["files"])


def _show(entry: dict[str, Any], out: Output) -> None:
    parts = ", ".join(f"{part['name']} {part['bits'][0]}–{part['bits'][1] - 1}" for part in entry["parts"])
    sampling = entry["sampling"]
    for label, value in (
        ("name", f"{entry['name']}, version {entry['version']}, family {entry['family']}"),
        ("aliases", ", ".join(entry["aliases"])),
        ("bits", f"{entry['bits']}: {parts}"),
        ("fingerprint", entry["fingerprint"]),
        ("frames", f"{sampling['frames']} {sampling['kind']}, {entry['width']}×{entry['height']}"),
        ("embedding", f"{entry['embedding']} values"),
        ("files", _files(entry)),
        ("licence", entry["licence"]),
        *((f"card: {key}", _short(value)) for key, value in entry["card"].items()),
    ):
        if value:
            out.line(f"{safe(label):<14} {safe(str(value))}")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}… (all of it with --json)"
