"""Who is asking: one-time links, passwords, sessions in a cookie, tokens of scripts."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import MissingDependencyError, OptionError
from ..system.extras import pip_install
from .problems import Problem
from .settings import Settings
from .state import State

SESSION_SECONDS = 30 * 86400
_LINK_SECONDS = 3600.0
_TRIES, _TRY_SECONDS = (
    10,
    60.0,
)  # wrong tokens and passwords of one address, and of all at once ten times as many
LEAST_TOKEN = 24
"""Characters of a token in a ``--token-file``: fewer could be guessed."""


@dataclass(frozen=True)
class Identity:
    """Whoever is asking.

    Attributes:
        user: name; ``local`` for whoever holds the link that was printed, ``token`` for a script.
        session: hash of the session; None for a script.
        csrf: what a request that changes something has to show beside the cookie.
        expires: when the session ends, seconds since 1970.
    """

    user: str
    session: bytes | None = None
    csrf: str = ""
    expires: float = 0.0


class Tries:
    """Counts what was wrong, by address and in all; who is wrong too often has to wait.

    Args:
        clock: seconds; only tests have another one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Raise ``too-many`` for an address that was wrong too often within a minute."""
        with self._lock:
            for name, most in ((address, _TRIES), ("", 10 * _TRIES)):
                times = self._wrong.get(name, deque())
                while times and times[0] <= self._clock() - _TRY_SECONDS:
                    times.popleft()
                if len(times) >= most:
                    wait = max(1, round(times[0] + _TRY_SECONDS - self._clock()))
                    raise Problem(
                        "too-many",
                        f"{len(times)} wrong tokens or passwords within a minute; wait {wait} s",
                        headers={"Retry-After": str(wait)},
                    )
                if not times:
                    self._wrong.pop(name, None)

    def wrong(self, address: str) -> None:
        """Count one."""
        with self._lock:
            for name in (address, ""):
                self._wrong.setdefault(name, deque(maxlen=10 * _TRIES)).append(self._clock())


class Sessions:
    """Everybody who is signed in, and how one signs in.

    Args:
        state: where sessions and hashes of passwords are kept.
        settings: tokens of scripts, names of users.
    """

    def __init__(self, state: State, settings: Settings) -> None:
        self._state, self._settings = state, settings
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(2)  # each takes 64 MiB
        self._links: dict[bytes, float] = {}
        self._known: dict[bytes, Identity] = {}
        self._tokens = [hashed(token) for token in settings.tokens]
        self.tries = Tries()

    def link(self) -> str:
        """A token that signs one browser in, once, within an hour."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = time.time()
            self._links = {key: end for key, end in self._links.items() if end > now}
            self._links[hashed(token)] = now + _LINK_SECONDS
        return token

    def sign_in_by_link(self, token: str, address: str) -> tuple[str, Identity]:
        """(value of the cookie, who it is) for a one-time token. Raises Problem."""
        self.tries.check(address)
        with self._lock:
            end = self._links.pop(hashed(token), 0.0)
        if end < time.time():
            self.tries.wrong(address)
            raise Problem("unauthorized", "this link is not valid (any more): it signs in one browser, once; "
                          "start `vhash serve` again for another one", login=self.login)  # fmt: skip
        return self._begin("local")

    def sign_in_by_password(self, user: str, password: str, address: str) -> tuple[str, Identity]:
        """(value of the cookie, who it is) for a user. Raises Problem."""
        self.tries.check(address)
        known = self._state.value("SELECT hash FROM password WHERE user = ?", user)
        if not self._hashing.acquire(timeout=5.0):
            raise Problem(
                "busy", "many people sign in at this moment; try again", headers={"Retry-After": "2"}
            )
        try:
            right = verified(known if known and user in self._settings.users else None, password)
        finally:
            self._hashing.release()
        if not right:
            self.tries.wrong(address)
            raise Problem("unauthorized", "no such user with this password", login=self.login)
        return self._begin(user)

    def _begin(self, user: str) -> tuple[str, Identity]:
        value, now = secrets.token_urlsafe(32), time.time()
        self._state.execute("DELETE FROM session WHERE expires < ?", now)
        expires = now + SESSION_SECONDS
        self._state.execute("INSERT INTO session VALUES (?, ?, ?, ?)", hashed(value), user, now, expires)
        identity = self._identity(value, user, expires)
        with self._lock:
            self._known[hashed(value)] = identity
        return value, identity

    def of_cookie(self, value: str) -> Identity | None:
        """Whose session it is; None: nobody's."""
        key = hashed(value)
        found = self._known.get(key)
        if found is None:
            row = self._state.row("SELECT user, expires FROM session WHERE hash = ?", key)
            if row is None or (row["user"] != "local" and row["user"] not in self._settings.users):
                return None
            found = self._identity(value, row["user"], row["expires"])
            with self._lock:
                self._known[key] = found
        return found if found.expires > time.time() else None

    def of_token(self, token: str) -> Identity | None:
        """Whether a script may ask."""
        given = hashed(token)
        right = [hmac.compare_digest(given, known) for known in self._tokens]  # all: time says nothing
        return Identity("token") if any(right) else None

    def end(self, identity: Identity) -> None:
        """Sign out."""
        if identity.session is not None:
            with self._lock:
                self._known.pop(identity.session, None)
            self._state.execute("DELETE FROM session WHERE hash = ?", identity.session)

    @property
    def login(self) -> str:
        """How people sign in: ``token`` or ``password``."""
        return "password" if self._settings.users else "token"

    def _identity(self, value: str, user: str, expires: float) -> Identity:
        csrf = hmac.new(value.encode(), b"csrf", hashlib.sha256).hexdigest()
        return Identity(user, hashed(value), csrf, expires)


