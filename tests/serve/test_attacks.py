"""What an attacker tries: each is refused, and the server goes on."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.hostile_files import endless_search, gif_bomb, huge_frame
from tests.serve.conftest import TOKEN, Made, Server
from vhash_sdk.errors import OptionError
from vhash_sdk.serve.limits import Rates
from vhash_sdk.serve.problems import Problem
from vhash_sdk.serve.sessions import Tries, keep_password, read_tokens, verified
from vhash_sdk.serve.settings import Settings
from vhash_sdk.serve.state import State

QUICK = (
    "import vhash_sdk.serve.server as server, vhash_sdk.serve.limits as limits\n"
    "server.HEADER_SECONDS = limits.STALL_SECONDS = 0.5"
)
"""Makes a server give up slow clients soon."""


def lives(server: Server) -> bool:
    return server.client().get("/v1/library").status_code == 200


def head(method: str, path: str, *lines: str, host: str = "127.0.0.1") -> bytes:
    """The head of a request that may do everything."""
    given = (f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {TOKEN}", *lines, "", "")
    return "\r\n".join(given).encode()


def talk(server: Server, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to bytes as they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        for piece in pieces:
            wire.sendall(piece)
            time.sleep(pause)
        wire.settimeout(10)
        answer = b""
        try:
            while part := wire.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def test_paths_lead_nowhere_else(served: Server, made: Made) -> None:
    client = served.client()
    secret = made.videos.parent / "secret.mp4"
    secret.write_bytes((made.videos / "bunny.mp4").read_bytes())
    link = made.videos.parent / "videos-link"
    for path in (
        "/etc/passwd",
        "../secret.mp4",
        f"{made.videos}/../secret.mp4",
        str(secret),
        "",
        "\0",
        "~",
        f"{made.videos}x/a",
    ):
        for given in ({"source": {"path": path}},):
            assert client.post("/v1/encode", json=given).status_code in (400, 403, 422), path
        assert client.post("/v1/jobs", json={"kind": "add", "paths": [path]}).status_code in (
            400,
            403,
            422,
        ), path
    inside = made.videos / "leads-out.mp4"
    inside.symlink_to(secret)
    try:
        assert client.post("/v1/encode", json={"source": {"path": str(inside)}}).status_code == 403
    finally:
        inside.unlink()
        link.unlink(missing_ok=True)
    assert client.post("/v1/jobs", json={"kind": "undo", "journal": "../../etc/passwd"}).status_code == 422
    assert client.post("/v1/jobs", json={"kind": "undo", "journal": "..journal"}).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/static/../sessions.py", "/static/%2e%2e/sessions.py", "/static/..%2fserver.py", "/static//etc/passwd",
     "/static/assets/../../app.py", "/static/.hidden", "/v1/videos/..%2f..%2fetc/file",
     "/v1/uploads/..%2f..%2f/still"],
)  # fmt: skip
def test_no_file_but_those_of_the_app_is_served(served: Server, path: str) -> None:
    answer = talk(served, head("GET", path, "Connection: close"))
    assert answer[9:12] in (b"404", b"422", b"400"), answer[:200]
    assert b"import " not in answer and b"root:" not in answer


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:80", "evil.example@127.0.0.1", "", "a b", "0.0.0.0"],
)
def test_another_name_is_refused(served: Server, host: str) -> None:
    """A page whose name its owner has led to 127.0.0.1 (DNS rebinding) sends that name."""
    answer = talk(served, head("GET", "/v1/library", "Connection: close", host=host))
    assert answer[9:12] in (b"403", b"400"), answer[:100]


def test_a_page_from_elsewhere_changes_nothing(served: Server) -> None:
    browser = served.signed_in()
    given = {"json": {"max_distance": 1}}
    assert browser.post("/v1/basket/fill", **given).status_code == 200
    for headers in (
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Origin": f"http://localhost:{served.port}"}, {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
    ):  # fmt: skip
        assert browser.post("/v1/basket/fill", headers=headers, **given).status_code == 403, headers
    form = browser.post("/v1/basket/fill", data={"max_distance": "1"})
    assert form.status_code == 422  # what a form can send is no JSON
    assert (
        served.client()
        .post("/v1/basket/fill", headers={"Origin": "http://evil.example"}, **given)
        .status_code
        == 403
    )
    answer = browser.get("/v1/library", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_cookie_and_the_pages_are_locked_down(
    made: Made, own: Made, serve: Callable[..., Server]
) -> None:
    server = serve(own.library)
    client = server.client(token=False)
    cookie = client.post("/v1/session", json={"token": server.link}).headers["set-cookie"].lower()
    assert f"vhash_{server.port}=" in cookie and "httponly" in cookie and "samesite=strict" in cookie
    page = server.client(token=False).get("/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    file = server.client().get(
        f"/v1/videos/{server.client().get('/v1/videos').json()['items'][0]['id']}/file"
    )
    assert "sandbox" in file.headers["content-security-policy"]
    assert client.get("/v1/library").status_code == 200
    csrf = client.get("/v1/session").json()["csrf"]
    assert client.delete("/v1/session").status_code == 403
    assert client.delete("/v1/session", headers={"X-CSRF-Token": csrf}).status_code == 204
    assert client.get("/v1/library").status_code == 401


def test_a_link_signs_in_once(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library)
    assert server.client(token=False).post("/v1/session", json={"token": server.link}).status_code == 200
    assert server.client(token=False).post("/v1/session", json={"token": server.link}).status_code == 401


def test_whoever_guesses_has_to_wait(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library)
    guess = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60)
    codes = [
        guess.get("/v1/library", headers={"Authorization": f"Bearer {i:032}"}).status_code for i in range(14)
    ]
    assert codes[:10] == [401] * 10 and set(codes[10:]) == {429}
    assert guess.post("/v1/session", json={"token": "x" * 43}).status_code == 429
    assert lives(server)  # the right one passes


def test_tries_and_rates_are_counted_by_address() -> None:
    now = [0.0]
    tries, rates = Tries(lambda: now[0]), Rates(10, lambda: now[0])
    for _ in range(10):
        tries.check("a")
        tries.wrong("a")
    with pytest.raises(Problem):
        tries.check("a")
    tries.check("b")
    now[0] = 61.0
    tries.check("a")
    for _ in range(20):
        rates.take("a")
    with pytest.raises(Problem, match="more than 10 requests"):
        rates.take("a")
    rates.take("b")
    now[0] += 0.2
    rates.take("a")


def test_what_is_too_large_is_refused_before_it_is_read(served: Server) -> None:
    for path, size in (("/v1/uploads", 9 << 20), ("/v1/search", 2 << 20), ("/v1/lookup?k=1", 2 << 20)):
        assert talk(served, head("POST", path, f"Content-Length: {size}"))[9:12] == b"413", path

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(1 << 16)

    for path in ("/v1/uploads", "/v1/search"):  # no length is announced
        with contextlib.suppress(httpx.TransportError):  # it was closed while we were sending
            assert served.client().post(path, content=endless()).status_code == 413
    assert lives(served)


def test_the_short_way_is_no_way_around(served: Server) -> None:
    """Look-ups that have come before are let through sooner; whatever differs is checked as ever."""
    client = served.client(headers={"Authorization": f"Bearer {TOKEN}", "Accept": "application/octet-stream"})
    code, path = bytes(32), "/v1/lookup?radius=9"
    answers = [client.post(path, content=code) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200} and len({a.content for a in answers}) == 1
    for headers, status in (
        ({"Authorization": "Bearer " + "x" * 43}, 401), ({"Authorization": ""}, 401),
        ({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ):  # fmt: skip
        assert client.post(path, content=code, headers=headers).status_code == status, headers
    for content in (b"", b"short", bytes(32 * 1025)):
        assert client.post(path, content=content).status_code == 400
    assert client.post(path, content=bytes(2 << 20)).status_code == 413
    assert client.post(path, content=code).content == answers[0].content


def test_slow_clients_are_given_up(own: Made, serve: Callable[..., Server]) -> None:
    server = serve(own.library, patch=QUICK)
    began = time.monotonic()
    assert talk(server) == b""  # nothing is ever sent
    assert talk(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"b") == b""  # headers that never end
    assert talk(server, head("POST", "/v1/uploads", "Content-Length: 999"), b"a")[9:12] == b"408"
    assert time.monotonic() - began < 9
    assert lives(server)


@pytest.mark.parametrize(("method", "path"), [("GET", "/livez"), ("POST", "/v1/jobs"), ("GET", "/nope")])
def test_a_body_that_nobody_reads_must_not_take_for_ever(
    own: Made, serve: Callable[..., Server], method: str, path: str
) -> None:
    """A thousand of them, a byte now and then, locked everyone out."""
    server = serve(own.library, patch=QUICK)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 9000\r\n\r\n"
        wire.sendall(request.encode())
        assert wire.recv(12).startswith(b"HTTP/1.1 ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(50):
                wire.sendall(b"a")
                time.sleep(0.1)
    assert lives(server)


def test_hostile_videos_are_decoded_apart(served: Server, tmp_path: Path) -> None:
    client = served.client()
    bombs = [gif_bomb(tmp_path / "bomb.gif"), huge_frame(tmp_path / "huge.mp4")]
    with open(endless_search(tmp_path / "endless.mp4"), "rb") as sparse:  # of 200 GiB: its beginning
        (tmp_path / "torn.mp4").write_bytes(sparse.read(4 << 20))
    for file in (*bombs, tmp_path / "torn.mp4"):
        upload = client.post("/v1/uploads", content=file.read_bytes()).json()
        answer = client.post("/v1/search", json={"source": {"upload": upload["id"]}})
        assert answer.status_code in ((200, 422) if file == bombs[0] else (422,)), (file, answer.text)
        assert "vhash-uploads" not in answer.text
    assert lives(served)


def test_nothing_that_is_sent_begins_a_header_or_a_line(served: Server) -> None:
    client = served.client()
    for number in ("a\tb" * 3, "x" * 100, "é"):
        answer = client.get("/livez", headers={"X-Request-Id": number.encode()})
        assert answer.headers["x-request-id"] != number
    assert client.get("/livez", headers={"X-Request-Id": "abcdefgh"}).headers["x-request-id"] == "abcdefgh"
    name = client.post(
        "/v1/uploads", content=b"x", headers={"X-Filename": "a%0d%0aX-Evil:%201%1b[2J/..%5c..%5cb"}
    ).json()
    assert name["name"].isprintable() and "/" not in name["name"]
    smuggled = head("POST", "/v1/search", "Content-Length: 4", "Transfer-Encoding: chunked")
    answer = talk(served, smuggled, b"0\r\n\r\n" + head("GET", "/v1/library"))
    assert b'"videos"' not in answer
    assert lives(served)


def test_what_others_can_reach_needs_somebody_who_may_sign_in(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--token-file"):
        Settings(library=str(tmp_path), host="0.0.0.0")
    with pytest.raises(OptionError, match="belong together"):
        Settings(library=str(tmp_path), certificate="a.pem")
    assert Settings(library=str(tmp_path), host="::1").local
    weak = tmp_path / "tokens"
    weak.write_text("short\n")
    with pytest.raises(OptionError, match="24"):
        read_tokens(str(weak))


def test_passwords_are_kept_as_hashes(tmp_path: Path) -> None:
    state = State(tmp_path / "serve.db")
    with pytest.raises(OptionError, match="8 to 1000"):
        keep_password(state, "anna", "short")
    keep_password(state, "anna", "correct horse")
    kept = state.value("SELECT hash FROM password")
    state.close()
    assert kept.startswith("$argon2id$") and b"correct" not in (tmp_path / "serve.db").read_bytes()
    assert verified(kept, "correct horse") and not verified(kept, "wrong horse") and not verified(None, "x")
    assert (tmp_path / "serve.db").stat().st_mode & 0o77 == 0


def test_a_copied_state_signs_nobody_in(own: Made, serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(own.library)
    cookies = server.signed_in().cookies
    server.stop()
    shutil.copytree(own.library, tmp_path / "copy")
    other = serve(tmp_path / "copy")
    value = next(iter(cookies.values()))
    answer = other.client(token=False, cookies={f"vhash_{other.port}": value}).get("/v1/library")
    assert answer.status_code == 401
    server.start()
    assert server.client(token=False, cookies=cookies).get("/v1/library").status_code == 200
