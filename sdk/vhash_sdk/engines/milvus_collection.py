"""A collection of vhash in Milvus: how it is made, and what is remembered beside the codes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..codes import MAX_BITS, code_bytes, same_model
from ..errors import ModelMismatchError, OptionError, StoreError
from ..system.checks import check_choice, check_positive, checked_count
from ..system.strict_json import parse_json
from .milvus_client import Connection

Consistency = Literal["read-your-writes", "strong", "bounded", "eventual"]
_LEVELS = {"read-your-writes": "Session", "strong": "Strong", "bounded": "Bounded", "eventual": "Eventually"}


@dataclass(frozen=True)
class MilvusOptions:
    """How a collection is made, and how it is talked to.

    Attributes:
        exact: BIN_FLAT, which compares every code; False: BIN_IVF_FLAT, which looks into ``nprobe`` of
            ``nlist`` clusters, faster and with some neighbours missing. Decided when it is made.
        nlist, nprobe: clusters, and how many of them a search looks into; only where not exact.
        shards: parts that writing is spread over, decided when it is made; replicas: copies in memory
            that share the searches (a cluster has to have the nodes).
        consistency: ``read-your-writes`` (of this client), ``strong`` (of everybody), ``bounded`` or
            ``eventual`` (faster after writing, and may miss the last seconds).
        timeout: seconds that a call may take with its repetitions.
        token: ``user:password`` or an API key; None: of the location, else of VHASH_MILVUS_TOKEN.
    """

    exact: bool = True
    nlist: int = 1024
    nprobe: int = 16
    shards: int = 1
    replicas: int = 1
    consistency: Consistency = "read-your-writes"
    timeout: float = 60.0
    token: str | None = None

    def __post_init__(self) -> None:
        for name in ("nlist", "nprobe", "shards", "replicas"):
            checked_count(name, getattr(self, name), 1)
        check_choice("consistency", self.consistency, _LEVELS)
        check_positive("timeout", self.timeout, "seconds", most=1e9)

    @property
    def kind(self) -> str:
        """Milvus's name of the kind of index."""
        return "BIN_FLAT" if self.exact else "BIN_IVF_FLAT"

    @property
    def level(self) -> str:
        """Milvus's name of the consistency."""
        return _LEVELS[self.consistency]


class Collection:
    """One collection, which need not exist yet."""

    def __init__(self, connection: Connection, options: MilvusOptions) -> None:
        self._connection = connection
        self._options = options
        self._where = connection.location
        self._name = connection.location.collection
        self.notes: Notes = (Rows if connection.location.lite else Properties)(connection)

    def open(self, bits: int | None, model: str) -> dict[str, str]:
        """Load it, made anew where it is not and ``bits`` is given; returns its notes.

        Raises:
            StoreError: it does not exist, or is not one of vhash.
            OptionError: it has another width or kind of index.
            ModelMismatchError: it holds codes of another model.
        """
        if not self._connection.call("has_collection", self._name):
            if bits is None:
                raise StoreError(f"{self._where}: no such collection; pass bits to create it")
            self._create(bits, model)
        notes = self.notes.read()
        self._check(notes, bits, model)
        if len(model) > len(notes["model"]):
            self.notes.write({"model": model})
            notes["model"] = model
        if not self._connection.call("list_indexes", self._name):  # new, or its maker died
            self._index()
        self._connection.call("load_collection", self._name, replica_number=self._options.replicas)
        return notes

    def _create(self, bits: int, model: str) -> None:
        client, types, options = self._connection.client, self._connection.types, self._options
        schema = client.create_schema(auto_id=False, enable_dynamic_field=True, description="vhash codes")
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("code", types.BINARY_VECTOR, dim=8 * code_bytes(bits))
        notes = {"bits": str(bits), "model": model, "next_id": "0", "index": options.kind}
        extra: dict[str, Any] = {"num_shards": options.shards, "consistency_level": "Session"}
        if self._where.lite:
            self.notes.write(notes)
        else:
            extra["properties"] = {f"vhash.{key}": value for key, value in notes.items()}
        self._connection.call("create_collection", self._name, schema=schema, **extra)

    def _index(self) -> None:
        params = self._connection.client.prepare_index_params()
        settings = {} if self._options.exact else {"params": {"nlist": self._options.nlist}}
        params.add_index("code", index_type=self._options.kind, metric_type="HAMMING", **settings)
        self._connection.call("create_index", self._name, params)

    def _check(self, notes: dict[str, str], bits: int | None, model: str) -> None:
        if not {"bits", "model", "next_id", "index"} <= notes.keys():
            raise StoreError(f"{self._where}: not made by vhash; give a collection of its own")
        for name, least, most in (("bits", 1, MAX_BITS), ("next_id", 0, 2**63 - 1)):
            if not re.fullmatch("[0-9]{1,19}", notes[name]) or not least <= int(notes[name]) <= most:
                raise StoreError(
                    f"{self._where}: says {name}={notes[name][:40]!r}, which is damaged; "
                    "drop it and fill it anew"
                )
        if bits is not None and bits != int(notes["bits"]):
            raise OptionError(f"bits={bits}: {self._where} holds codes of {notes['bits']} bits")
        if model and notes["model"] and not same_model(model, notes["model"]):
            raise ModelMismatchError(
                f"{self._where} holds codes of model {notes['model'][:8]}, not of {model[:8]}; "
                "encode with that model, or give another collection"
            )
        if notes["index"] != self._options.kind:
            raise OptionError(
                f"exact={self._options.exact}: {self._where} is indexed by {notes['index']}; "
                f"pass MilvusOptions(exact={notes['index'] == 'BIN_FLAT'})"
            )

    def drop(self) -> None:
        """Delete it with everything in it."""
        self._connection.call("drop_collection", self._name)
        self.notes.drop()


