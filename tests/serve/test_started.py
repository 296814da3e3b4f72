"""Servers that are started otherwise: with TLS, over directories of `Index.open`, over Milvus."""

from __future__ import annotations

import importlib.util
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serve.conftest import Made, Server
from vhash_sdk import Index, open_index
from vhash_sdk.errors import UnreachableError
from vhash_sdk.serve import Client

RNG = np.random.default_rng(8)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-made certificate of 127.0.0.1, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=vhash"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl, to make a certificate")
    return cert, key


def test_tls(
    own: Made,
    serve: Callable[..., Server],
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    server = serve(own.library, "--cert", str(cert), "--key", str(key), trust=trusting)
    with server.client() as client:
        assert str(client.base_url).startswith("https://")
        assert client.get("/v1/library").json()["videos"] == 5
        answer = client.post("/v1/session", json={"token": server.link})
        cookie = answer.headers["set-cookie"]
        assert answer.status_code == 200 and "Secure" in cookie and "HttpOnly" in cookie
        assert client.post("/v1/session/links").json()["url"].startswith("https://127.0.0.1:")
    with server.client(verify=True) as stranger, pytest.raises(httpx.ConnectError, match="(?i)certificate"):
        stranger.get("/livez")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as plain, pytest.raises(httpx.HTTPError):
        plain.get("/livez")  # nothing is answered in the clear
    mistrusting = Client(f"https://127.0.0.1:{server.port}", token=server.token)
    with mistrusting, pytest.raises(UnreachableError, match="(?i)certificate"):
        mistrusting.library()
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))  # as everywhere in Python
    with Client(f"https://127.0.0.1:{server.port}", token=server.token) as trusted:
        assert trusted.library().videos == 5
    assert server.stop() == 0


def test_directories_of_codes(own: Made, serve: Callable[..., Server], tmp_path: Path) -> None:
    stores = {}
    for name, bits in (("known", 256), ("short", 64)):
        codes = RNG.integers(0, 256, (500, bits // 8), dtype=np.uint8)
        with Index.open(tmp_path / name, bits=bits) as index:
            index.add(codes, np.arange(1000, 1500))
        stores[name] = codes
    options = [word for name in stores for word in ("--index", f"{name}={tmp_path / name}")]
    server = serve(own.library, *options)
    with Client(f"http://127.0.0.1:{server.port}", token=server.token) as client:
        for name, codes in stores.items():
            asked = codes[:50].copy()
            asked[:, 0] ^= 5
            in_memory = Index(8 * codes.shape[1])
            in_memory.add(codes, np.arange(1000, 1500))
            for radius in (1, 2, 20):
                found = client.lookup(asked, radius=radius, index=name)
                right = in_memory.range_search(asked, radius)
                assert (found.ids == right.ids).all() and (found.distances == right.distances).all()
            assert client.lookup(codes[7], k=1, index=name).ids.tolist() == [1007]
    about = server.client().get("/v1/indexes").json()
    assert {one["name"]: (one["bits"], one["codes"]) for one in about["items"] if one["name"] in stores} == {
        "known": (256, 500),
        "short": (64, 500),
    }
    # what a writer adds to the directory is seen soon after
    with Index.open(tmp_path / "known") as index:
        index.add(stores["known"][7:8], [9])
    with Client(f"http://127.0.0.1:{server.port}", token=server.token) as client:
        end = time.monotonic() + 60
        while client.lookup(stores["known"][7], radius=0, index="known").ids.tolist() != [9, 1007]:
            assert time.monotonic() < end
            time.sleep(0.1)
        plain = server.client()
        assert plain.get("/readyz").status_code == 200
        manifest = tmp_path / "known" / "MANIFEST"
        whole = manifest.read_bytes()
        for content, status in ((whole[:-2] + b"xx", 503), (whole, 200)):
            manifest.write_bytes(content)
            while plain.get("/readyz").status_code != status:
                assert time.monotonic() < end
                time.sleep(0.2)
            # what was known stays known
            assert client.lookup(stores["known"][7], radius=0, index="known").ids.tolist() == [9, 1007]
    assert server.stop() == 0


def test_a_collection_of_milvus(own: Made, serve: Callable[..., Server], tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="needs pymilvus: pip install 'vhash-sdk[milvus]'")
    if importlib.util.find_spec("milvus_lite") is None:
        pytest.skip("needs milvus-lite: pip install 'vhash-sdk[milvus]'")
    where = f"milvus-lite://{tmp_path / 'codes.db'}/known"
    codes = RNG.integers(0, 256, (100, 32), dtype=np.uint8)
    with open_index(where, bits=256) as index:
        index.add(codes, np.arange(100))
    server = serve(own.library, "--index", f"known={where}")
    with Client(f"http://127.0.0.1:{server.port}", token=server.token) as client:
        asked = codes[:10].copy()
        asked[:, 3] ^= 1
        found = client.lookup(asked, radius=3, index="known")
        assert found.ids.tolist() == list(range(10)) and set(found.distances.tolist()) == {1}
    assert server.stop() == 0
