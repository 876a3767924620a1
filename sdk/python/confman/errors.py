"""Why a document cannot be read, sorted by what the caller can do."""

from __future__ import annotations


class ConfmanError(Exception):
    """The base of all errors of this package."""


class Unavailable(ConfmanError):
    """No server answers as it should. Asking again later may help."""


class Refused(ConfmanError):
    """The server answered that it will not, and why."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code


class OtherStore(ConfmanError):
    """What answered is another store than the one whose configuration is known."""


class MirrorError(ConfmanError):
    """What was kept on the disk is damaged or of something else, and is not used."""