class Notes(Protocol):
    """What is remembered beside the codes: model, width, kind of index, ids given out."""

    def read(self) -> dict[str, str]:
        """All of it."""
        ...

    def write(self, notes: dict[str, str]) -> None:
        """Set some of it, durably."""
        ...

    def drop(self) -> None:
        """Delete them, after their collection."""
        ...


class Properties:
    """Notes as properties of the collection, where the server has them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> dict[str, str]:
        """All of it."""
        properties = self._connection.call("describe_collection", self._name)["properties"]
        return {key[6:]: value for key, value in properties.items() if key.startswith("vhash.")}

    def write(self, notes: dict[str, str]) -> None:
        """Set some of it, durably."""
        self._connection.call(
            "alter_collection_properties", self._name, {f"vhash.{k}": v for k, v in notes.items()}
        )

    def drop(self) -> None:
        """Nothing to do: they went with the collection."""

    @property
    def _name(self) -> str:
        return self._connection.location.collection


class Rows:
    """Notes as a row of a second collection: milvus-lite keeps no properties."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._name = f"{connection.location.collection}__vhash"

    def read(self) -> dict[str, str]:
        """All of it."""
        if not self._connection.call("has_collection", self._name):
            return {}
        rows = self._connection.call("query", self._name, filter="id == 0", output_fields=["notes"])
        try:
            notes = dict(parse_json(rows[0]["notes"])) if rows else {}
            if all(isinstance(value, str) for value in notes.values()):
                return notes
            raise ValueError("a note that is no text")
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"{self._connection.location}: its notes in {self._name} cannot be read ({error}); give a "
                "collection of its own"
            ) from error

    def write(self, notes: dict[str, str]) -> None:
        """Set some of it, durably."""
        call, types = self._connection.call, self._connection.types
        if not call("has_collection", self._name):
            schema = self._connection.client.create_schema(auto_id=False, enable_dynamic_field=True)
            schema.add_field("id", types.INT64, is_primary=True)
            schema.add_field("unused", types.BINARY_VECTOR, dim=8)  # a collection must have a vector
            params = self._connection.client.prepare_index_params()
            params.add_index("unused", index_type="BIN_FLAT", metric_type="HAMMING")
            call("create_collection", self._name, schema=schema, index_params=params)
        call("upsert", self._name, [{"id": 0, "unused": b"\0", "notes": json.dumps(self.read() | notes)}])

    def drop(self) -> None:
        """Delete them, after their collection."""
        self._connection.call("drop_collection", self._name)
