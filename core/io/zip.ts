/**
 * Zip files, as far as NumPy's `.npz` and PyTorch's checkpoints need them: entries that are stored or deflated, and
 * zip64. What is stored can be mapped where it lies; the writer puts it at multiples of 64 bytes for that.
 *
 * `readZip` trusts nothing: every range lies inside the file, and nothing is inflated beyond what its size says.
 * @module
 */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import type { ByteSink } from "./atomic.ts";
import { CheckpointError, fail } from "../errors.ts";

/** Bytes that are read in pieces: a file, or memory. */
export interface ByteSource {
  /** How many there are. */
  readonly size: number;
  /** `length` bytes from `offset`; fewer at the end. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}
/** One file in the zip file. */
export interface ZipEntry {
  /** Its path. */
  readonly name: string;
  /** Where its bytes begin. */
  readonly begin: number;
  /** How many bytes are stored. */
  readonly stored: number;
  /** How many bytes it has. */
  readonly size: number;
  /** Are the stored bytes deflated? */
  readonly deflated: boolean;
  /** The checksum of its bytes. */
  readonly crc: number;
}

const END = 0x06054b50, CENTRAL = 0x02014b50, LOCAL = 0x04034b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50;
const STORED = 0, DEFLATED = 8, ENCRYPTED = 1, UTF8 = 0x800;
const MAX_DIRECTORY = 2 ** 28, MAX32 = 0xffffffff;
/** The most that a deflated byte stands for. */
const MOST_INFLATED = 1032;

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the zip file",
    expected,
    got,
    fix: "the file is damaged or of another kind; fetch or export it again",
  });

/** Little-endian fields at the front of some bytes. */
function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
function exact(n: bigint, what: string): number {
  return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : broken(`a ${what} inside the file`, String(n));
}
/** Where the directory lies, and how many entries it has. */
function findDirectory(from: ByteSource): { at: number; length: number; count: number } {
  const start = Math.max(0, from.size - 22 - 0xffff), tail = from.read(start, from.size - start), v = view(tail);
  let end = tail.length - 22;
  while (end >= 0 && v.getUint32(end, true) !== END) end--;
  if (end < 0) return broken("a zip file, which ends with its directory", "none");
  const found = {
    at: v.getUint32(end + 16, true),
    length: v.getUint32(end + 12, true),
    count: v.getUint16(end + 10, true),
  };
  if (end >= 20 && v.getUint32(end - 20, true) === LOCATOR64) {
    const place = exact(v.getBigUint64(end - 12, true), "directory"), wide = from.read(place, 56), w = view(wide);
    if (wide.length < 56 || w.getUint32(0, true) !== END64) broken("the end record of zip64", "other bytes");
    found.count = exact(w.getBigUint64(32, true), "count");
    found.length = exact(w.getBigUint64(40, true), "directory");
    found.at = exact(w.getBigUint64(48, true), "directory");
  }
  if (found.length > MAX_DIRECTORY || found.at + found.length > from.size) {
    broken(`a directory inside the ${from.size} bytes`, `bytes ${found.at} to ${found.at + found.length}`);
  }
  return found;
}
/** The numbers of a zip64 field, in the order in which the plain fields say that they are too small. */
function wideFields(extra: Uint8Array): bigint[] {
  const v = view(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const id = v.getUint16(at, true), length = v.getUint16(at + 2, true);
    if (id === 1) {
      const fields: bigint[] = [];
      for (let i = at + 4; i + 8 <= Math.min(at + 4 + length, extra.length); i += 8) {
        fields.push(v.getBigUint64(i, true));
      }
      return fields;
    }
    at += 4 + length;
  }
  return [];
}
/** The directory's row at `at`, and where the next one begins. */
function readRow(from: ByteSource, directory: Uint8Array, at: number): [entry: ZipEntry, next: number] {
  const v = view(directory);
  if (at + 46 > directory.length || v.getUint32(at, true) !== CENTRAL) broken("a row of the directory", "other bytes");
  const lengths = [28, 30, 32].map((field) => v.getUint16(at + field, true)),
    [nameLength = 0, extraLength = 0] = lengths;
  const next = at + 46 + lengths.reduce((sum, n) => sum + n, 0);
  if (next > directory.length) broken("a row that ends in the directory", `byte ${next}`);
  const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength));
  const wide = wideFields(directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
  const number = (field: number): number => {
    const n = v.getUint32(at + field, true);
    return n === MAX32 ? exact(wide.shift() ?? BigInt(n), "range") : n;
  };
  const [size, stored, local] = [number(24), number(20), number(42)], method = v.getUint16(at + 10, true);
  const shown = JSON.stringify(name.slice(0, 80));
  if (v.getUint16(at + 8, true) & ENCRYPTED) broken("no encryption", `${shown}, which is encrypted`);
  if (method !== STORED && method !== DEFLATED) broken("stored or deflated entries", `method ${method} of ${shown}`);
  if (method === STORED && stored !== size) broken(`${size} stored bytes of ${shown}`, String(stored));
  if (size > stored * MOST_INFLATED) broken(`at most ${stored * MOST_INFLATED} bytes of ${shown}`, String(size));
  const head = from.read(local, 30), h = view(head);
  if (head.length < 30 || h.getUint32(0, true) !== LOCAL) broken(`the header of ${shown}`, "other bytes");
  const begin = local + 30 + h.getUint16(26, true) + h.getUint16(28, true);
  if (begin + stored > from.size) broken(`${shown} inside the ${from.size} bytes`, `its end at byte ${begin + stored}`);
  return [{ name, begin, stored, size, deflated: method === DEFLATED, crc: v.getUint32(at + 16, true) }, next];
}
/**
 * The entries of a zip file by name.
 * @throws CheckpointError for everything that is no whole zip file.
 */
