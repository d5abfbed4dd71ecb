/**
 * The sources of the native library: which files they are, the hash that names what is built from them, and how they
 * get onto this machine where the package was imported from the web. `runtime/manifest.json` is generated from here.
 * @module
 */
import manifest from "../runtime/manifest.json" with { type: "json" };
import { cacheFolder, exists, install } from "./cache.ts";
import { libraryFailure } from "./errors.ts";

/** What `runtime/manifest.json` holds. */
export interface Manifest {
  /** Hash of all sources. */
  readonly hash: string;
  /** SHA-256 of each file, by its path in `runtime/`. */
  readonly files: Readonly<Record<string, string>>;
  /** SHA-256 of the prebuilt libraries that a release carries, by platform. */
  readonly prebuilt: Readonly<Record<string, string>>;
}
/** The manifest that the package was published with. Only a package on the web depends on it. */
export const MANIFEST: Manifest = manifest;

/** Where the package is: a folder of this machine, or a URL. */
export const PACKAGE: URL = new URL("../", import.meta.url);
/** The package's folder, or null if it was imported from the web. */
export const LOCAL_ROOT: string | null = PACKAGE.protocol === "file:"
  ? decodeURIComponent(PACKAGE.pathname).replace(/\/$/, "")
  : null;

/** Folders of `runtime/` that the library does not depend on. */
const APART = ["tests", "fuzz", "metal/sim/tests", "zig-out", ".zig-cache"];
const ENDINGS = /\.(cc|h|inc|metal|S|tbd|zig|zon)$|^metal\/(include|sim\/msl)\//;
/** Paths in `runtime/` of all files that the library is built from, sorted. */
export function sourceFiles(root: string): string[] {
  const files: string[] = [];
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(`${root}/runtime/${folder}`)) {
      const path = folder + entry.name;
      if (entry.isDirectory && !APART.includes(path)) walk(`${path}/`);
      else if (entry.isFile && ENDINGS.test(path)) files.push(path);
    }
  };
  walk("");
  return files.sort();
}
/** A text that changes whenever a source does: paths, sizes and times. Reading it costs a millisecond. */
export function fingerprint(root: string): string {
  return sourceFiles(root).map((path) => {
    const { size, mtime } = Deno.statSync(`${root}/runtime/${path}`);
    return `${path} ${size} ${mtime?.getTime()}`;
  }).join("\n");
}

/** SHA-256, in hexadecimal. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}
/** Hashes of the sources in a folder: of each, and of all. */
export async function hashSources(root: string): Promise<Omit<Manifest, "prebuilt">> {
  const files: Record<string, string> = {};
  for (const path of sourceFiles(root)) files[path] = await sha256(await Deno.readFile(`${root}/runtime/${path}`));
  const text = Object.entries(files).map(([path, hash]) => `${hash} ${path}\n`).join("");
  return { hash: (await sha256(new TextEncoder().encode(text))).slice(0, 16), files };
}

/** Fetches a file of the package; refuses it if it is not the one that the manifest names. */
async function fetchChecked(path: string, expected: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(path, PACKAGE);
  const response = await fetch(url);
  const body = new Uint8Array(await response.arrayBuffer());
  const got = response.ok ? await sha256(body) : `HTTP status ${response.status}`;
  if (got === expected) return body;
  return libraryFailure({
    cannot: `fetch ${url}`,
    expected: `a file with SHA-256 ${expected}`,
    got,
    fix: "try again; if it stays so, the package was changed after it was published: import another version",
  });
}
/** Fetches the prebuilt library of a package on the web, if the release carries one. */
export async function fetchPrebuilt(path: string, platform: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const hash = MANIFEST.prebuilt[platform];
  return hash === undefined ? null : await fetchChecked(path, hash);
}
/** The folder that holds `runtime/` with the sources: the package itself, or the cache once they are fetched. */
export async function sourceRoot(temporary: string, report: (line: string) => void): Promise<string> {
  if (LOCAL_ROOT !== null) return LOCAL_ROOT;
  const home = `${cacheFolder()}/src/${MANIFEST.hash}`;
  if (exists(home)) return home;
  report(`fetching the sources from ${PACKAGE.host} ...`);
  for (const [path, hash] of Object.entries(MANIFEST.files)) {
    const target = `${temporary}/src/runtime/${path}`;
    const body = await fetchChecked(`runtime/${path}`, hash);
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(target, body);
  }
  await install(`${temporary}/src`, home);
  return home;
}
