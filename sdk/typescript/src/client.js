// A store, read over HTTP from any of its servers.

import { ConfmanError, MirrorError, OtherStore, Refused, Unavailable } from "./errors.js";
import { Document } from "./document.js";

/** How long a server is asked to wait for a change, in seconds. */
const WAIT_SECONDS = 60;
/** How long a server may take to answer beyond that. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Upper bounds of the first pause after a failure and of every pause. */
const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 30_000;
/** An answer that nothing changed is not expected sooner; a server about to end gives it at once. */
const WAIT_LEAST_MS = 1000;
/** How long a stream of events may be silent, in which a server gives three signs of life. */
const SILENCE_MAX_MS = 45_000;
/** Most characters of an event. */
const EVENT_CHARS_MAX = 1 << 20;
/** Most bytes of an answer. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
/** How old a confirmation may get before it is written down again. */
const CONFIRM_INTERVAL_MS = 30_000;
/** Statuses that another server, or a later time, may not have. */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);
const MAGIC = "confman mirror sha256 1";

export class Client {
  #servers;
  #token;
  #tokenValue;
  #clientId;
  #store;
  #fallback;
  #timeoutMs;
  #note;
  #fetch;
  #preferred;
  #clusterId;
  #clusterFrom;
  #index = 0;
  #known = new Map();
  #looked = new Set();
  #keptAt = 0;

  constructor(servers, options = {}) {
    const urls = typeof servers === "string" ? [servers] : [...servers];
    if (urls.length === 0) throw new ConfmanError("no server is named");
    this.#servers = urls.map((url) => ({ url: checkedUrl(url), identified: false, withoutWatches: false }));
    this.#token = options.token;
    this.#clientId = options.clientId;
    this.#store = options.store;
    this.#fallback = options.fallback ?? true;
    this.#timeoutMs = options.timeoutMs ?? ANSWER_TIMEOUT_MS;
    this.#note = options.onNote ?? (() => {});
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#preferred = Math.floor(Math.random() * urls.length);
  }

  get(namespace) {
    return this.#read(namespace, undefined, undefined);
  }