def hashed(secret: str) -> bytes:
    """What is kept of a secret that was drawn at random."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def read_tokens(file: str) -> tuple[str, ...]:
    """The tokens of a file, one a line; lines with a # are remarks.

    Raises:
        OptionError: it cannot be read, has none, or one that could be guessed.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--token-file {file}: cannot be read ({error}); write a token into it") from error
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    short = next((token for token in tokens if len(token) < LEAST_TOKEN or not token.isascii()), None)
    if not tokens or short is not None:
        what = "holds no token" if short is None else f"has a token of {len(short)} characters"
        raise OptionError(
            f"--token-file {file}: {what}; expected one of at least {LEAST_TOKEN} ASCII characters a line, "
            "e.g. from "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )
    return tokens


def _hasher() -> object:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise MissingDependencyError(
            f"--user needs argon2-cffi ({error}); {pip_install('serve')}, or give --token-file"
        ) from error
    return PasswordHasher()  # argon2id, 64 MiB, by RFC 9106


def keep_password(state: State, user: str, password: str) -> None:
    """Keep the Argon2id hash of a password.

    Raises:
        OptionError: it is too short or too long.
        MissingDependencyError: argon2-cffi is not there.
    """
    if not 8 <= len(password) <= 1000:
        raise OptionError(f"a password of {len(password)} characters; expected 8 to 1000")
    hash_ = _hasher().hash(password)  # type: ignore[attr-defined]
    state.execute("INSERT OR REPLACE INTO password VALUES (?, ?)", user, hash_)
    state.execute("DELETE FROM session WHERE user = ?", user)


def has_password(state: State, user: str) -> bool:
    """Whether the password of a user is known."""
    return state.value("SELECT 1 FROM password WHERE user = ?", user) is not None


def verified(known: str | None, password: str) -> bool:
    """Whether a password is right; takes as long where there is no such user."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    hasher = _hasher()
    try:
        hasher.verify(known or _NOBODY, password[:1000])  # type: ignore[attr-defined]
    except (Argon2Error, InvalidHashError):
        return False
    return known is not None


_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$1qfDdtKqNgtlsVC1xTWqhkVgNHFcrJgOc0BwZ4mBhSQ"
"""A hash of no password, so that a name that is not known costs the same time."""
