"""Data for a GPU machine that takes little at a time: packed into pieces here, put together there.

    python -m benchmarks.gpu.carry pack ../shared/data/weights .whl     # .carry/1, .carry/2 …
    python -m benchmarks.gpu.carry unpack .cache/gpu                    # there, when all pieces have come

Each piece is a folder of its own, so that one can be sent with each call. Unpacking says which pieces are
missing, damaged or of another packing, by their SHA-256, before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from benchmarks.common import command_line

PIECES = Path(".carry")


def pack(sources: list[Path], pieces: Path = PIECES, *, mib: float = 24.0) -> list[Path]:
    """One tar archive of files and folders, under their own names, cut into pieces.

    Args:
        sources: to be packed.
        pieces: folder for the pieces; what it holds is removed.
        mib: largest size of a piece, in MiB.

    Raises:
        FileNotFoundError: a source is not there.
    """
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f"{source} is not there")
    shutil.rmtree(pieces, ignore_errors=True)
    made: list[Path] = []
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for source in sources:
                archive.add(source, source.resolve().name)
        size, step = file.tell(), int(mib * 2**20)
        file.seek(0)
        archive_digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        total = -(-size // step)
        for number in range(1, total + 1):
            data = file.read(step)
            folder = pieces / str(number)
            folder.mkdir(parents=True)
            (folder / "piece").write_bytes(data)
            about = {
                "number": number, "of": total, "archive": archive_digest,
                "sha256": hashlib.sha256(data).hexdigest(),
            }  # fmt: skip
            (folder / "about.json").write_text(json.dumps(about) + "\n")
            made.append(folder)
    return made


def unpack(target: Path, pieces: Path = PIECES) -> None:
    """Put the pieces together and extract them below ``target``.

    Raises:
        ValueError: pieces are missing or damaged, the message says which; or they are of two packings.
    """
    found = {}
    for about in sorted(pieces.glob("*/about.json")):
        row = json.loads(about.read_text())
        found[row["number"]] = (row, about.with_name("piece"))
    if len({row["archive"] for row, _ in found.values()}) > 1:
        raise ValueError(f"{pieces}: pieces of different packings; remove it there and send all pieces again")
    total = max((row["of"] for row, _ in found.values()), default=0)
    bad = [n for n in range(1, total + 1) if n not in found]
    bad += [
        n
        for n, (row, piece) in found.items()
        if not piece.exists() or hashlib.sha256(piece.read_bytes()).hexdigest() != row["sha256"]
    ]
    if bad or not found:
        numbers = ", ".join(map(str, sorted(bad))) or "all"
        raise ValueError(
            f"{pieces}: missing or damaged pieces: {numbers} of {total or 'unknown'}; send them again"
        )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        for number in sorted(found):
            file.write(found[number][1].read_bytes())
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(target, filter="data")


def main() -> None:
    parser = command_line(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="cut files and folders into pieces")
    packing.add_argument("sources", nargs="+", type=Path)
    packing.add_argument("--mib", type=float, default=24.0, help="largest size of a piece")
    commands.add_parser("unpack", help="put the pieces together").add_argument("target", type=Path)
    options = parser.parse_args()
    if options.command == "unpack":
        unpack(options.target)
        return
    for folder in pack(options.sources, mib=options.mib):
        print(f"{folder}  {(folder / 'piece').stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
