/**
 * Fetches headers that a build needs out of a wheel, a package of Python's index: pinned by its checksum, unpacked into
 * the cache folder. pip brings it, with the user's own settings; where there is no pip, the index is asked directly.
 * @module
 */
import { cacheFolder, exists, install } from "./cache.ts";
import { libraryFailure } from "./errors.ts";
import { sha256 } from "./source.ts";
import { run } from "./zig.ts";

/** Headers in a wheel. */
export interface Headers {
  /** What they are, for the user. */
  readonly what: string;
  /** Name of the package. */
  readonly package: string;
  /** Its version. */
  readonly version: string;
  /** Name of the wheel's file. */
  readonly file: string;
  /** SHA-256 of the file. */
  readonly hash: string;
  /** The platform that pip must be told, if it is not any. */
  readonly platform?: string;
  /** The folder in the wheel that is kept, and that the compiler is given. */
  readonly folder: string;
  /** The variable in the environment that names another folder with these headers. */
  readonly variable: string;
}

/**
 * The folder of the headers: the one that the variable names, else the cached one, else a new one. Call it under the
 * cache's lock. Throws `RuntimeLibraryError` with what was said if they cannot be fetched.
 */
export async function findHeaders(
  wanted: Headers,
  temporary: string,
  report: (line: string) => void,
): Promise<string> {
  const given = Deno.env.get(wanted.variable);
  if (given) return given;
  const home = `${cacheFolder()}/${wanted.package}-${wanted.version}`;
  if (exists(home)) return home;
  report(`fetching ${wanted.what} (${wanted.package} ${wanted.version} from PyPI) ...`);
  const folder = `${temporary}/${wanted.package}`, failures: string[] = [];
  for (const fetchIt of [byPip, byIndex]) {
    const got = await fetchIt(wanted, folder).catch((error: Error) => error.message);
    if (typeof got !== "string") {
      await unpack(got, `${wanted.folder}/`, `${folder}/out`);
      await install(`${folder}/out`, home);
      return home;
    }
    failures.push(got);
  }
  return libraryFailure({
    cannot: `get the headers of ${wanted.what} (${wanted.package} ${wanted.version})`,
    expected: `${wanted.file} from PyPI`,
    got: `\n${failures.join("\n")}\n`,
    fix: `see that PyPI can be reached, or set ${wanted.variable} to a folder with these headers`,
  });
}

type Bytes = Uint8Array<ArrayBuffer>;

async function byPip({ package: name, version, file, hash, platform }: Headers, to: string): Promise<Bytes | string> {
  const options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--only-binary=:all:", "--dest", to];
  const where = platform === undefined ? [] : ["--platform", platform];
  const pip = ["-m", "pip", "download", ...options, ...where, `${name}==${version}`];
  const { code, stderr } = await run({ command: "python3" }, pip);
  if (code !== 0) return `pip: ${stderr.trim()}`;
  return exists(`${to}/${file}`)
    ? await checked(await Deno.readFile(`${to}/${file}`), hash, "pip")
    : "pip: another file";
}
async function byIndex({ package: name, file, hash }: Headers): Promise<Bytes | string> {
  const index = (Deno.env.get("PIP_INDEX_URL") ?? "https://pypi.org/simple").replace(/\/$/, "");
  const page = await fetch(`${index}/${name}/`), text = await page.text();
  const link = [...text.matchAll(/href="([^"]+)"/g)].map((match) => match[1]!).find((url) => url.includes(`/${file}`));
  if (!page.ok || link === undefined) return `${index}: status ${page.status}, no link to ${file}`;
  const response = await fetch(new URL(link.replaceAll("&amp;", "&"), page.url));
  return await checked(new Uint8Array(await response.arrayBuffer()), hash, index);
}
async function checked(body: Bytes, hash: string, who: string): Promise<Bytes | string> {
  const got = await sha256(body);
  return got === hash ? body : `${who}: a file with SHA-256 ${got} instead of ${hash}`;
}

/** Writes the files below a folder of a zip archive. The archive is one whose checksum is known. */
async function unpack(zip: Bytes, folder: string, to: string): Promise<void> {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength), [END, DEFLATED] = [0x06054b50, 8];
  let end = zip.length - 22;
  while (view.getUint32(end, true) !== END) end--;
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < view.getUint16(end + 10, true); i++) {
    const sizes = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = new TextDecoder().decode(zip.subarray(at + 46, at + 46 + sizes[0]!));
    if (name.startsWith(folder) && !name.endsWith("/")) {
      const local = view.getUint32(at + 42, true);
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const packed = zip.slice(start, start + view.getUint32(at + 20, true));
      const deflated = view.getUint16(at + 10, true) === DEFLATED;
      const path = `${to}/${name.slice(folder.length)}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(path, deflated ? await inflate(packed) : packed);
    }
    at += 46 + sizes[0]! + sizes[1]! + sizes[2]!;
  }
}
async function inflate(packed: Bytes): Promise<Bytes> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
