"""The client against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import unittest
from decimal import Decimal
from pathlib import Path

from confman import AsyncClient, Client, MirrorError, NoSuchKey, OtherStore, Refused, Unavailable, WrongType

from confman.client import _Events

from .server import Server

README = Path(__file__).parent.parent / "README.md"
NAMESPACE = "/teams/payments"


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.close)
        self.server.set("stripe/api-version", "2025-01-01", "string")
        self.server.set("limits/daily", "100", "number")
        self.server.set("ratio", "0.10", "number")
        self.server.set("maintenance", "false", "boolean")
        self.server.set("tiers", '{"a": [1, 2.5]}', "json")
        self.server.set("key", "env://KEY", "secret-ref")
        self.mirror = Path(self.server.home.name) / "kept"

    def client(self, **options: object) -> Client:
        options.setdefault("token_file", self.server.token_file)
        options.setdefault("mirror", self.mirror)
        return Client(options.pop("servers", self.server.url), **options)  # type: ignore[arg-type]

    def kept(self) -> Path:
        (found,) = self.mirror.iterdir()
        return found

    def test_typed_getters(self) -> None:
        config = self.client().get(NAMESPACE)
        self.assertEqual(config.string("stripe/api-version"), "2025-01-01")
        self.assertEqual(config.integer("limits/daily"), 100)
        self.assertEqual(config.number("ratio"), Decimal("0.10"))
        self.assertEqual(str(config.number("ratio")), "0.10")
        self.assertIs(config.boolean("maintenance"), False)
        self.assertEqual(config.json("tiers"), {"a": [1, 2.5]})
        self.assertEqual(config.secret_ref("key"), "env://KEY")
        self.assertEqual(len(list(config)), 6)
        with self.assertRaises(NoSuchKey):
            config.string("nope")
        with self.assertRaises(WrongType):
            config.string("key")
        with self.assertRaises(WrongType):
            config.integer("ratio")

    def test_unchanged_documents_are_not_sent_again(self) -> None:
        client = self.client()
        self.assertIs(client.get(NAMESPACE), client.get(NAMESPACE))

    def test_a_part_of_the_readers_gets_what_is_published_gradually(self) -> None:
        self.server.run("set", f"{NAMESPACE}:limits/daily", "700", "--type", "number", "--draft", "more")
        self.server.run("request", "create", f"{NAMESPACE}@draft/more", "--title", "more", "--stage", "100%")
        self.server.run("request", "publish", "1")
        self.assertEqual(self.client().get(NAMESPACE).integer("limits/daily"), 100)
        self.assertEqual(self.client(client_id="pod-1").get(NAMESPACE).integer("limits/daily"), 700)
        self.server.run("request", "abort", "1", "-m", "tried")
        self.assertEqual(self.client(client_id="pod-1").get(NAMESPACE).integer("limits/daily"), 100)

    def test_a_watch_gives_every_new_document_and_survives_an_outage(self) -> None:
        client = self.client()
        documents = client.watch(NAMESPACE)
        self.assertEqual(next(documents).integer("limits/daily"), 100)
        self.server.set("limits/daily", "200", "number")
        self.assertEqual(next(documents).integer("limits/daily"), 200)
        self.server.kill()
        self.server.start()
        self.server.set("limits/daily", "300", "number")
        self.assertEqual(next(documents).integer("limits/daily"), 300)
        client.close()

    def test_what_was_kept_is_used_where_no_server_answers(self) -> None:
        self.client().get(NAMESPACE)
        self.assertEqual(self.kept().stat().st_mode & 0o777, 0o600)
        self.server.kill()
        config = self.client().get(NAMESPACE)
        self.assertTrue(config.kept)
        self.assertIsNotNone(config.age)
        self.assertEqual(config.integer("limits/daily"), 100)
        with self.assertRaises(Unavailable):
            self.client(fallback=False).get(NAMESPACE)
        with self.assertRaises(Unavailable):
            self.client().get("/teams")

    def test_what_was_kept_and_damaged_is_refused(self) -> None:
        self.client().get(NAMESPACE)
        path = self.kept()
        whole = path.read_bytes()
        self.server.kill()
        path.write_bytes(whole.replace(b"2025-01-01", b"2026-01-01"))
        with self.assertRaisesRegex(MirrorError, "damaged"):
            self.client().get(NAMESPACE)
        path.write_bytes(whole)
        path.chmod(0o666)
        with self.assertRaisesRegex(MirrorError, "others"):
            self.client().get(NAMESPACE)

    def test_refusals_are_errors_whatever_was_kept(self) -> None:
        self.client().get(NAMESPACE)
        with self.assertRaises(Refused) as caught:
            self.client(token="cfm_pat_wrong", token_file=None).get(NAMESPACE)
        self.assertEqual(caught.exception.status, 401)
        with self.assertRaises(Refused) as caught:
            self.client().get("/nope")
        self.assertEqual(caught.exception.code, "not-found")

    def test_a_token_is_read_again_when_it_is_no_longer_taken(self) -> None:
        file = Path(self.server.home.name) / "token"
        file.write_text("cfm_pat_old")
        client = self.client(token_file=file)
        file.write_text(self.server.token_file.read_text())
        self.assertEqual(client.get(NAMESPACE).integer("limits/daily"), 100)

    def test_the_next_server_is_asked_and_another_store_refused(self) -> None:
        client = self.client(servers=["http://127.0.0.1:1", self.server.url])
        self.assertEqual(client.get(NAMESPACE).integer("limits/daily"), 100)
        other = Server()
        self.addCleanup(other.close)
        client = self.client(servers=[self.server.url])
        client.get(NAMESPACE)
        client._servers[0].url, client._servers[0]._parts = other.url, client._servers[0]._parts._replace(
            netloc=other.url.removeprefix("http://")
        )
        client._servers[0].identified = False
        with self.assertRaises(OtherStore):
            client.get(NAMESPACE)

    def test_events_of_a_hostile_server_are_refused(self) -> None:
        class Stream:
            def __init__(self, *lines: bytes) -> None:
                self._lines = list(lines)

            def readline(self, limit: int) -> bytes:
                return self._lines.pop(0)[:limit] if len(self._lines) > 1 else self._lines[0]

            def close(self) -> None:
                pass

        config = self.client().get(NAMESPACE)
        for lines in (
            (b"data: " + b"x" * 1000 + b"\n",),
            (b"event: ready\n", b"data: {\n", b"\n"),
            (b"event: reset\n", b"data: [1]\n", b"\n"),
        ):
            stream = Stream(*lines)
            with self.assertRaises(Unavailable):
                _Events(stream, stream).moved(config)  # type: ignore[arg-type]

    def test_asyncio(self) -> None:
        async def read() -> list[int]:
            found = []
            async with AsyncClient(self.server.url, token_file=self.server.token_file) as client:
                found.append((await client.get(NAMESPACE)).integer("limits/daily"))
                async for config in client.watch(NAMESPACE):
                    found.append(config.integer("limits/daily"))
                    if len(found) == 3:
                        break
                    await asyncio.to_thread(self.server.set, "limits/daily", "200", "number")
            return found

        self.assertEqual(asyncio.run(read()), [100, 100, 200])

    def test_the_example_of_the_readme(self) -> None:
        (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
        example = example.replace("http://127.0.0.1:7420", self.server.url)
        folder = Path(self.server.home.name)
        (folder / "token").write_text(self.server.token_file.read_text())
        printed = io.StringIO()
        before = os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(example, "README.md", "exec"), {})
        finally:
            os.chdir(before)
        self.assertEqual(printed.getvalue(), "2025-01-01\n100\nFalse\n")
