// An effective document: keys, values, and which state of the store they are.

import { ConfmanError, NoSuchKey, WrongType } from "./errors.js";

export class Document {
  #entries;

  constructor(body, identity) {
    let parsed;
    try {
      parsed = JSON.parse(body);
      const texts = valueTexts(body);
      if (texts.length !== parsed.entries.length) throw new Error("an entry has no value");
      // Of numbers the author's digits are kept, of which JSON.parse keeps only what a double holds.
      this.#entries = new Map(
        parsed.entries.map((entry, at) => [
          entry.key,
          entry.type === "number" ? { ...entry, value: texts[at] } : entry,
        ]),
      );
    } catch (error) {
      throw new ConfmanError(`the document of ${identity.namespace} is not as agreed: ${error}`);
    }
    if (parsed.namespace !== identity.namespace) {
      throw new ConfmanError(`the document is of ${parsed.namespace}, not of ${identity.namespace}`);
    }
    this.body = body;
    this.namespace = identity.namespace;
    this.basis = parsed.basis;
    this.etag = identity.etag;
    this.index = identity.index;
    this.clusterId = identity.clusterId;
    this.server = identity.server;
    this.filtered = identity.filtered ?? false;
    this.kept = identity.kept ?? false;
    this.ageSeconds = identity.ageSeconds;
    this.keys = Object.freeze([...this.#entries.keys()].sort());
    Object.freeze(this);
  }

  has(key) {
    return this.#entries.has(key);
  }

  type(key) {
    return this.#entry(key).type;
  }

  string(key) {
    return this.#value(key, "string");
  }

  secretRef(key) {
    return this.#value(key, "secret-ref");
  }

  boolean(key) {
    return this.#value(key, "boolean");
  }

  digits(key) {
    return this.#value(key, "number");
  }

  number(key) {
    const digits = this.digits(key);
    const number = Number(digits);
    const isWhole = /^-?\d+$/.test(digits);
    if (!Number.isFinite(number) || (isWhole && !Number.isSafeInteger(number))) {
      throw new WrongType(`key \`${key}\` of ${this.namespace} is a number that JavaScript does not hold; see digits()`);
    }
    return number;
  }

  json(key) {
    // A copy, so that nobody can change the document.
    return structuredClone(this.#value(key, "json"));
  }

  bytes(key) {
    return Uint8Array.from(atob(this.#value(key, "binary")), (c) => c.charCodeAt(0));
  }

  #entry(key) {
    const entry = this.#entries.get(key);
    if (entry === undefined) throw new NoSuchKey(`${this.namespace} has no key \`${key}\``);
    return entry;
  }

  #value(key, wanted) {
    const entry = this.#entry(key);
    if (entry.type !== wanted) {
      throw new WrongType(`key \`${key}\` of ${this.namespace} is of type ${entry.type}, not ${wanted}`);
    }
    return entry.value;
  }
}

/** Depth of the members of an entry: the document, its list of entries, an entry. */
const ENTRY_DEPTH = 3;

/** The text of the member `value` of every entry, in order. The JSON was parsed before, so it is valid. */
function valueTexts(body) {
  const texts = [];
  let depth = 0;
  let start = -1;
  for (let at = 0; at < body.length; at++) {
    const c = body[at];
    if (c === '"') {
      const begin = at;
      for (at++; body[at] !== '"'; at++) if (body[at] === "\\") at++;
      const colon = depth === ENTRY_DEPTH && start < 0 ? /^\s*:/.exec(body.slice(at + 1, at + 9)) : null;
      if (colon !== null && body.slice(begin, at + 1) === '"value"') {
        at += colon[0].length;
        start = at + 1;
      }
    } else if (c === "{" || c === "[") {
      depth++;
    } else {
      if (start >= 0 && depth === ENTRY_DEPTH && (c === "," || c === "}")) {
        texts.push(body.slice(start, at).trim());
        start = -1;
      }
      if (c === "}" || c === "]") depth--;
    }
  }
  return texts;
}
