"""A store, read over HTTP from any of its servers."""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from .document import Document
from .errors import ConfmanError, MirrorError, OtherStore, Refused, Unavailable
from .mirror import Mirror

#: How long a server is asked to wait for a change, in seconds.
WAIT = 60
#: How long a server may take to answer beyond that, in seconds.
ANSWER_TIMEOUT = 10.0
#: Upper bounds of the first pause after a failure and of every pause, in seconds.
PAUSE_FIRST = 0.25
PAUSE_MAX = 30.0
#: Most bytes of an answer.
ANSWER_BYTES_MAX = 256 * 1024 * 1024
#: How long a stream of events may be silent, in which a server gives three signs of life, in seconds.
SILENCE_MAX = 45.0
#: Most bytes of a line of a stream.
EVENT_BYTES_MAX = 1024 * 1024
#: Statuses that another server, or a later time, may not have.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})

_log = logging.getLogger("confman")


class Client:
    """Reads namespaces of one store.

    :param servers: URL of a server, or of several of the same store.
    :param token: who to be; or ``token_file``, which is read again when its token is no longer taken.
    :param client_id: which of the readers to be, where something is published gradually: an id that stays,
        as that of a host or pod. Without one, what is published to all readers is what you get.
    :param mirror: directory in which documents are kept for the time when no server answers.
    :param fallback: whether what was kept may be used then.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        client_id: str | None = None,
        mirror: str | os.PathLike[str] | None = None,
        fallback: bool = True,
        timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        urls = [servers] if isinstance(servers, str) else list(servers)
        if not urls:
            raise ConfmanError("no server is named")
        self._servers = [_Server(url, timeout) for url in urls]
        self._token_file = Path(token_file) if token_file is not None else None
        self._token = token or os.environ.get("CONFMAN_TOKEN")
        if self._token_file is not None:
            self._token = self._token_file.read_text().strip()
        self._client_id = client_id or os.environ.get("CONFMAN_CLIENT_ID")
        self._mirror_directory = mirror
        self._fallback = fallback
        self._preferred = random.randrange(len(urls))
        self._cluster_id: str | None = None
        self._cluster_from: str | None = None
        self._index = 0
        self._known: dict[str, Document] = {}
        self._mirrors: dict[str, Mirror] = {}
        self._lock = threading.RLock()
        self._closed = threading.Event()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends watches; each ends when its present question is answered."""
        self._closed.set()

    def get(self, namespace: str) -> Document:
        """The effective document as it is now. Where it did not change, nothing is sent again."""
        return self._read(namespace, wait=None)

    def watch(self, namespace: str) -> Iterator[Document]:
        """The document now, and every new one. Outages are waited for, and logged once."""
        document = self.get(namespace)
        yield document
        given, away, attempt = document.etag, document.kept, 0
        events: _Events | None = None
        try:
            while not self._closed.is_set():
                began = time.monotonic()
                try:
                    if not away and events is None:
                        events = self._open(namespace)
                    if away:
                        document = self._read(namespace, wait=None)
                    elif events is None:
                        document = self._read(namespace, wait=WAIT)
                    elif events.moved(document):
                        if events.ended:
                            events = None
                        document = self._read(namespace, wait=None)
                    else:
                        self._confirm(namespace)
                        continue
                    if document.kept:
                        raise Unavailable("no server answers")
                except (ConfmanError, OSError, http.client.HTTPException) as error:
                    if not away:
                        _log.warning("nothing new of %s can be had: %s", namespace, error)
                    away = True
                    if events is not None:
                        events.close()
                        events = None
                    self._closed.wait(_pause(attempt))
                    attempt += 1
                    continue
                if away:
                    _log.info("%s is current", namespace)
                away, attempt = False, 0
                if document.etag != given:
                    given = document.etag
                    yield document
                elif time.monotonic() - began < 1.0:
                    # A server that is about to end answers at once.
                    self._closed.wait(_pause(0))
        finally:
            if events is not None:
                events.close()

    def _open(self, namespace: str) -> _Events | None:
        """The stream of events of the server that answered last; ``None`` where it has none."""
        server = self._servers[self._preferred]
        if server.without_watches:
            return None
        try:
            events = server.events(_path(namespace, "watch"), self._identity())
        except (OSError, http.client.HTTPException):
            # Where that is an outage, the request that waits says so.
            events = None
        server.without_watches = events is None
        return events

    def _confirm(self, namespace: str) -> None:
        mirror = self._mirrors.get(namespace)
        if mirror is not None:
            mirror.confirm()

    def _read(self, namespace: str, wait: int | None) -> Document:
        known = self._look(namespace)
        try:
            document = self._ask_all(namespace, known, wait)
        except Unavailable as error:
            return self._fall_back(namespace, error)
        mirror = self._mirrors.get(namespace)
        if document is None:
            assert known is not None
            document = known
            if mirror is not None:
                mirror.confirm()
        elif mirror is not None:
            try:
                mirror.keep(document)
            except MirrorError as error:
                _log.warning("%s", error)
        with self._lock:
            self._known[namespace] = document
            self._index = max(self._index, document.index)
        return document

    def _look(self, namespace: str) -> Document | None:
        """What is known: from before, or from the disk."""
        with self._lock:
            known = self._known.get(namespace)
            if known is not None or self._mirror_directory is None:
                return known
            urls = [server.url for server in self._servers]
            mirror = self._mirrors.setdefault(namespace, Mirror(self._mirror_directory, urls, namespace))
            try:
                kept = mirror.load()
            except MirrorError as error:
                _log.warning("%s", error)
                return None
            if kept is not None:
                # From here on only this store will do, and nothing older than what was kept.
                if self._cluster_id is None:
                    self._cluster_id, self._cluster_from = kept.cluster_id, str(mirror.path)
                self._index = max(self._index, kept.index)
                self._known[namespace] = _confirmed(kept)
            return self._known.get(namespace)

    def _fall_back(self, namespace: str, error: Unavailable) -> Document:
        mirror = self._mirrors.get(namespace)
        if not self._fallback:
            raise error
        if mirror is not None:
            try:
                kept = mirror.load()
            except MirrorError as problem:
                raise problem from error
            if kept is not None:
                _log.warning("using what was kept of %s %.0f s ago: %s", namespace, kept.age, error)
                return kept
        raise error

    def _ask_all(self, namespace: str, known: Document | None, wait: int | None) -> Document | None:
        """The new document, or ``None`` where the known one still holds."""
        tried: list[str] = []
        other: OtherStore | None = None
        count = len(self._servers)
        for at in range(self._preferred, self._preferred + count):
            server = self._servers[at % count]
            try:
                document = self._ask(server, namespace, known, wait)
            except OtherStore as error:
                server.forget()
                other = error
            except Refused as error:
                if error.status not in _PASSING:
                    raise
                server.forget()
                tried.append(f"{server.url}: {error}")
            except (OSError, http.client.HTTPException, Unavailable) as error:
                server.forget()
                tried.append(f"{server.url}: {error or type(error).__name__}")
            else:
                self._preferred = at % count
                return document
        if other is not None:
            raise other
        raise Unavailable("no server answers: " + "; ".join(tried))

    def _ask(self, server: _Server, namespace: str, known: Document | None, wait: int | None) -> Document | None:
        if not server.identified:
            self._identify(server)
        path = _path(namespace, "config?origin=true")
        headers = {"accept": "application/json"}
        if known is not None:
            headers["if-none-match"] = known.etag
            if wait is not None:
                headers["prefer"] = f"wait={wait}"
        if self._index:
            headers["confman-min-index"] = str(self._index)
        answer = server.get(path, headers | self._identity(), wait or 0)
        if answer.status == 401 and self._renew():
            answer = server.get(path, headers | self._identity(), wait or 0)
        if answer.status == 304:
            return None
        if answer.status != 200:
            answer.refuse()
        try:
            index = int(answer.headers.get("confman-index", "0"))
        except ValueError:
            raise Unavailable("it does not speak Confman's protocol") from None
        return Document(
            answer.body,
            namespace=namespace,
            etag=answer.headers.get("etag", ""),
            index=index,
            cluster_id=self._cluster_id or "",
            server=server.url,
            filtered="confman-filtered" in answer.headers,
        )

    def _identify(self, server: _Server) -> None:
        """A server is asked for configuration only after it said which store it is."""
        answer = server.get("/version", {"accept": "application/json"}, 0)
        if answer.status != 200:
            answer.refuse()
        try:
            cluster_id = json.loads(answer.body)["clusterId"]
        except (ValueError, KeyError, TypeError):
            raise Unavailable("it does not speak Confman's protocol") from None
        with self._lock:
            if self._cluster_id is None:
                self._cluster_id = cluster_id
            if self._cluster_id != cluster_id:
                kept = f", kept in {self._cluster_from}" if self._cluster_from else ""
                raise OtherStore(
                    f"the server at {server.url} is another store ({cluster_id}) than the one known so far "
                    f"({self._cluster_id}{kept})"
                )
        server.identified = True

    def _identity(self) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        if self._client_id:
            headers["confman-client"] = self._client_id
        return headers

    def _renew(self) -> bool:
        """Reads the token again; whether it is another one."""
        if self._token_file is None:
            return False
        token = self._token_file.read_text().strip()
        changed, self._token = token != self._token, token
        return changed


