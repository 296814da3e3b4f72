"""``vhash export`` and ``vhash match``: hashes that go to and come from the tools of others."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .inputs import place
from .library import Lib, model_entry
from .options import takes
from .output import ExitCode, Json, Output, counted, number, path_entry, printable, safe

if TYPE_CHECKING:
    from ..exchange.bank import BankMatch
    from ..exchange.reading import HashFile
    from ..exchange.records import Hashed, Kind


def export(
    lib: Lib,
    *,
    form: Annotated[str, typer.Option("--form", "-f", help="csv, jsonl or lines.", metavar="FORM")] = "csv",
    unreliable: Annotated[
        bool, typer.Option("--unreliable", help="Also videos that show too little to be told by it.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the codes of a library as signals of the kind `vhash`, for tools of hash exchanges.

    csv is what `threatexchange dataset --csv` prints, and the path; jsonl an object a line, as
    Hasher-Matcher-Actioner takes it at `/c/bank/NAME/signal`; lines what the exchange `local_file` of
    threatexchange reads.

    [bold]Examples[/bold]

      vhash export library > codes.csv

      vhash export library --form lines > codes.txt
    """
    from ..exchange.writing import FORMS, SIGNAL, written
    from ..library.library import Library

    if form not in FORMS:
        raise typer.BadParameter(f"--form {form}; allowed: {', '.join(FORMS)}")
    with Output("export", json=json) as out, Library(lib, create=False) as library:
        entries = [entry for entry in library if unreliable or entry.code.unreliable is None]
        left_out = len(library) - len(entries)
        for line in () if json else written(entries, form, collab=library.directory.name):
            out.line(line)
        if left_out:
            out.note(
                f"vhash: {counted(left_out, 'video')} left out that show too little; --unreliable takes them"
            )
        out.document(
            library=path_entry(library.directory),
            model=model_entry(library),
            signals=[
                {**path_entry(entry.path), "signal_type": SIGNAL, "signal_str": entry.code.text}
                for entry in entries
            ],
            left_out=left_out,
        )
        out.end(ExitCode.DONE if entries else ExitCode.NOTHING_DONE)


@dataclass(frozen=True)
class MatchOptions:
    """What ``vhash match`` takes."""

    known: Annotated[
        Path,
        typer.Argument(
            metavar="KNOWN",
            parser=place,
            show_default=False,
            help="Hashes, as the tools of PDQ and vPDQ write them: text, CSV, JSON.",
        ),
    ]
    queries: Annotated[
        Path,
        typer.Argument(metavar="QUERIES", parser=place, show_default=False, help="Hashes to look for."),
    ]
    radius: Annotated[int, typer.Option(min=0, max=256, help="Bits between hashes of one picture.")] = 31
    quality: Annotated[int, typer.Option(min=0, max=100, help="Hashes of less quality are left out.")] = 50
    query_share: Annotated[
        float, typer.Option(min=0, max=100, help="vPDQ: per cent of the query's frames that have to match.")
    ] = 80.0
    known_share: Annotated[
        float, typer.Option(min=0, max=100, help="vPDQ: per cent of the known video's frames that have to.")
    ] = 0.0
    index: Annotated[
        str | None,
        typer.Option(
            help="Keep the known hashes in this index, and take them from there the next time: a directory, "
            "milvus://host:port/name or milvus-lite://file.db/name.",
            show_default=False,
        ),
    ] = None
    json: Json = False


@takes(MatchOptions)
def match(given: MatchOptions) -> None:
    """Find hashes of PDQ and vPDQ among known ones, by the thresholds of their documentation.

    Each file has one hash a line, or the frames of one video; a line that is none is told, and the rest is
    done. A PDQ hash is compared with those of PDQ, a vPDQ hash with those of vPDQ.

    [bold]Examples[/bold]

      vhash match known.csv uploads.txt

      vhash match known.jsonl upload.json --query-share 50 --json

      vhash match known.csv uploads.txt --index known.vhi
    """
    from ..exchange.reading import read_hashes

    with Output("match", json=given.json) as out, ExitStack() as stack:
        known, queries = read_hashes(given.known), read_hashes(given.queries)
        for file in (known, queries):
            _tell(out, file)
        entries, poor = [], 0
        for kind in sorted({each.kind for each in queries.hashes}):
            asked = [each for each in queries.hashes if each.kind == kind]
            found, left_out = _matched(given, kind, known, asked, stack)
            poor += left_out
            entries += list(zip(asked, found, strict=True))
        entries.sort(key=lambda pair: pair[0].line)
        for query, matches in entries:
            for each in matches:
                out.line(_line(queries.path, query, known.path, each))
        hits = sum(bool(matches) for _, matches in entries)
        rest = f"; {counted(poor, 'hash', 'hashes')} of quality below {given.quality}" if poor else ""
        out.note(f"vhash: {hits} of {counted(len(entries), 'query', 'queries')} match{rest}")
        out.document(
            known=_file_entry(known),
            queries=_file_entry(queries),
            radius=given.radius,
            quality=given.quality,
            query_share=given.query_share,
            known_share=given.known_share,
            results=[
                {**_place(query), "matches": [_match_entry(each) for each in matches]}
                for query, matches in entries
            ],
        )
        out.end(ExitCode.of(len(entries) if known.hashes else 0, len(known.bad) + len(queries.bad)))


def _matched(
    given: MatchOptions, kind: Kind, known: HashFile, asked: list[Hashed], stack: ExitStack
) -> tuple[list[list[BankMatch]], int]:
    """What each query matches, and how many hashes are of too low a quality."""
    from ..engines.open import open_index
    from ..exchange.bank import HashBank
    from ..exchange.records import BITS

    where = given.index and f"{given.index}_{kind}"  # the two kinds do not mix
    engine = stack.enter_context(open_index(where, bits=BITS)) if where else None
    bank = HashBank(kind, known.hashes, quality=given.quality, engine=engine)
    shares = {"query_share": given.query_share, "known_share": given.known_share}
    found = list(bank.search_many(asked, radius=given.radius, **shares))
    poor = sum(bool((each.quality < given.quality).all()) for each in asked)
    return found, bank.poor + poor


def _tell(out: Output, file: HashFile) -> None:
    for bad in file.bad:
        out.note(f"vhash: {printable(file.path)}, line {bad.line}: {bad.message}")
    for kind, count in sorted(file.others.items()):
        signals = counted(count, "signal")
        out.note(f"vhash: {printable(file.path)}: {signals} of the kind {printable(kind)} left out")


def _line(queries: str, query: Hashed, known: str, match: BankMatch) -> str:
    shares = f"  {match.query_share:.0f} % [{match.known_share:.0f} %]" if query.kind == "vpdq" else ""
    return f"{_name(queries, query)}  {match.distance} bits{shares}  {_name(known, match.known)}"


def _name(file: str, each: Hashed) -> str:
    return f"{printable(file)}:{each.line}" + (f" {printable(each.label)}" if each.label else "")


def _place(each: Hashed) -> dict[str, Any]:
    return {"line": each.line, "kind": each.kind, "label": printable(each.label)}


def _match_entry(match: BankMatch) -> dict[str, Any]:
    return {
        **_place(match.known),
        "distance": match.distance,
        "query_share": number(match.query_share, 2),
        "known_share": number(match.known_share, 2),
    }


def _file_entry(file: HashFile) -> dict[str, Any]:
    return {
        **path_entry(file.path),
        "hashes": len(file.hashes),
        "others": {printable(kind): count for kind, count in file.others.items()},
        "bad": [{"line": bad.line, "message": safe(bad.message)} for bad in file.bad],
    }
