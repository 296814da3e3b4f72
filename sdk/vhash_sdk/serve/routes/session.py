"""Signing in and out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..models import Link, Session, SignIn
from ..problems import Problem
from ..service import Service, identity_of, service_of
from ..sessions import SESSION_SECONDS, Identity
from .common import problems

router = APIRouter(prefix="/v1/session", tags=["session"])


def _session(service: Service, identity: Identity) -> dict[str, object]:
    return {
        "user": identity.user,
        "csrf": identity.csrf,
        "expires": identity.expires,
        "read_only": service.read_only,
    }


@router.get("", response_model=Session, responses=problems())
def session(request: Request) -> dict[str, object]:
    """Who is signed in."""
    return _session(service_of(request), identity_of(request))


@router.post("", response_model=Session, responses=problems())
def sign_in(given: SignIn, request: Request, response: Response) -> dict[str, object]:
    """Sign in with the token of a one-time link, or as a user; sets a cookie."""
    service, client = service_of(request), request.scope["state"]["client"]
    if given.token is not None:
        value, identity = service.sessions.sign_in_by_link(given.token, client)
    elif given.user is not None and given.password is not None:
        value, identity = service.sessions.sign_in_by_password(given.user, given.password, client)
    else:
        raise Problem("bad-request", "send a token, or user and password")
    response.set_cookie(
        request.app.state.guard.cookie, value, max_age=SESSION_SECONDS, path="/", httponly=True,
        samesite="strict", secure=service.settings.tls,
    )  # fmt: skip
    return _session(service, identity)


@router.delete("", status_code=204, responses=problems())
def sign_out(request: Request, response: Response) -> None:
    """Sign out."""
    service_of(request).sessions.end(identity_of(request))
    response.delete_cookie(request.app.state.guard.cookie, path="/", httponly=True, samesite="strict")


@router.post("/links", response_model=Link, responses=problems())
def link(request: Request) -> dict[str, str]:
    """Another one-time link: it signs in one more browser."""
    identity_of(request)
    service = service_of(request)
    if service.settings.users:
        raise Problem("forbidden", "people sign in here with their passwords")
    return {"url": f"{service.settings.url(request.app.state.guard.port)}/#token={service.sessions.link()}"}
