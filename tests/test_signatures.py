"""Options that are passed on have the names and types of what takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from vhash_sdk.encoding import encoder
from vhash_sdk.library import browsing


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (encoder.Encoder.__init__, encoder.EncoderOptions),
        (browsing.page_of, browsing.Order),
        (browsing.failures_page, browsing.FailureOrder),
    ],
    ids=lambda one: one.__name__,
)
def test_options_are_those_of_the_function(function: Callable[..., Any], options: type) -> None:
    module = vars(inspect.getmodule(function))
    hints = get_type_hints(function, module)
    named = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert get_type_hints(options, module) == {name: hints[name] for name in named}


def test_a_slip_is_said_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> Any:
        pytest.fail("asked the hub")

    monkeypatch.setattr("vhash_sdk.models.hub.pretrained", fetch)
    with pytest.raises(TypeError, match="devise"):
        encoder.Encoder.from_pretrained("owner/name", devise="cpu")  # type: ignore[call-arg]
