/**
 * Files that appear whole or not at all: written under a temporary name in the same folder, flushed to the disk, then
 * renamed. Whatever fails, the old file stays as it was and the temporary one is removed.
 * @module
 */
import { CheckpointError, DenimError, fail } from "../errors.ts";

/** Takes the bytes of a file in order. */
export interface ByteSink {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
}

const folderOf = (path: string): string => path.replace(/[^/\\]*$/, "") || ".";

/** What a failed write means to the user. */
function writeFailed(op: string, path: string, written: number, error: unknown): never {
  if (error instanceof DenimError) throw error;
  const full = error instanceof Error &&
    /ENOSPC|EDQUOT|EFBIG|os error (27|28|122|112)\b/.test(`${Reflect.get(error, "code")} ${error.message}`);
  return fail(CheckpointError, op, {
    cannot: `write ${path}`,
    expected: full ? "room on the disk" : "a folder that can be written to",
    got: `${error instanceof Error ? error.message : String(error)} after ${written} bytes`,
    fix: `${full ? "free some space" : "check the path and its permissions"}; what was there before is untouched`,
  });
}
/** Flushes the folder's entry, where the system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  try {
    using dir = await Deno.open(folder);
    await dir.sync();
  } catch {
    // The rename itself succeeded; only its durability across a power cut is up to the system now.
  }
}

/**
 * Writes the file `path` by `fill`. A reader, and a program killed at any time, sees the old file or the new one.
 * @param op Name of the public operation, for errors.
 */
export async function writeAtomic(
  path: string,
  fill: (sink: ByteSink) => Promise<void>,
  op: string = "save",
): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const temporary = `${target}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  let written = 0;
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    const write = async (bytes: Uint8Array): Promise<void> => {
      for (let done = 0; done < bytes.length;) {
        const n = await file.write(bytes.subarray(done));
        done += n;
        written += n;
      }
    };
    await fill({ write });
    await file.sync();
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    writeFailed(op, path, written, error);
  }
  try {
    await Deno.rename(temporary, target);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    writeFailed(op, path, written, error);
  }
  await syncFolder(folderOf(target));
}
