"""The last document that a server gave, kept on the disk for the time when none answers.

The file is readable by its owner alone, is replaced as a whole, and begins with the SHA-256 of
everything after its second line.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .document import Document
from .errors import ConfmanError, MirrorError

#: Most bytes of the file.
MIRROR_BYTES_MAX = 256 * 1024 * 1024
#: How old a confirmation may get before it is written down again, in seconds.
CONFIRM_INTERVAL = 30.0

_MAGIC = b"confman mirror sha256 1\n"


class Mirror:
    """The file for a namespace of a store that is reached by some URLs."""

    def __init__(self, directory: str | os.PathLike[str], servers: Sequence[str], namespace: str) -> None:
        text = "\n".join([*sorted(servers), namespace])
        digits = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = namespace.rsplit("/", 1)[-1] or "root"
        self.path = Path(directory) / f"{name}-{digits}.sha256.mirror"
        self._namespace = namespace
        self._confirmed = 0.0

    def load(self) -> Document | None:
        """What was kept, or ``None`` where nothing was."""
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if os.name == "posix" and found.st_mode & 0o022:
                    raise MirrorError(f"{self.path} can be written by others and is not used; chmod 600 it")
                if found.st_size > MIRROR_BYTES_MAX:
                    raise MirrorError(f"{self.path} is too large and is not used")
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MirrorError(f"{self.path} cannot be read: {error}") from None
        magic, stated, rest = content[: len(_MAGIC)], content[len(_MAGIC) :][:64], content[len(_MAGIC) + 65 :]
        if magic != _MAGIC or stated != hashlib.sha256(rest).hexdigest().encode():
            raise MirrorError(f"{self.path} is damaged and is not used: it does not hash to what it says")
        line, _, body = rest.partition(b"\n")
        try:
            header = json.loads(line)
            if header["namespace"] != self._namespace:
                raise MirrorError(f"{self.path} is of {header['namespace']}, not of {self._namespace}, and is not used")
            self._confirmed = max(float(header["time"]), found.st_mtime)
            return Document(
                body,
                namespace=self._namespace,
                etag=header["etag"],
                index=header["index"],
                cluster_id=header["clusterId"],
                server=header["server"],
                filtered=header["filtered"],
                age=max(0.0, time.time() - self._confirmed),
                kept=True,
            )
        except MirrorError:
            raise
        except (ConfmanError, ValueError, KeyError, TypeError) as error:
            raise MirrorError(f"{self.path} is damaged and is not used: {error}") from None

    def keep(self, document: Document) -> None:
        """Replaces what was kept."""
        header = {
            "namespace": document.namespace,
            "clusterId": document.cluster_id,
            "server": document.server,
            "etag": document.etag,
            "index": document.index,
            "filtered": document.filtered,
            "time": time.time(),
        }
        content = json.dumps(header).encode() + b"\n" + document.body
        digest = hashlib.sha256(content).hexdigest().encode()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Temporary files are made with mode 600.
            handle, temporary = tempfile.mkstemp(dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + digest + b"\n" + content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise MirrorError(f"{self.path} cannot be written: {error}") from None
        self._confirmed = time.time()

    def confirm(self) -> None:
        """Notes that what is kept still holds."""
        now = time.time()
        if now - self._confirmed >= CONFIRM_INTERVAL:
            self._confirmed = now
            try:
                os.utime(self.path)
            except OSError:
                pass  # It only looks older than it is.
