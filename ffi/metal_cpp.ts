/**
 * Fetches metal-cpp, Apple's C++ headers for Metal, for the libraries that are built with the Metal host. The PyPI package
 * `mlx-metal` carries them; it is pinned by its checksum, and only its headers are kept, in the cache folder.
 * @module
 */
import { cacheFolder, exists, install } from "./cache.ts";
import { libraryFailure } from "./errors.ts";
import { sha256 } from "./source.ts";
import { run } from "./zig.ts";

const VERSION = "0.32.4";
const WHEEL = `mlx_metal-${VERSION}-py3-none-macosx_14_0_arm64.whl`;
const SHA256 = "8019b2db622599267d66cc168b2f0dbf5af929790a6c3b3913e00eabc42a7947";
const INCLUDE = "mlx/include/metal_cpp";
/** Python that unpacks one folder of a wheel. */
const UNPACK = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); " +
  "z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(sys.argv[3])])";

/**
 * The folder of metal-cpp's headers: `$DENIM_METAL_CPP`, else the cached one, else a new one. Call it under the cache's
 * lock. Throws `RuntimeLibraryError` with what pip said if it cannot be fetched.
 */
export async function findMetalCpp(temporary: string, report: (line: string) => void): Promise<string> {
  const given = Deno.env.get("DENIM_METAL_CPP");
  if (given) return given;
  const home = `${cacheFolder()}/metal-cpp-${VERSION}`;
  if (exists(home)) return `${home}/${INCLUDE}`;
  report(`fetching metal-cpp (mlx-metal ${VERSION} from PyPI) ...`);
  const folder = `${temporary}/metal-cpp`;
  const options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--only-binary=:all:"];
  const where = ["--platform", "macosx_14_0_arm64", "--dest", folder];
  const python = { command: "python3" };
  const fetched = await run(python, ["-m", "pip", "download", ...options, ...where, `mlx-metal==${VERSION}`]);
  if (fetched.code !== 0) return refuse("pip to fetch it", fetched.stderr.trim());
  const got = await sha256(await Deno.readFile(`${folder}/${WHEEL}`));
  if (got !== SHA256) return refuse(`a file with SHA-256 ${SHA256}`, got);
  const unpacked = await run(python, ["-c", UNPACK, `${folder}/${WHEEL}`, `${folder}/out`, INCLUDE]);
  if (unpacked.code !== 0) return refuse("a wheel with the headers", unpacked.stderr.trim());
  await install(`${folder}/out`, home);
  return `${home}/${INCLUDE}`;
}
function refuse(expected: string, got: string): never {
  return libraryFailure({
    cannot: `get metal-cpp, the headers of Metal (mlx-metal ${VERSION})`,
    expected,
    got,
    fix: "see that PyPI can be reached, or set DENIM_METAL_CPP to a folder with Apple's metal-cpp",
  });
}