class _Server:
    def __init__(self, url: str, timeout: float) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ConfmanError(f"`{url}` is not the URL of a server")
        self.url = url.rstrip("/")
        self.identified = False
        self.without_watches = False
        self._parts = parts
        self._timeout = timeout

    def forget(self) -> None:
        """After a failure it may be another server that answers."""
        self.identified = False
        self.without_watches = False

    def get(self, path: str, headers: dict[str, str], wait: int) -> _Answer:
        connection = self._connect(self._timeout + wait)
        try:
            connection.request("GET", self._parts.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            body = response.read(ANSWER_BYTES_MAX + 1)
            if len(body) > ANSWER_BYTES_MAX:
                raise Unavailable("the answer is too large")
            fields = {name.lower(): value for name, value in response.getheaders()}
            return _Answer(response.status, fields, body)
        finally:
            connection.close()

    def events(self, path: str, headers: dict[str, str]) -> _Events | None:
        """An open stream of events; ``None`` where the server has none."""
        connection = self._connect(SILENCE_MAX)
        try:
            headers = headers | {"accept": "text/event-stream"}
            connection.request("GET", self._parts.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if response.status != 200:
            connection.close()
            return None
        return _Events(connection, response)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)


class _Events:
    """A stream of events, used as a sign that a document may have moved."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.ended = False

    def close(self) -> None:
        self.ended = True
        self._response.close()
        self._connection.close()

    def moved(self, document: Document) -> bool:
        """Waits for a sign: whether it may have moved. A sign of life says that it has not."""
        name, data = "", ""
        while line := self._response.readline(EVENT_BYTES_MAX):
            if len(line) + len(data) > EVENT_BYTES_MAX:
                raise Unavailable("an event is too large")
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            field, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if text.startswith(":"):
                return False
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif not text and name in ("ready", "reset"):
                try:
                    return bool(json.loads(data)["basis"] != document.basis)
                except (ValueError, KeyError, TypeError):
                    raise Unavailable("an event is not as agreed") from None
            elif not text and name in ("change", "end"):
                if name == "end":
                    self.close()
                return True
            elif not text:
                name, data = "", ""
        self.close()
        return True


class _Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def refuse(self) -> NoReturn:
        try:
            problem = json.loads(self.body)
            raise Refused(self.status, str(problem["code"]), str(problem["detail"]))
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"status {self.status} came without a problem document") from None


def _path(namespace: str, resource: str) -> str:
    return "/v1/ns" + ("" if namespace == "/" else urllib.parse.quote(namespace)) + "/-/" + resource


def _confirmed(document: Document) -> Document:
    """The same, as a server will have confirmed it when it is given."""
    return Document(
        document.body,
        namespace=document.namespace,
        etag=document.etag,
        index=document.index,
        cluster_id=document.cluster_id,
        server=document.server,
        filtered=document.filtered,
    )


def _pause(attempt: int) -> float:
    """A random pause whose bound doubles, so that a fleet does not come back as one."""
    return random.uniform(0.05, min(PAUSE_MAX, PAUSE_FIRST * 2 ** min(attempt, 16)))