  async *watch(namespace, { signal } = {}) {
    let document = await this.#read(namespace, undefined, signal);
    yield document;
    let given = document.etag;
    let away = document.kept;
    let attempt = 0;
    let events;
    try {
      while (!signal?.aborted) {
        const began = Date.now();
        try {
          if (!away) events ??= await this.#open(namespace, signal);
          if (away) {
            document = await this.#read(namespace, undefined, signal);
          } else if (events === undefined) {
            document = await this.#read(namespace, WAIT_SECONDS, signal);
          } else if (await events.moved(document)) {
            if (events.ended) events = undefined;
            document = await this.#read(namespace, undefined, signal);
          } else {
            if (Date.now() - this.#keptAt > CONFIRM_INTERVAL_MS) await this.#keep(document);
            continue;
          }
          if (document.kept) throw new Unavailable("no server answers");
        } catch (error) {
          if (signal?.aborted) return;
          if (!away) this.#note(`nothing new of ${namespace} can be had: ${error.message}`);
          away = true;
          events?.close();
          events = undefined;
          await pause(attempt++, signal);
          continue;
        }
        if (away) this.#note(`${namespace} is current`);
        away = false;
        attempt = 0;
        if (document.etag !== given) {
          given = document.etag;
          yield document;
        } else if (Date.now() - began < WAIT_LEAST_MS) {
          await pause(0, signal);
        }
      }
    } finally {
      events?.close();
    }
  }

  /** The stream of events of the server that answered last; `undefined` where it has none. */
  async #open(namespace, signal) {
    const server = this.#servers[this.#preferred];
    if (server.withoutWatches) return undefined;
    const abort = new AbortController();
    const silence = new Silence(abort);
    const stop = signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]);
    try {
      const headers = { accept: "text/event-stream", ...this.#identity(await this.#currentToken()) };
      const response = await this.#fetch(pathOf(server, namespace, "watch"), {
        headers,
        redirect: "error",
        cache: "no-store",
        signal: stop,
      });
      if (response.status === 200) return new Events(response.body.getReader(), silence);
      await response.body?.cancel();
    } catch (error) {
      silence.end();
      if (signal?.aborted) throw error;
      // Where that is an outage, the request that waits says so.
    }
    silence.end();
    server.withoutWatches = true;
    return undefined;
  }

  async #read(namespace, wait, signal) {
    await this.#look(namespace);
    const known = this.#known.get(namespace);
    let document;
    try {
      document = await this.#askAll(namespace, known, wait, signal);
    } catch (error) {
      if (error instanceof Unavailable) return this.#fallBack(namespace, error);
      throw error;
    }
    if (document === undefined) {
      // What the server says still holds is no longer merely kept.
      document = known.kept ? new Document(known.body, { ...known, kept: false, ageSeconds: undefined }) : known;
    }
    this.#known.set(namespace, document);
    this.#index = Math.max(this.#index, document.index);
    await this.#keep(document);
    return document;
  }

  /** Reads what was kept, once. */
  async #look(namespace) {
    if (this.#store === undefined || this.#looked.has(namespace)) return;
    this.#looked.add(namespace);
    try {
      const kept = await this.#load(namespace);
      if (kept === undefined) return;
      // From here on only this store will do, and nothing older than what was kept.
      if (this.#clusterId === undefined) {
        this.#clusterId = kept.clusterId;
        this.#clusterFrom = await this.#name(namespace);
      }
      this.#index = Math.max(this.#index, kept.index);
      this.#known.set(namespace, kept);
    } catch (error) {
      this.#note(error.message);
    }
  }

  async #fallBack(namespace, error) {
    if (!this.#fallback || this.#store === undefined) throw error;
    const kept = await this.#load(namespace);
    if (kept === undefined) throw error;
    this.#note(`using what was kept of ${namespace} ${Math.round(kept.ageSeconds)} s ago: ${error.message}`);
    return kept;
  }

  async #askAll(namespace, known, wait, signal) {
    const tried = [];
    let other;
    const count = this.#servers.length;
    for (let step = 0; step < count; step++) {
      const at = (this.#preferred + step) % count;
      const server = this.#servers[at];
      try {
        const document = await this.#ask(server, namespace, known, wait, signal);
        this.#preferred = at;
        return document;
      } catch (error) {
        if (signal?.aborted) throw error;
        server.identified = false;
        server.withoutWatches = false;
        if (error instanceof OtherStore) other = error;
        else if (error instanceof Refused && !PASSING.has(error.status)) throw error;
        else tried.push(`${server.url}: ${error.cause?.message ?? error.message}`);
      }
    }
    throw other ?? new Unavailable(`no server answers: ${tried.join("; ")}`);
  }

  async #ask(server, namespace, known, wait, signal) {
    if (!server.identified) await this.#identify(server, signal);
    const url = pathOf(server, namespace, "config?origin=true");
    const headers = { accept: "application/json" };
    if (known !== undefined) {
      headers["if-none-match"] = known.etag;
      if (wait !== undefined) headers.prefer = `wait=${wait}`;
    }
    if (this.#index > 0) headers["confman-min-index"] = String(this.#index);
    let response = await this.#send(url, headers, wait, signal);
    if (response.status === 401 && (await this.#renew())) {
      response = await this.#send(url, headers, wait, signal);
    }
    if (response.status === 304) return undefined;
    const body = await textOf(response);
    if (response.status !== 200) throw refusal(response.status, body);
    return new Document(body, {
      namespace,
      etag: response.headers.get("etag") ?? "",
      index: Number(response.headers.get("confman-index") ?? 0),
      clusterId: this.#clusterId,
      server: server.url,
      filtered: response.headers.has("confman-filtered"),
    });
  }

  /** A server is asked for configuration only after it said which store it is. */
  async #identify(server, signal) {
    const response = await this.#send(`${server.url}/version`, { accept: "application/json" }, undefined, signal, false);
    const body = await textOf(response);
    if (response.status !== 200) throw refusal(response.status, body);
    const clusterId = parsed(body)?.clusterId;
    if (typeof clusterId !== "string") throw new Unavailable("it does not speak Confman's protocol");
    this.#clusterId ??= clusterId;
    if (this.#clusterId !== clusterId) {
      const kept = this.#clusterFrom === undefined ? "" : `, kept as ${this.#clusterFrom}`;
      throw new OtherStore(
        `the server at ${server.url} is another store (${clusterId}) than the one known so far (${this.#clusterId}${kept})`,
      );
    }
    server.identified = true;
  }

  async #send(url, headers, wait, signal, withToken = true) {
    const token = withToken ? await this.#currentToken() : undefined;
    const timeout = AbortSignal.timeout(this.#timeoutMs + (wait ?? 0) * 1000);
    return this.#fetch(url, {
      headers: withToken ? { ...headers, ...this.#identity(token) } : headers,
      redirect: "error",
      cache: "no-store",
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
  }

  /** The headers that say who asks. */
  #identity(token) {
    return {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(this.#clientId === undefined ? {} : { "confman-client": this.#clientId }),
    };
  }

  async #currentToken() {
    if (typeof this.#token !== "function") return this.#token;
    this.#tokenValue ??= await this.#token();
    return this.#tokenValue;
  }

  /** Asks for the token again; whether it is another one. */
  async #renew() {
    if (typeof this.#token !== "function") return false;
    const before = this.#tokenValue;
    this.#tokenValue = await this.#token();
    return this.#tokenValue !== before;
  }

  async #name(namespace) {
    const urls = this.#servers.map((server) => server.url).sort();
    const digits = (await sha256([...urls, namespace].join("\n"))).slice(0, 16);
    return `${namespace.split("/").at(-1) || "root"}-${digits}.sha256.mirror`;
  }

  async #load(namespace) {
    const name = await this.#name(namespace);
    const text = await this.#store.load(name);
    if (text === undefined) return undefined;
    const damaged = (why) => new MirrorError(`${name} is damaged and is not used: ${why}`);
    const [magic, stated, header] = text.split("\n", 3);
    const content = text.slice(`${magic}\n${stated}\n`.length);
    if (magic !== MAGIC || stated !== (await sha256(content))) throw damaged("it does not hash to what it says");
    const identity = parsed(header);
    if (identity?.namespace !== namespace) {
      throw new MirrorError(`${name} is of ${identity?.namespace}, not of ${namespace}, and is not used`);
    }
    try {
      const ageSeconds = Math.max(0, Date.now() / 1000 - identity.time);
      return new Document(content.slice(header.length + 1), { ...identity, kept: true, ageSeconds });
    } catch (error) {
      throw damaged(error.message);
    }
  }

  async #keep(document) {
    if (this.#store === undefined) return;
    const { namespace, etag, index, clusterId, server, filtered } = document;
    const header = { namespace, etag, index, clusterId, server, filtered, time: Date.now() / 1000 };
    this.#keptAt = Date.now();
    const content = `${JSON.stringify(header)}\n${document.body}`;
    try {
      await this.#store.save(await this.#name(namespace), `${MAGIC}\n${await sha256(content)}\n${content}`);
    } catch (error) {
      this.#note(`nothing can be kept of ${namespace}: ${error.message}`);
    }
  }
}

