"""The API as a program sees it: every route against a real server, and what it says against the library."""

from __future__ import annotations

import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.serve.conftest import Made, Server
from vhash_sdk.library import Library
from vhash_sdk.serve import Client


def by_name(server: Server) -> dict[str, dict[str, Any]]:
    return {video["name"]: video for video in server.client().get("/v1/videos").json()["items"]}


def test_what_the_library_holds(served: Server, made: Made) -> None:
    facts = served.client().get("/v1/library").json()
    assert (facts["videos"], facts["failures"], facts["has_segments"]) == (5, 1, True)
    assert facts["roots"] == [str(made.videos)] and facts["model"]["bits"] == 256
    assert (
        facts["threshold"]["radius"] > 0 and "hardlink" in facts["actions"] and "move" not in facts["actions"]
    )
    (failure,) = served.client().get("/v1/failures").json()["items"]
    assert failure["path"].endswith("broken.mp4") and failure["message"]


def test_videos_come_in_pages_by_filters(served: Server) -> None:
    client = served.client()
    every = client.get("/v1/videos", params={"sort": "bytes", "order": "desc"}).json()
    assert [video["bytes"] for video in every["items"]] == sorted(
        (v["bytes"] for v in every["items"]), reverse=True
    )
    for sort in ("id", "path", "bytes", "seconds", "modified", "added", "height"):
        names, cursor = [], None
        while True:
            given = {"limit": 2, "sort": sort, **({"cursor": cursor} if cursor else {})}
            page = client.get("/v1/videos", params=given).json()
            names += [video["name"] for video in page["items"]]
            assert page["total"] == 5
            cursor = page["next"]
            if cursor is None:
                break
        assert len(names) == len(set(names)) == 5, sort
    assert [v["name"] for v in client.get("/v1/videos?text=SMALL").json()["items"]] == ["small.mp4"]
    assert client.get("/v1/videos?min_height=100000").json()["total"] == 0
    assert client.get("/v1/videos?cursor=nonsense").status_code == 400
    every = client.get("/v1/videos?limit=500").json()["items"]
    for skip in (0, 2, 99):  # from any place on
        page = client.get(f"/v1/videos?limit=2&cursor=@{skip}").json()
        assert page["items"] == every[skip : skip + 2] and page["total"] == len(every)
    assert (
        client.get("/v1/failures?cursor=@0").json()["items"]
        and not client.get("/v1/failures?cursor=@1").json()["items"]
    )


