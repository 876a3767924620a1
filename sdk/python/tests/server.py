"""A real server process for a test."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

BIN = os.environ["CONFMAN_BIN"]


class Server:
    """A server with ``/teams/payments`` on a port and in a directory of its own."""

    def __init__(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.data = Path(self.home.name) / "data"
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start("127.0.0.1:0")
        self.run("ns", "create", "/teams")
        self.run("ns", "create", "/teams/payments")

    def start(self, listen: str | None = None) -> None:
        listen = listen or self.url.removeprefix("http://")
        self.process = subprocess.Popen(
            [BIN, "serve", "--data", str(self.data), "--listen", listen],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.url = found[0]
                break
        else:
            raise AssertionError("the server did not start")

    @property
    def token_file(self) -> Path:
        return self.data / "admin.token"

    def run(self, *arguments: str) -> None:
        environment = os.environ | {
            "CONFMAN_SERVER": self.url,
            "CONFMAN_TOKEN_FILE": str(self.token_file),
            "HOME": self.home.name,
        }
        environment.pop("CONFMAN_TOKEN", None)
        subprocess.run([BIN, *arguments], env=environment, check=True, capture_output=True)

    def set(self, key: str, value: str, kind: str) -> None:
        self.run("set", f"/teams/payments:{key}", value, "--type", kind, "--publish", "-m", "test")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()
            self.process = None

    def close(self) -> None:
        self.kill()
        self.home.cleanup()
