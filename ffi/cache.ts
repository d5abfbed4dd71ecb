/**
 * The private cache folder: where it is, one lock for all who write to it, and writes that are never seen half done.
 * It holds the compiler (`zig-<version>/`), its objects (`zig-cache/`), built libraries (`lib/`), sources of a package
 * that was imported from the web (`src/`) and stamps (`stamp/`). Deleting it costs one build.
 * @module
 */
import { libraryFailure } from "./errors.ts";

/** `$DENIM_CACHE`, else `denim` in the system's cache folder (`$XDG_CACHE_HOME`, `~/.cache`, `~/Library/Caches`). */
export function cacheFolder(): string {
  const own = Deno.env.get("DENIM_CACHE");
  if (own) return own;
  const xdg = Deno.env.get("XDG_CACHE_HOME");
  if (xdg) return `${xdg}/denim`;
  const home = Deno.env.get("HOME") ?? libraryFailure({
    cannot: "find a cache folder",
    expected: "HOME, XDG_CACHE_HOME or DENIM_CACHE in the environment",
    got: "none of them",
    fix: "set DENIM_CACHE to a folder that may be written",
  });
  return Deno.build.os === "darwin" ? `${home}/Library/Caches/denim` : `${home}/.cache/denim`;
}

/** Whether something exists at the path. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Writes a file so that a reader sees the old text or the new one, never a part. */
export async function writeAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`;
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  try {
    if (typeof data === "string") await Deno.writeTextFile(temporary, data);
    else await Deno.writeFile(temporary, data);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Runs `work` while no other process does, handing it an empty folder for whatever is half done. The lock is the
 * kernel's, on an open file: it ends with its process, so none is ever stale. What an interrupted process left in its
 * folder is removed by the next one.
 */
export async function locked<T>(work: (temporary: string) => Promise<T>, waiting: () => void): Promise<T> {
  const folder = cacheFolder();
  await Deno.mkdir(folder, { recursive: true });
  using file = await Deno.open(`${folder}/lock`, { create: true, write: true });
  if (!await file.tryLock(true)) {
    waiting();
    await file.lock(true);
  }
  const temporary = `${folder}/tmp`;
  const clear = () => Deno.remove(temporary, { recursive: true }).catch(() => {});
  await clear();
  await Deno.mkdir(temporary);
  try {
    return await work(temporary);
  } finally {
    await clear();
  }
}

/** Moves a finished folder or file to its place. */
export async function install(from: string, to: string): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.remove(to, { recursive: true }).catch(() => {});
  await Deno.rename(from, to);
}