def test_the_bytes_of_a_video(served: Server, made: Made) -> None:
    client, video = served.client(), by_name(served)["bunny.mp4"]
    content = (made.videos / "bunny.mp4").read_bytes()
    url = f"/v1/videos/{video['id']}/file"
    whole = client.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "video/mp4")
    for asked, part in (("0-9", content[:10]), ("100-", content[100:]), ("-5", content[-5:])):
        answer = client.get(url, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, part), asked
    assert client.get(url, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert client.get(url, headers={"Range": "bytes=0-1,5-6"}).status_code == 200  # several: the whole
    assert client.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    head = client.head(url)
    assert (head.content, int(head.headers["content-length"])) == (b"", len(content))


def test_pictures_and_previews(served: Server) -> None:
    client, video = served.client(), by_name(served)["bunny.mp4"]
    still = client.get(f"/v1/videos/{video['id']}/still?time=1&height=64")
    strip = client.get(f"/v1/videos/{video['id']}/strip?frames=3&height=64")
    assert still.content[:2] == strip.content[:2] == b"\xff\xd8" and strip.headers["x-frames"] == "3"
    preview = client.get(f"/v1/videos/{video['id']}/preview?seconds=1&height=64")
    assert preview.content[:4].hex() == "1a45dfa3" and preview.headers["content-type"] == "video/webm"
    assert client.get(f"/v1/videos/{video['id']}/still?height=9").status_code == 422
    assert client.get("/v1/videos/424242/still").status_code == 404


def test_search_by_upload_code_id_and_path(served: Server, made: Made) -> None:
    with Client(f"http://127.0.0.1:{served.port}/#token={served.signed_link()}") as client:
        upload = client.upload(made.videos / "small.mp4")
        hits = client.search(made.videos / "small.mp4", k=3).hits
        assert [hit.video.name for hit in hits[:2]] == ["small.mp4", "chair.mp4"]
        assert hits[0].distance == 0 and hits[1].same is True and hits[2].same is False
        videos = {video.name: video for video in client.videos()}
        assert len(list(client.videos(limit=2, damaged=False))) == 5
        ids = [[hit.video.id for hit in client.search(source, k=5).hits] for source in
               (videos["small.mp4"].id, videos["small.mp4"].code)]  # fmt: skip
        assert ids[0] == ids[1]
        found = client.find(made.videos / "small.mp4")
        assert {span.video.name for span in found.spans} >= {"small.mp4"}
        assert client.compare(videos["small.mp4"].id, videos["chair.mp4"].id).same is True
        said = client.compare(videos["small.mp4"].code, videos["legs.mp4"].code)
        assert said.same is False and said.distance > 60
        assert client.library().videos == 5
    http = served.client()
    given = {"source": {"path": str(made.videos / "small.mp4")}, "k": 1}
    assert http.post("/v1/search", json=given).json()["hits"][0]["video"]["name"] == "small.mp4"
    filtered = {"source": {"video": videos["small.mp4"].id}, "k": 1, "text": "legs"}
    assert http.post("/v1/search", json=filtered).json()["hits"][0]["video"]["name"] == "legs.mp4"
    assert http.get(f"/v1/uploads/{upload.id}/strip?height=32").content[:2] == b"\xff\xd8"
    assert http.delete(f"/v1/uploads/{upload.id}").status_code == 204
    assert http.post("/v1/encode", json={"source": {"upload": upload.id}}).status_code == 404


def test_a_source_is_exactly_one_thing(served: Server) -> None:
    client = served.client()
    for source in ({}, {"video": 1, "code": "vh1:x"}):
        assert client.post("/v1/encode", json={"source": source}).status_code == 400
    answer = client.post("/v1/encode", json={"source": {"code": "vh1:nonsense"}})
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json"


def test_bare_codes_are_found_as_the_library_finds_them(served: Server) -> None:
    videos = list(by_name(served).values())
    codes = np.array([list(bytes.fromhex(video["code"].rpartition(":")[2])) for video in videos], np.uint8)
    with Client(f"http://127.0.0.1:{served.port}", token=served.token) as client:
        within = client.lookup(codes, radius=40)
        nearest = client.lookup(codes, k=2)
    bits = np.unpackbits(codes, axis=1)
    distances = (bits[:, None] != bits[None]).sum(axis=2)
    ids = np.array([video["id"] for video in videos])
    for row, (found, near) in enumerate(within):
        right = sorted((int(d), int(i)) for d, i in zip(distances[row], ids, strict=True) if d <= 40)
        assert list(zip(near.tolist(), found.tolist(), strict=True)) == right
        assert nearest[row][0].tolist() == [i for _, i in sorted(zip(distances[row], ids, strict=True))][:2]
    as_json = served.client().post("/v1/lookup?radius=0", content=codes[0].tobytes()).json()
    assert as_json["matches"][0][0]["distance"] == 0
    packed = (
        served.client()
        .post("/v1/lookup?k=1", content=codes.tobytes(), headers={"Accept": "application/octet-stream"})
        .content
    )
    assert struct.unpack_from("<6I", packed) == (5, 1, 1, 1, 1, 1)
    for wrong in ("radius=-1", "k=0", "k=x", "", "radius=3&index=none"):
        assert served.client().post(f"/v1/lookup?{wrong}", content=codes[0].tobytes()).status_code in (
            400,
            404,
            422,
        )
    assert served.client().post("/v1/lookup?k=1", content=b"short").status_code == 400


def test_groups_judgements_and_their_undoing(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library)
    client = server.client()
    assert client.get("/v1/groups").json() == {"items": [], "next": None, "total": 0, "run": None}
    assert server.run(kind="dedup")["state"] == "done"
    page = client.get("/v1/groups?sort=path").json()
    assert page["total"] == 2 and page["run"]["duplicates"] == 2 and page["run"]["stale"] is False
    group = next(g for g in page["items"] if not g["members"][0]["same_bytes"])
    pair = {"a": group["representative"]["id"], "b": group["members"][0]["video"]["id"]}
    said = client.post("/v1/judgements", json={"judgements": [{**pair, "judgement": "not a match"}]})
    assert (said.status_code, said.json()["recorded"]) == (201, True)
    assert client.get(f"/v1/groups/{group['number']}").json()["members"][0]["judgement"] == "not a match"
    assert client.get("/v1/groups?state=not").json()["total"] == 1
    assert client.get("/v1/groups?state=open").json()["total"] == 0
    with Library(own.library) as library:
        assert len(library.judgements()) == 1
    assert client.post("/v1/judgements/undo").json()["judgements"] == [{**pair, "judgement": None}]
    assert client.post("/v1/judgements/undo").status_code == 409
    with Library(own.library) as library:
        assert library.judgements() == []
    assert client.get("/v1/judgements").json()["total"] == 0
    spans = client.get("/v1/spans", params=pair).json()["spans"]
    assert spans and spans[0]["score"] > 0
    assert server.run(kind="parts")["state"] == "done"
    assert client.get("/v1/parts?relation=same video").json()["total"] >= 1
    points = client.get("/v1/map/points").content
    (count,) = struct.unpack_from("<I", points, 4)
    assert points[:4] == b"VHM1" and count == 5 and len(points) == 8 + 17 * count
    assert sorted(points[-5:]) == [0, 1, 1, 2, 2]


def test_the_basket_is_applied_and_taken_back(own: Made, serve: Callable[..., Server]) -> None:
    moved = own.library.parent / "moved"
    server = serve(own.library, "--move-to", str(moved))
    client = server.client()
    server.run(kind="dedup")
    groups = client.get("/v1/groups").json()["items"]
    member = groups[0]["members"][0]["video"]
    assert client.put(f"/v1/basket/{member['id']}", json={"kept": 4242}).status_code == 409
    kept = groups[0]["representative"]
    assert (
        client.put(f"/v1/basket/{member['id']}", json={"kept": kept["id"]}).json()["kept"]["id"] == kept["id"]
    )
    assert client.post("/v1/basket/fill", json={}).json() == {"added": 1}
    assert len(client.get("/v1/basket").json()["items"]) == 2
    dry = server.run(kind="apply", action="move", dry_run=True)
    assert dry["counts"] == {"done": 2} and len(client.get("/v1/basket").json()["items"]) == 2
    before = sorted(path.name for path in own.videos.iterdir())
    done = server.run(kind="apply", action="move")
    assert done["counts"] == {"done": 2} and client.get("/v1/basket").json()["items"] == []
    assert len(list(own.videos.iterdir())) == len(before) - 2
    (journal,) = client.get("/v1/journals").json()["items"]
    assert (journal["done"], journal["undone"], journal["unfinished"]) == (2, 0, False)
    back = server.run(kind="undo", journal=journal["name"])
    assert back["counts"] == {"restored": 2}
    assert sorted(path.name for path in own.videos.iterdir()) == before


def test_the_same_key_is_carried_out_once(own: Made, serve: Callable[..., Server]) -> None:
    client = serve(own.library).client()
    first = client.post("/v1/jobs", json={"kind": "dedup"}, headers={"Idempotency-Key": "a" * 16})
    again = client.post("/v1/jobs", json={"kind": "dedup"}, headers={"Idempotency-Key": "a" * 16})
    assert first.json() == again.json() and again.headers["idempotent-replayed"] == "true"
    assert client.get("/v1/jobs").json()["total"] == 1
    other = client.post("/v1/jobs", json={"kind": "parts"}, headers={"Idempotency-Key": "a" * 16})
    assert other.status_code == 422


def test_a_server_that_only_reads_changes_nothing(own: Made, serve: Callable[..., Server]) -> None:
    client = serve(own.library, "--read-only").client()
    assert client.get("/v1/library").json()["actions"] == []
    for path, given in (
        ("/v1/jobs", {"kind": "dedup"}),
        ("/v1/judgements/undo", None),
        ("/v1/basket/fill", {}),
    ):
        assert client.post(path, json=given).status_code == 403
    assert client.post("/v1/search", json={"source": {"video": 1}}).status_code in (200, 404)


def test_health_and_figures(served: Server) -> None:
    anybody = served.client(token=False)
    assert anybody.get("/livez").json() == anybody.get("/readyz").json() == {"status": "ok"}
    assert anybody.get("/metrics").status_code == 401
    text = served.client().get("/metrics").text
    assert "vhash_videos 5.0" in text and 'vhash_requests_total{method="GET",route="/livez"' in text


def test_requests_are_traced(
    own: Made, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.instrumentation.asgi")
    came: list[tuple[str, bytes]] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as sink:
        Thread(target=sink.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{sink.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        server = serve(own.library, "--telemetry")
        assert server.client().get("/v1/library").status_code == 200
        assert server.stop() == 0  # what is not sent yet goes now
        sink.shutdown()
    assert any(path == "/v1/traces" and b"/v1/library" in body for path, body in came)
