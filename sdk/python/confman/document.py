"""An effective document: keys, values, and which state of the store they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .errors import ConfmanError


class NoSuchKey(ConfmanError, KeyError):
    """The document has no such key."""

    def __str__(self) -> str:
        return str(self.args[0])


class WrongType(ConfmanError, TypeError):
    """The value of a key is of another type than was asked for."""


class Document:
    """The effective values of a namespace at one moment. It never changes."""

    def __init__(
        self,
        body: bytes,
        *,
        namespace: str,
        etag: str,
        index: int,
        cluster_id: str,
        server: str,
        filtered: bool = False,
        age: float | None = None,
        kept: bool = False,
    ) -> None:
        try:
            # Numbers keep every digit.
            parsed = json.loads(body, parse_float=Decimal)
            entries = {entry["key"]: entry for entry in parsed["entries"]}
            basis = parsed["basis"]
            of = parsed["namespace"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfmanError(f"the document of {namespace} is not as agreed: {error!r}") from None
        if of != namespace:
            raise ConfmanError(f"the document is of {of}, not of {namespace}")
        self.body = body
        self.namespace = namespace
        self.basis: str = basis
        self.etag = etag
        self.index = index
        self.cluster_id = cluster_id
        self.server = server
        #: Something is left out that the token may not see.
        self.filtered = filtered
        #: No server answers; this was kept when one did.
        self.kept = kept
        #: Seconds since a server last said that it holds, where it was kept.
        self.age = age
        self._entries: dict[str, dict[str, Any]] = entries

    def __repr__(self) -> str:
        return f"Document({self.namespace!r}, basis={self.basis!r}, {len(self)} keys)"

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> Any:
        """The value of a key as the Python value nearest to it."""
        kind = self.type(key)
        if kind == "binary":
            return self.bytes(key)
        if kind == "json":
            return self.json(key)
        return self._entries[key]["value"]

    def type(self, key: str) -> str:
        """``string``, ``number``, ``boolean``, ``json``, ``binary`` or ``secret-ref``."""
        return str(self._entry(key)["type"])

    def string(self, key: str) -> str:
        """The text of a key of type string. A reference to a secret is none."""
        return str(self._value(key, "string"))

    def secret_ref(self, key: str) -> str:
        """The reference to a secret; resolving it is the caller's business."""
        return str(self._value(key, "secret-ref"))

    def boolean(self, key: str) -> bool:
        """The boolean of a key."""
        return bool(self._value(key, "boolean"))

    def integer(self, key: str) -> int:
        """The number of a key that is a whole number."""
        number = self.number(key)
        if number != int(number):
            raise WrongType(f"key `{key}` of {self.namespace} is no whole number")
        return int(number)

    def number(self, key: str) -> int | Decimal:
        """The number of a key, exactly."""
        value = self._value(key, "number")
        return value if isinstance(value, int) else Decimal(value)

    def float(self, key: str) -> float:
        """The number of a key as a float, the nearest there is."""
        return float(self.number(key))

    def json(self, key: str) -> Any:
        """The JSON of a key; numbers with a point become floats."""
        return _with_floats(self._value(key, "json"))

    def bytes(self, key: str) -> bytes:
        """The bytes of a key of type binary."""
        return base64.b64decode(self._value(key, "binary"), validate=True)

    def _entry(self, key: str) -> dict[str, Any]:
        try:
            return self._entries[key]
        except KeyError:
            raise NoSuchKey(f"{self.namespace} has no key `{key}`") from None

    def _value(self, key: str, wanted: str) -> Any:
        entry = self._entry(key)
        if entry["type"] != wanted:
            raise WrongType(
                f"key `{key}` of {self.namespace} is of type {entry['type']}, not {wanted}"
            )
        return entry["value"]


def _with_floats(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _with_floats(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return value
