/**
 * Files from the web: resumed where they were cut, checked by their digest, and under their name only when whole.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { CheckpointError, fail } from "../core/errors.ts";
import type { OnProgress } from "./progress.ts";

/** What a file must be. */
export interface Expected {
  /** Bytes. */
  readonly size?: number;
  /** Hexadecimal SHA-256 of the content. */
  readonly sha256?: string;
  /** Hexadecimal SHA-1 as git names the content: of `blob <size>`, a zero byte and the content. */
  readonly gitSha1?: string;
}
/** How a file is fetched. */
export interface DownloadOptions extends Expected {
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Is told about the bytes as they arrive. */
  readonly onProgress?: OnProgress;
  /** Milliseconds without an answer or a byte after which the connection counts as cut. Default 30 s. */
  readonly timeoutMs?: number;
}

const ATTEMPTS = 4;
/** Why something failed, without the frame of an error of this library. */
export function reason(error: unknown): string {
  if (error instanceof CheckpointError) return error.got;
  return error instanceof Error ? error.message : String(error);
}
const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Whether a file is there. */
export async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((s) => s.isFile, () => false);
}

/** An error that asking again will not mend; all others are worth another attempt. */
const refused = (url: string, got: string): never =>
  fail(CheckpointError, "fetch", {
    cannot: `fetch ${url}`,
    expected: "an answer with the file",
    got,
    fix: "check the name and the rights",
  });
/** The answer to a request. One that stalls is ended; `alive` says that bytes still come. */
async function request(
  url: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<{ response: Response; alive: () => void; end: () => void }> {
  const control = new AbortController(),
    stalled = (): void => control.abort(new Deno.errors.TimedOut(`no answer for ${timeoutMs / 1000} s`));
  let timer = setTimeout(stalled, timeoutMs);
  const end = (): void => clearTimeout(timer);
  const alive = (): void => {
    end();
    timer = setTimeout(stalled, timeoutMs);
  };
  try {
    const response = await fetch(url, { headers: { ...headers }, signal: control.signal });
    if (response.ok || response.status === 416) return { response, alive, end };
    await response.body?.cancel();
    const answer = `${response.status} ${response.statusText}`.trim();
    if (response.status < 500 && response.status !== 429) return refused(url, answer);
    throw new Deno.errors.Http(answer);
  } catch (error) {
    end();
    throw error;
  }
}
/** The text at an address, within a time. */
export async function fetchText(
  url: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<string> {
  const { response, end } = await request(url, headers, timeoutMs);
  try {
    return await response.text();
  } finally {
    end();
  }
}

/** All of `bytes` to the file's end. */
export async function append(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
/** Feeds a file to a hash. */
async function hashFile(path: string, hash: Hash): Promise<string> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let n = await file.read(buffer); n !== null; n = await file.read(buffer)) hash.update(buffer.subarray(0, n));
  return hash.digest("hex");
}
/** What is wrong with a file, or null. */
export async function mismatch(path: string, { size, sha256, gitSha1 }: Expected): Promise<string | null> {
  const { size: actual } = await Deno.stat(path);
  if (size !== undefined && actual !== size) return `${actual} bytes instead of ${size}`;
  const found = sha256 ? await hashFile(path, createHash("sha256")) : null;
  if (found !== null && found !== sha256?.toLowerCase()) return `sha256 ${found} instead of ${sha256}`;
  const git = gitSha1 ? await hashFile(path, createHash("sha1").update(`blob ${actual}\0`)) : null;
  return git !== null && git !== gitSha1?.toLowerCase() ? `git id ${git} instead of ${gitSha1}` : null;
}

/** One connection: appends to the part what it does not have yet. */
async function continuePart(url: string, part: Deno.FsFile, name: string, options: DownloadOptions): Promise<void> {
  const have = (await part.stat()).size, range: Record<string, string> = have > 0 ? { Range: `bytes=${have}-` } : {};
  // Compressed answers have no place to go on from.
  const headers = { "Accept-Encoding": "identity", ...options.headers, ...range };
  if (options.size !== undefined && have === options.size) return;
  const { response, alive, end } = await request(url, headers, options.timeoutMs ?? 30_000);
  try {
    const resumes = response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`);
    if (!resumes) {
      await part.truncate(0);
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Deno.errors.InvalidData("the server did not continue the file");
      }
    }
    let done = await part.seek(0, Deno.SeekMode.End);
    const length = Number(response.headers.get("content-length") ?? NaN),
      total = options.size ?? (length >= 0 ? done + length : undefined);
    for await (const chunk of response.body ?? []) {
      alive();
      await append(part, chunk);
      done += chunk.length;
      options.onProgress?.({ label: name, done, ...total === undefined ? {} : { total } });
    }
    if (total !== undefined && done < total) {
      throw new Deno.errors.UnexpectedEof(`the connection ended after ${done} of ${total} bytes`);
    }
  } finally {
    end();
  }
}

/**
 * Fetches `url` to `target`. What has come so far is in `<target>.part`, which a later call continues, also after the
 * program was ended; two programs do not fetch one file at once. Connections that break are tried again.
 * @throws CheckpointError where the server refuses, the connection stays cut, or the content is not what was expected.
 */
export async function download(url: string, target: string, options: DownloadOptions = {}): Promise<void> {
  const name = baseName(target), partPath = `${target}.part`;
  const failed = (got: string): never =>
    fail(CheckpointError, "fetch", {
      cannot: `fetch ${name}`,
      expected: `the file at ${url}`,
      got,
      fix: "try again; what has come so far is kept and continued",
    });
  await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
  using part = await Deno.open(partPath, { create: true, read: true, write: true });
  await part.lock(true);
  if (await isFile(target)) return;
  let wrong = "", isOld = (await part.stat()).size > 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
    try {
      await continuePart(url, part, name, options);
      await part.sync();
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      wrong = reason(error);
      continue;
    }
    const bad = await mismatch(partPath, options);
    if (bad === null) return await Deno.rename(partPath, target);
    // Only what an earlier run left may be of another file; what just came will come again.
    await part.truncate(0);
    if (!isOld) return failed(bad);
    isOld = false;
    wrong = bad;
  }
  return failed(wrong);
}