/** Ends a stream that was silent for too long. */
class Silence {
  #abort;
  #timer;

  constructor(abort) {
    this.#abort = abort;
    this.heard();
  }

  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(new Error("the stream was silent")), SILENCE_MAX_MS);
  }

  end() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}

/** A stream of events, used as a sign that a document may have moved. */
class Events {
  ended = false;
  #reader;
  #silence;
  #decoder = new TextDecoder();
  #text = "";

  constructor(reader, silence) {
    this.#reader = reader;
    this.#silence = silence;
  }

  close() {
    this.ended = true;
    this.#silence.end();
  }

  /** Waits for a sign: whether it may have moved. A sign of life says that it has not. */
  async moved(document) {
    for (;;) {
      const end = /\r?\n\r?\n/.exec(this.#text);
      if (end === null) {
        const { value, done } = await this.#reader.read();
        if (done || this.#text.length > EVENT_CHARS_MAX) {
          this.close();
          return true;
        }
        this.#silence.heard();
        this.#text += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const lines = this.#text.slice(0, end.index).split(/\r?\n/);
      this.#text = this.#text.slice(end.index + end[0].length);
      const field = (name) =>
        lines
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).trim())
          .join("\n");
      const event = field("event");
      if (event === "ready" || event === "reset") {
        const basis = parsed(field("data"))?.basis;
        if (typeof basis !== "string") throw new Unavailable("an event is not as agreed");
        return basis !== document.basis;
      }
      if (event === "end") this.close();
      if (event === "change" || event === "end") return true;
      if (lines.some((line) => line.startsWith(":"))) return false;
    }
  }
}

/** The body of an answer as text, as long as it is not too large. */
async function textOf(response) {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > ANSWER_BYTES_MAX) {
      await reader.cancel();
      throw new Unavailable("the answer is too large");
    }
    text += decoder.decode(value, { stream: true });
  }
}

function pathOf(server, namespace, resource) {
  const path = namespace === "/" ? "" : namespace.split("/").map(encodeURIComponent).join("/");
  return `${server.url}/v1/ns${path}/-/${resource}`;
}

function checkedUrl(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new ConfmanError(`\`${text}\` is not the URL of a server`);
  }
  if (!["http:", "https:"].includes(url.protocol) || url.search || url.hash || url.username) {
    throw new ConfmanError(`\`${text}\` is not the URL of a server`);
  }
  return text.replace(/\/+$/, "");
}

function refusal(status, body) {
  const problem = parsed(body);
  if (typeof problem?.code !== "string") {
    return new Unavailable(`status ${status} came without a problem document`);
  }
  return new Refused(status, problem.code, problem.detail);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function sha256(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A random pause whose bound doubles, so that a fleet does not come back as one. */
function pause(attempt, signal) {
  const bound = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt, 16));
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, 50 + Math.random() * (bound - 50));
    signal?.addEventListener("abort", done);
  });
}
