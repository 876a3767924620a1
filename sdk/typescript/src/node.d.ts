import type { Store } from "./index.js";

/** Keeps documents as files in a folder, readable by their owner alone and replaced as a whole. */
export function folderStore(folder: string): Store;

/** A token from a file, read again when it is no longer taken. */
export function tokenFile(path: string): () => Promise<string>;
