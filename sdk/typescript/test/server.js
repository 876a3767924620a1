// A real server process for a test.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const BIN = process.env.CONFMAN_BIN;
const execute = promisify(execFile);

export class Server {
  /** A server with `/teams/payments` on a port and in a directory of its own. */
  static async create() {
    const server = new Server();
    server.home = await mkdtemp(join(tmpdir(), "confman-"));
    server.tokenFile = join(server.home, "data", "admin.token");
    await server.start("127.0.0.1:0");
    await server.run("ns", "create", "/teams");
    await server.run("ns", "create", "/teams/payments");
    return server;
  }

  async start(listen = this.url.replace("http://", "")) {
    this.process = spawn(BIN, ["serve", "--data", join(this.home, "data"), "--listen", listen], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    for await (const line of createInterface({ input: this.process.stderr })) {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
      if (found) {
        this.url = found[0];
        this.process.stderr.resume();
        return;
      }
    }
    throw new Error("the server did not start");
  }

  token() {
    return readFile(this.tokenFile, "utf8").then((text) => text.trim());
  }

  async run(...args) {
    const { CONFMAN_TOKEN: _, ...env } = process.env;
    await execute(BIN, args, {
      env: { ...env, CONFMAN_SERVER: this.url, CONFMAN_TOKEN_FILE: this.tokenFile, HOME: this.home },
    });
  }

  set(key, value, type) {
    return this.run("set", `/teams/payments:${key}`, value, "--type", type, "--publish", "-m", "test");
  }

  async kill() {
    if (this.process === undefined) return;
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGKILL");
    await ended;
    this.process = undefined;
  }

  async close() {
    await this.kill();
    await rm(this.home, { recursive: true, force: true });
  }
}
