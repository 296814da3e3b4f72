"""The API does what its own schema says: requests are made from it, and every answer is held against it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.serve.conftest import TOKEN, Made
from vhash_sdk.serve.app import build
from vhash_sdk.serve.service import Service
from vhash_sdk.serve.settings import Settings

schemathesis = pytest.importorskip("schemathesis")
general = pytest.importorskip("schemathesis.checks")
openapi = pytest.importorskip("schemathesis.specs.openapi.checks")

HELD = (
    general.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
)


@pytest.fixture(scope="module")
def service(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    library = tmp_path_factory.mktemp("schema") / "library"
    shutil.copytree(made.library, library)
    found = Service(
        Settings(str(library), tokens=(TOKEN,), names=("testserver",), roots=(str(made.videos),), rate=1e9)
    )
    yield found
    found.close()


@pytest.fixture(scope="module")
def api(service: Service) -> Any:
    return schemathesis.openapi.from_asgi("/v1/openapi.json", build(service, 8123))


def test_every_answer_is_as_the_schema_says(api: Any) -> None:
    wrong: list[str] = []
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def held(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=HELD)

        try:
            held()
        except Exception as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n".join(wrong)


def test_the_schema_is_whole(service: Service) -> None:
    document = build(service, 8123)._app._app.openapi()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            if path in ("/livez",):
                continue
            assert about["summary"] and about["description"], (path, method)
            assert "application/problem+json" in about["responses"]["401"]["content"], (path, method)
