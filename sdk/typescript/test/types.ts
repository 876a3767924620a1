// Compiled by `tsc` where there is one; never run.
import { Client, Document, type Json } from "../src/index.js";
import { folderStore, tokenFile } from "../src/node.js";

const client = new Client(["http://a", "http://b"], { token: tokenFile("t"), store: folderStore("k") });
const document: Document = await client.get("/a");
const text: string = document.string("k");
const limits: { daily: number } = document.json<{ daily: number }>("limits");
const any: Json = document.json("x");
for await (const next of client.watch("/a", { signal: AbortSignal.timeout(1) })) next.number("n");
export { any, limits, text };
