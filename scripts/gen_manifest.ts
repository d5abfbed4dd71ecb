/**
 * Prints `runtime/manifest.json`: the native sources with their hashes, for a package that is imported from the web.
 * `--check` fails if the committed file is stale. `--prebuilt` adds the libraries in `prebuilt/`, for a release.
 * @module
 */
import { exists } from "../ffi/cache.ts";
import { fileName, PLATFORMS } from "../ffi/platform.ts";
import { hashSources, sha256 } from "../ffi/source.ts";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const target = `${root}/runtime/manifest.json`;
const { hash, files } = await hashSources(root);
const prebuilt: Record<string, string> = {};
if (Deno.args.includes("--prebuilt")) {
  for (const platform of PLATFORMS) {
    const path = `${root}/prebuilt/${fileName(platform, hash)}`;
    if (exists(path)) prebuilt[platform] = await sha256(await Deno.readFile(path));
  }
}
const text = JSON.stringify({ hash, files, prebuilt }, null, 1) + "\n";
if (!Deno.args.includes("--check")) Deno.writeTextFileSync(target, text);
else if (!exists(target) || Deno.readTextFileSync(target) !== text) {
  console.error("runtime/manifest.json is stale: run deno task gen");
  Deno.exit(1);
}
