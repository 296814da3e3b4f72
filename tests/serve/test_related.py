"""Pairs that are related but no duplicates, in the API: in pages, by filters, never to be removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from tests.serve.conftest import Made, Server
from vhash_sdk.library import Library
from vhash_sdk.library.duplicates import Groups, Related
from vhash_sdk.matching.relation import VideoRelation
from vhash_sdk.serve import Client
from vhash_sdk.serve.results import keep_groups
from vhash_sdk.serve.state import FILE, State


@pytest.fixture
def kept(own: Made) -> Made:
    """A library in which a search has found related pairs, and no duplicates."""
    with Library(own.library) as library:
        one, two, three, *_ = library
        pairs = (
            Related(one, two, VideoRelation.CONTAINS, 40, 60),
            Related(one, three, VideoRelation.SHARES, 41, 61),
            Related(two, three, VideoRelation.TAKE, 42, 62),
        )
        state = State(own.library / FILE)
        groups = Groups(related=pairs, radius=60)
        about = keep_groups(state, library, groups, library.generation, "j1", {})
        state.close()
    assert about["related"] == 3
    return own


def test_related_pairs_in_pages_and_by_filters(kept: Made, serve: Callable[..., Server]) -> None:
    server = serve(kept.library)
    http = server.client()
    with Client(f"http://127.0.0.1:{server.port}", token=server.token) as client:
        pairs = list(client.related(limit=2))
    assert [pair.relation for pair in pairs] == ["contains", "shares a part", "same scene, other take"]
    assert [(pair.number, pair.distance, pair.verified) for pair in pairs] == [
        (1, 40, 60),
        (2, 41, 61),
        (3, 42, 62),
    ]
    assert pairs[0].a.id == pairs[1].a.id and pairs[0].pixels is None
    assert http.get("/v1/related", params={"relation": "shares a part"}).json()["total"] == 1
    name = pairs[1].b.name
    assert http.get("/v1/related", params={"text": name.upper()}).json()["total"] == 2
    assert http.get("/v1/related", params={"relation": "unrelated"}).status_code == 422
    page = http.get("/v1/groups").json()
    assert page["items"] == [] and page["run"]["related"] == 3
    for pair in pairs:  # never offered for removal
        assert http.put(f"/v1/basket/{pair.b.id}", json={"kept": pair.a.id}).status_code == 409
    assert http.post("/v1/basket/fill", json={}).json() == {"added": 0}
    assert server.run(kind="dedup")["state"] == "done"
    assert http.get("/v1/related").json()["total"] == http.get("/v1/groups").json()["run"]["related"] == 0


def test_a_file_of_an_older_server(kept: Made, serve: Callable[..., Server]) -> None:
    with sqlite3.connect(kept.library / FILE) as connection:
        connection.execute("DROP TABLE related")
        connection.execute("UPDATE run SET about = json_remove(about, '$.related')")
    connection.close()
    client = serve(kept.library).client()
    assert client.get("/v1/related").json() == {"items": [], "next": None, "total": 0}
    assert client.get("/v1/groups").json()["run"]["related"] is None


def test_pairs_of_another_run_are_not_shown(kept: Made, serve: Callable[..., Server]) -> None:
    with sqlite3.connect(kept.library / FILE) as connection:  # an older vhash has looked again since
        connection.execute("UPDATE run SET job = 'j2', about = json_remove(about, '$.related')")
    connection.close()
    assert serve(kept.library).client().get("/v1/related").json()["total"] == 0
