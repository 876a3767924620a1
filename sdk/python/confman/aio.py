"""The same client for asyncio: each question is asked on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from .client import Client
from .document import Document


class AsyncClient:
    """Reads namespaces of one store. It takes what :class:`Client` takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = Client(*args, **kwargs)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends watches."""
        self._client.close()

    async def get(self, namespace: str) -> Document:
        """The effective document as it is now."""
        return await asyncio.to_thread(self._client.get, namespace)

    async def watch(self, namespace: str) -> AsyncIterator[Document]:
        """The document now, and every new one."""
        documents = self._client.watch(namespace)
        while True:
            document = await asyncio.to_thread(next, documents, None)
            if document is None:
                return
            yield document
