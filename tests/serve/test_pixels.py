"""What pixels say of a pair that codes leave in doubt is in every answer about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.library.test_looks import enlarged
from tests.serve.conftest import SAMPLES, Server
from vhash_sdk import Encoder, Library
from vhash_sdk.report.pixels import look_entry
from vhash_sdk.serve import Client
from vhash_sdk.serve.client import ApiError


def test_answers_tell_what_pixels_say(tmp_path: Path, serve: Callable[..., Server]) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    bunny = Path(shutil.copy(SAMPLES / "bunny.mp4", folder))
    shutil.copy(SAMPLES / "chair.mp4", folder)
    middle = enlarged(bunny, folder / "middle.mp4", 0.45)
    with (
        Encoder("copy", threads=1) as encoder,
        Library(tmp_path / "library", encoder=encoder) as library,
    ):
        library.add([folder])
        hits = {Path(hit.entry.path): hit for hit in library.search(middle)}
        said = look_entry(hits[bunny].look)
    assert said is not None and said["same"] is True and said["enlarged"] == pytest.approx(1 / 0.45, rel=0.05)

    server = serve(tmp_path / "library", "--root", str(folder))
    assert server.run(kind="dedup")["state"] == "done"
    with Client(f"http://127.0.0.1:{server.port}", token=server.token) as client:
        found = {hit.video.name: hit for hit in client.search(middle).hits}
        assert found["bunny.mp4"].pixels is not None and found["bunny.mp4"].pixels.model_dump() == said
        assert found["bunny.mp4"].same is True
        assert found["middle.mp4"].pixels is None  # its code leaves no doubt
        (group,) = client.groups()
        (member,) = group.members
        assert member.pixels is not None and member.pixels.same and member.pixels.motion > 0.6
        ids = {video.name: video.id for video in client.videos()}
        own = client.search(ids["middle.mp4"])  # as an upload of its file
        by_id = {hit.video.name: hit for hit in own.hits}
        assert own.compared == "videos" and by_id["bunny.mp4"].pixels is not None
        for name, hit in by_id.items():
            upload = found[name]
            assert (hit.distance, hit.verified, hit.same, hit.relation) == (
                upload.distance, upload.verified, upload.same, upload.relation,
            )  # fmt: skip
        codes = client.search(own.query.code)  # a bare code has nothing but itself
        assert codes.compared == "codes"
        assert all(hit.verified is hit.pixels is hit.relation is None for hit in codes.hits)
        threshold = client.library().threshold
        assert threshold is not None
        assert all(hit.same is (hit.distance <= threshold.radius) for hit in codes.hits)
        by_code = client.compare(own.query.code, bunny)
        assert by_code.compared == "codes" and by_code.verified is None and by_code.pixels is None
        assert by_code.relation is None
        kept = client.compare(ids["bunny.mp4"], ids["middle.mp4"])
        sent = client.compare(bunny, middle, spans=False)
        for one in (kept, sent):
            assert one.compared == "videos" and one.same and one.pixels is not None and one.pixels.same
            assert one.pixels.enlarged == pytest.approx(1 / 0.45, rel=0.05)
        client.judge(ids["bunny.mp4"], ids["middle.mp4"], "not a match")
        for asked in (ids["middle.mp4"], middle):  # what a person has said holds for both
            hit = next(hit for hit in client.search(asked, text="bunny").hits)
            assert hit.video.name == "bunny.mp4" and hit.same is False and hit.relation in (None, "unrelated")
        for one, other in (
            (bunny, middle),
            (ids["bunny.mp4"], middle),
            (ids["bunny.mp4"], ids["middle.mp4"]),
        ):
            assert client.compare(one, other, spans=False).same is False
        other = client.compare(ids["bunny.mp4"], ids["chair.mp4"], spans=False)
        assert other.same is False and other.pixels is None
        shutil.copy(bunny, folder / "chair.mp4")  # what the library knows is another video
        with pytest.raises(ApiError) as caught:
            client.compare(ids["chair.mp4"], bunny)
        assert caught.value.status == 409
    page = server.client().get("/v1/groups").json()
    assert set(page["items"][0]["members"][0]["pixels"]) == set(said)
