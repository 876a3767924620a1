// Reads configuration from Confman. There is a whole document of one moment or an error, never an
// empty answer. Types are in index.d.ts.

export { ConfmanError, MirrorError, NoSuchKey, OtherStore, Refused, Unavailable, WrongType } from "./errors.js";
export { Document } from "./document.js";
export { Client } from "./client.js";
