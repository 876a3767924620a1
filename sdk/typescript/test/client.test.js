// The client against a real server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Client, Document, MirrorError, NoSuchKey, OtherStore, Refused, Unavailable, WrongType } from "../src/index.js";
import { folderStore, tokenFile } from "../src/node.js";
import { Server } from "./server.js";

const NAMESPACE = "/teams/payments";
const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
let server;
let kept;

beforeEach(async () => {
  server = await Server.create();
  kept = join(server.home, "kept");
  await server.set("stripe/api-version", "2025-01-01", "string");
  await server.set("limits/daily", "100", "number");
  await server.set("maintenance", "false", "boolean");
});
afterEach(() => server.close());

const client = (options = {}, servers = server.url) =>
  new Client(servers, { token: tokenFile(server.tokenFile), store: folderStore(kept), ...options });

const keptFile = async () => {
  const names = await readdir(kept);
  assert.equal(names.length, 1);
  return join(kept, names[0]);
};

test("typed getters", async () => {
  await server.set("big", "9007199254740993", "number");
  await server.set("ratio", "0.10", "number");
  // Looks like an entry, and is not one.
  await server.set("tiers", '{"a": [1, 2.5], "key": "x", "type": "number", "value": 7, "s": "\\"value\\": 1"}', "json");
  await server.set("key", "env://KEY", "secret-ref");
  const config = await client().get(NAMESPACE);
  assert.equal(config.string("stripe/api-version"), "2025-01-01");
  assert.equal(config.number("limits/daily"), 100);
  assert.equal(config.digits("ratio"), "0.10");
  assert.equal(config.digits("big"), "9007199254740993");
  assert.throws(() => config.number("big"), WrongType);
  assert.equal(config.boolean("maintenance"), false);
  assert.deepEqual(config.json("tiers"), { a: [1, 2.5], key: "x", type: "number", value: 7, s: '"value": 1' });
  assert.equal(config.secretRef("key"), "env://KEY");
  assert.throws(() => config.string("nope"), NoSuchKey);
  assert.throws(() => config.string("key"), WrongType);
});

test("bytes are decoded", () => {
  const body = '{"namespace":"/a","basis":"b","entries":[{"key":"k","type":"binary","value":"AAEC/w==","size":4}]}';
  const document = new Document(body, { namespace: "/a", etag: '"b"', index: 1, clusterId: "c", server: "s" });
  assert.deepEqual([...document.bytes("k")], [0, 1, 2, 255]);
});

test("unchanged documents are not sent again", async () => {
  const reader = client();
  assert.equal(await reader.get(NAMESPACE), await reader.get(NAMESPACE));
});

test("a part of the readers gets what is published gradually", async () => {
  const of = async (options) => (await client(options).get(NAMESPACE)).number("limits/daily");
  const before = await of({});
  await server.run("set", `${NAMESPACE}:limits/daily`, "700", "--type", "number", "--draft", "more");
  await server.run("request", "create", `${NAMESPACE}@draft/more`, "--title", "more", "--stage", "100%");
  await server.run("request", "publish", "1");
  assert.equal(await of({}), before);
  assert.equal(await of({ clientId: "pod-1" }), 700);
  await server.run("request", "abort", "1", "-m", "tried");
  assert.equal(await of({ clientId: "pod-1" }), before);
});

test("a watch gives every new document and survives an outage", async () => {
  const notes = [];
  const watch = client({ onNote: (text) => notes.push(text) }).watch(NAMESPACE);
  const next = async () => (await watch.next()).value.number("limits/daily");
  assert.equal(await next(), 100);
  await server.set("limits/daily", "200", "number");
  assert.equal(await next(), 200);
  const third = next();
  await server.kill();
  await server.start();
  await server.set("limits/daily", "300", "number");
  assert.equal(await third, 300);
  await watch.return();
});

test("a signal ends a watch", async () => {
  const abort = new AbortController();
  const watch = client().watch(NAMESPACE, { signal: abort.signal });
  await watch.next();
  const waiting = watch.next();
  abort.abort();
  assert.equal((await waiting).done, true);
});

test("what was kept is used where no server answers", async () => {
  await client().get(NAMESPACE);
  assert.equal((await stat(await keptFile())).mode & 0o777, 0o600);
  await server.kill();
  const token = undefined;
  const config = await client({ token }).get(NAMESPACE);
  assert.equal(config.kept, true);
  assert.ok(config.ageSeconds >= 0);
  assert.equal(config.number("limits/daily"), 100);
  await assert.rejects(client({ token, fallback: false }).get(NAMESPACE), Unavailable);
  await assert.rejects(client({ token }).get("/teams"), Unavailable);
});

test("what was kept and damaged is refused", async () => {
  await client().get(NAMESPACE);
  const path = await keptFile();
  const whole = await readFile(path, "utf8");
  await server.kill();
  await writeFile(path, whole.replace("2025-01-01", "2026-01-01"));
  await assert.rejects(client().get(NAMESPACE), MirrorError);
  await writeFile(path, whole);
  await chmod(path, 0o666);
  await assert.rejects(client().get(NAMESPACE), MirrorError);
});

test("refusals are errors whatever was kept", async () => {
  await client().get(NAMESPACE);
  await assert.rejects(client({ token: "cfm_pat_wrong" }).get(NAMESPACE), (error) => error instanceof Refused && error.status === 401);
  await assert.rejects(client().get("/nope"), (error) => error instanceof Refused && error.code === "not-found");
});

test("a token is asked for again when it is no longer taken", async () => {
  const tokens = ["cfm_pat_old", await server.token()];
  const config = await client({ token: () => tokens.shift() }).get(NAMESPACE);
  assert.equal(config.number("limits/daily"), 100);
});

test("the next server is asked where the first is away", async () => {
  assert.equal((await client({}, ["http://127.0.0.1:1", server.url]).get(NAMESPACE)).number("limits/daily"), 100);
});

test("a server with another identity than what was kept is refused", async () => {
  await client().get(NAMESPACE);
  const address = server.url;
  const other = await Server.create();
  try {
    const swapped = (url, options) => fetch(String(url).replace(address, other.url), options);
    await assert.rejects(client({ fetch: swapped }).get(NAMESPACE), OtherStore);
  } finally {
    await other.close();
  }
});

test("an answer without end is refused", async () => {
  const chunk = new Uint8Array(32 * 1024 * 1024).fill(32);
  let sent = 0;
  const endless = () =>
    new ReadableStream({
      pull(controller) {
        sent += chunk.length;
        controller.enqueue(chunk);
      },
    });
  const fetch = async () => new Response(endless());
  await assert.rejects(client({ fetch, fallback: false }).get(NAMESPACE), Unavailable);
  assert.ok(sent < 512 * 1024 * 1024, String(sent));
});

test("the example of the README", async () => {
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(readme)[1].replace("http://127.0.0.1:7420", server.url);
  const folder = join(server.home, "example");
  await mkdir(join(folder, "node_modules"), { recursive: true });
  await symlink(PACKAGE, join(folder, "node_modules", "confman"));
  await writeFile(join(folder, "token"), await server.token());
  await writeFile(join(folder, "example.mjs"), example);
  const { stdout } = await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: folder });
  assert.equal(stdout, "2025-01-01\n100\nfalse\n");
});