export function readZip(from: ByteSource): Map<string, ZipEntry> {
  const { at, length, count } = findDirectory(from), directory = from.read(at, length);
  const entries = new Map<string, ZipEntry>();
  for (let i = 0, place = 0; i < count; i++) {
    const [entry, next] = readRow(from, directory, place);
    if (entries.has(entry.name)) broken("each name once", `${JSON.stringify(entry.name.slice(0, 80))} twice`);
    entries.set(entry.name, entry);
    place = next;
  }
  return entries;
}
/** All bytes of an entry, inflated and checked. */
export function entryBytes(from: ByteSource, entry: ZipEntry): Uint8Array<ArrayBuffer> {
  const stored = from.read(entry.begin, entry.stored);
  let bytes = stored;
  if (entry.deflated) {
    try {
      bytes = new Uint8Array(inflateRawSync(stored, { maxOutputLength: entry.size + 1 }));
    } catch (error) {
      broken(`${entry.name.slice(0, 80)}, deflated`, error instanceof Error ? error.message : String(error));
    }
  }
  if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) {
    broken(`${entry.size} bytes of ${entry.name.slice(0, 80)} with their checksum`, "others");
  }
  return bytes;
}

/** What a written entry needs in the directory. */
interface Written {
  readonly name: Uint8Array;
  readonly at: number;
  readonly stored: number;
  readonly size: number;
  readonly method: number;
  readonly crc: number;
}
/** Bytes of little-endian fields: `[bytes per field, value]`. */
function fields(...list: readonly (readonly [width: 2 | 4 | 8, value: number])[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(list.reduce((sum, [width]) => sum + width, 0)), v = view(bytes);
  let at = 0;
  for (const [width, value] of list) {
    if (width === 2) v.setUint16(at, value, true);
    else if (width === 4) v.setUint32(at, value, true);
    else v.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}
const low = (n: number): number => Math.min(n, MAX32);
/** A zip64 field with the numbers that need one. */
function zip64(...numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const wide = numbers.filter((n) => n >= MAX32);
  if (wide.length === 0) return new Uint8Array(0);
  return fields([2, 1], [2, 8 * wide.length], ...wide.map((n): [8, number] => [8, n]));
}

/** Writes entries one after the other, and the directory at last. */
export class ZipWriter {
  #at = 0;
  readonly #written: Written[] = [];
  /** Writes to `sink`; `deflate` makes entries smaller, and slower to read. */
  constructor(private readonly sink: ByteSink, private readonly deflate: boolean) {}
  async #write(...parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      await this.sink.write(part);
      this.#at += part.length;
    }
  }
  /** Writes an entry. */
  async add(path: string, bytes: Uint8Array): Promise<void> {
    const name = new TextEncoder().encode(path), data = this.deflate ? new Uint8Array(deflateRawSync(bytes)) : bytes;
    const method = this.deflate ? DEFLATED : STORED, crc = crc32(bytes), at = this.#at;
    // In the local header a zip64 field has both sizes.
    const both = Math.max(bytes.length, data.length) >= MAX32;
    const wide = both ? fields([2, 1], [2, 16], [8, bytes.length], [8, data.length]) : new Uint8Array(0);
    const gap = 63 - (at + 30 + name.length + wide.length + 4 + 63) % 64;
    const padding = new Uint8Array(4 + gap);
    padding.set(fields([2, 0xd935], [2, gap]));
    const sizes: [4, number][] = both ? [[4, MAX32], [4, MAX32]] : [[4, data.length], [4, bytes.length]];
    const head = fields(
      [4, LOCAL],
      [2, both ? 45 : 20],
      [2, UTF8],
      [2, method],
      [2, 0],
      [2, 0x21],
      [4, crc],
      ...sizes,
      [
        2,
        name.length,
      ],
      [2, wide.length + padding.length],
    );
    await this.#write(head, name, wide, padding, data);
    this.#written.push({ name, at, stored: data.length, size: bytes.length, method, crc });
  }
  /** Writes the directory. */
  async end(): Promise<void> {
    const start = this.#at;
    for (const { name, at, stored, size, method, crc } of this.#written) {
      const wide = zip64(size, stored, at), version: [2, number] = [2, wide.length ? 45 : 20];
      const row = fields(
        [4, CENTRAL],
        version,
        version,
        [2, UTF8],
        [2, method],
        [2, 0],
        [2, 0x21],
        [4, crc],
        [
          4,
          low(stored),
        ],
        [4, low(size)],
        [2, name.length],
        [2, wide.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, 0],
        [4, low(at)],
      );
      await this.#write(row, name, wide);
    }
    const length = this.#at - start, count = this.#written.length;
    if (start + length >= MAX32 || count >= 0xffff) {
      const place = this.#at, counts: [8, number][] = [[8, count], [8, count]];
      await this.#write(
        fields([4, END64], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], ...counts, [8, length], [8, start]),
        fields([4, LOCATOR64], [4, 0], [8, place], [4, 1]),
      );
    }
    const few = Math.min(count, 0xffff);
    await this.#write(fields([4, END], [2, 0], [2, 0], [2, few], [2, few], [4, low(length)], [4, low(start)], [2, 0]));
  }
}
