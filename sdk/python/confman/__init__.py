"""Read configuration from Confman.

A :class:`Client` reads the effective document of a namespace, follows it, and uses what it kept on
the disk where no server answers. :class:`AsyncClient` is the same for asyncio.

There is a whole document of one moment or an error, never an empty answer.
"""

from .aio import AsyncClient
from .client import Client
from .document import Document, NoSuchKey, WrongType
from .errors import ConfmanError, MirrorError, OtherStore, Refused, Unavailable

__all__ = [
    "AsyncClient",
    "Client",
    "ConfmanError",
    "Document",
    "MirrorError",
    "NoSuchKey",
    "OtherStore",
    "Refused",
    "Unavailable",
    "WrongType",
]
