/** Reads configuration from Confman. There is a whole document of one moment or an error, never an empty answer. */

/** `string`, `number`, `boolean`, `json`, `binary` or `secret-ref`. */
export type EntryType = "string" | "number" | "boolean" | "json" | "binary" | "secret-ref";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The base of all errors of this package. */
export class ConfmanError extends Error {}
/** No server answers as it should. Asking again later may help. */
export class Unavailable extends ConfmanError {}
/** The server answered that it will not, and why. */
export class Refused extends ConfmanError {
  readonly status: number;
  readonly code: string;
}
/** What answered is another store than the one whose configuration is known. */
export class OtherStore extends ConfmanError {}
/** What was kept is damaged or of something else, and is not used. */
export class MirrorError extends ConfmanError {}
/** The document has no such key. */
export class NoSuchKey extends ConfmanError {}
/** The value of a key is of another type than was asked for. */
export class WrongType extends ConfmanError {}

/** The effective values of a namespace at one moment. It never changes. */
export class Document {
  readonly namespace: string;
  /** Hash of the ordered commits behind it. */
  readonly basis: string;
  readonly etag: string;
  /** The log index that it is not older than. */
  readonly index: number;
  /** Something is left out that the token may not see. */
  readonly filtered: boolean;
  /** No server answers; this was kept when one did. */
  readonly kept: boolean;
  /** Seconds since a server last said that it holds, where it was kept. */
  readonly ageSeconds: number | undefined;
  /** In order. */
  readonly keys: readonly string[];
  has(key: string): boolean;
  type(key: string): EntryType;
  string(key: string): string;
  boolean(key: string): boolean;
  /** A number that JavaScript holds exactly; otherwise `WrongType`, and `digits` has it. */
  number(key: string): number;
  /** A number as its author wrote it. */
  digits(key: string): string;
  json<T = Json>(key: string): T;
  bytes(key: string): Uint8Array;
  /** The reference to a secret; resolving it is the caller's business. */
  secretRef(key: string): string;
}

/** Keeps texts by name: a folder in Node (`confman/node`), or what a browser has. */
export interface Store {
  load(name: string): Promise<string | undefined>;
  save(name: string, text: string): Promise<void>;
}

export interface ClientOptions {
  /** Who to be; a function is asked again when its token is no longer taken. */
  token?: string | (() => string | Promise<string>);
  /**
   * Which of the readers to be, where something is published gradually: an id that stays, as that of a host or
   * pod. Without one, what is published to all readers is what you get.
   */
  clientId?: string;
  /** Where documents are kept for the time when no server answers. */
  store?: Store;
  /** Whether what was kept may be used then. Default: true. */
  fallback?: boolean;
  /** How long a server may take to answer, in milliseconds. Default: 10000. */
  timeoutMs?: number;
  /** Told once when the server goes away and when it is back, and of kept copies that cannot be used. */
  onNote?: (text: string) => void;
  /** Instead of the global one. */
  fetch?: typeof fetch;
}

export interface WatchOptions {
  /** Ends the watch. */
  signal?: AbortSignal;
}

/** Reads namespaces of one store, which one or several servers have. */
export class Client {
  constructor(servers: string | readonly string[], options?: ClientOptions);
  /** The effective document as it is now. Where it did not change, nothing is sent again. */
  get(namespace: string): Promise<Document>;
  /** The document now, and every new one. Outages are waited for. */
  watch(namespace: string, options?: WatchOptions): AsyncIterableIterator<Document>;
}
