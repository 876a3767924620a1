// What Node has beyond a browser: files.

import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MirrorError } from "./errors.js";

/** Most bytes of a document that was kept. */
const MIRROR_BYTES_MAX = 256 * 1024 * 1024;

/** Keeps documents as files in a folder, readable by their owner alone and replaced as a whole. */
export function folderStore(folder) {
  return {
    async load(name) {
      const path = join(folder, name);
      try {
        const found = await stat(path);
        if (process.platform !== "win32" && (found.mode & 0o022) !== 0) {
          throw new MirrorError(`${path} can be written by others and is not used; chmod 600 it`);
        }
        if (found.size > MIRROR_BYTES_MAX) throw new MirrorError(`${path} is too large and is not used`);
        return await readFile(path, "utf8");
      } catch (error) {
        if (error.code === "ENOENT") return undefined;
        throw error;
      }
    },
    async save(name, text) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const temporary = join(folder, `.${randomUUID()}`);
      try {
        const file = await open(temporary, "wx", 0o600);
        try {
          await file.writeFile(text);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, join(folder, name));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}

/** A token from a file, read again when it is no longer taken. */
export function tokenFile(path) {
  return async () => (await readFile(path, "utf8")).trim();
}
