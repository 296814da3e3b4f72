"""Models from a hub: downloaded once, checked, kept in the hub library's cache.

Only ``config.json``, the card and the ONNX files that it lists are downloaded; nothing that comes along is
ever run or unpickled. Needs the extra ``hub``. Which hub, which token, which cache and whether to go online
at all are that library's own settings (``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME``, ``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError, ModelError, ModelNotFoundError, OptionError, UnreachableError
from ..names import printable
from ..system.extras import pip_install
from .folder import CONFIG, read_config

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def pretrained(repo_or_path: str | os.PathLike[str], *, revision: str | None = None) -> Path | str:
    """What ``Encoder`` takes for a repository of a hub, a folder, a file, or the name of a model.

    Raises:
        OptionError: a revision of something that has none, or neither a path nor ``OWNER/NAME``.
        ModelNotFoundError, ModelError: no such repository or revision, or not one of a vhash model.
        UnreachableError: the hub gives no answer, and the model is not in the cache.
        MissingDependencyError: the extra ``hub`` is not installed.
    """
    text = os.fspath(repo_or_path)
    if os.path.exists(text) or not _REPO.fullmatch(text):
        if revision is not None:
            raise OptionError(
                f"revision={revision!r} is for a repository of a hub, OWNER/NAME; {printable(text)} is none"
            )
        return Path(text) if os.path.exists(text) else text
    return download(text, revision)


def download(repo: str, revision: str | None) -> Path:
    """The folder of a repository at a revision, from the cache where it is there; see ``pretrained``."""
    hub = _library()
    try:
        config = hub.hf_hub_download(repo, CONFIG, revision=revision)
        files = [listed.file for listed in read_config(Path(config).parent).files.values()]
        # by its commit, not by its name: a branch may move between the two requests
        commit = Path(config).parent.name
        folder = hub.snapshot_download(repo, revision=commit, allow_patterns=[CONFIG, "README.md", *files])
    except hub.errors.LocalEntryNotFoundError as error:  # before the next, of which it is one
        raise UnreachableError(
            f"{repo}: not in the cache, and the hub gives no answer ({_reason(error)}); check the "
            "connection, or copy the folder here and give its path"
        ) from error
    except hub.errors.EntryNotFoundError as error:
        raise ModelNotFoundError(
            f"{repo} has no {CONFIG}, so it is not a vhash model; `vhash models NAME --save FOLDER` makes a "
            "folder that can be uploaded"
        ) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        at = f" at revision {printable(revision)}" if revision is not None else ""
        raise ModelNotFoundError(
            f"{repo}: the hub has no such model{at}, or not for you; check the name, or log "
            "in with `hf auth login`"
        ) from error
    except hub.errors.HFValidationError as error:
        raise OptionError(f"{printable(repo)}, revision={revision!r}: {error}") from error
    except ModelError:
        raise
    except (OSError, hub.errors.HfHubHTTPError) as error:
        raise UnreachableError(
            f"{repo}: the download failed ({_reason(error)}); try again, or copy the "
            "folder here and give its path"
        ) from error
    return Path(folder)


def _reason(error: BaseException) -> str:
    return printable(str(error.__cause__ or error).strip().split("\n")[0])


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingDependencyError(
            f"models from a hub need huggingface_hub ({error}); {pip_install('hub')}, or give the "
            "path of a folder"
        ) from error
    return huggingface_hub
