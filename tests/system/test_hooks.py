"""Commands and web addresses that are told things."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vhash_sdk.errors import OptionError, UnreachableError
from vhash_sdk.system import hooks


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "file:///etc/passwd", "http://", "https:///x", "http://a b/"]
)
def test_only_web_addresses_are_told(url: str) -> None:
    with pytest.raises(OptionError, match="no web address"):
        hooks.checked_address(url)


def test_a_password_is_not_printed() -> None:
    with pytest.raises(OptionError) as caught:
        hooks.checked_address("https://me:secret@example.org/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("template", ["", "  ", "echo 'open"])
def test_a_command_has_words(template: str) -> None:
    with pytest.raises(OptionError):
        hooks.command_words(template)


def test_a_value_stays_one_word_and_is_not_filled_again() -> None:
    words = hooks.filled(["{a}", "x{b}y{a}"], {"a": "1 ; {b}", "b": "$(2)"})
    assert words == ["1 ; {b}", "x$(2)y1 ; {b}"]


def test_commands_that_fail_say_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError, match="cannot be started"):
        hooks.run_command([str(tmp_path / "missing")], {})
    with pytest.raises(UnreachableError, match="ended with 3"):
        hooks.run_command([sys.executable, "-c", "raise SystemExit(3)"], {"a": 1})
    monkeypatch.setattr(hooks, "COMMAND_SECONDS", 0.2)
    with pytest.raises(UnreachableError, match="was killed"):
        hooks.run_command([sys.executable, "-c", "import time; time.sleep(60)"], {})


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(UnreachableError) as caught:
        hooks.post("http://127.0.0.1:9/secret-token", {})
    assert "secret" not in str(caught.value) and "127.0.0.1:9" in str(caught.value)
