/**
 * How files become arrays: the seam between the parsers in this folder, which know bytes and byte ranges only, and the
 * code that maps files and owns native memory, which hands a {@linkcode TensorSource} in.
 * @module
 */
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import type { HostData } from "../primitive.ts";

/** A mapped file that arrays are views of. */
export interface TensorSource {
  /** The array of `shape` whose elements lie row by row from `byteOffset` in the file. */
  tensor(byteOffset: number, dtype: DType, shape: readonly number[]): NDArray;
}
/** Maps a file. */
export type OpenSource = (path: string) => TensorSource;

/** A tensor that lies in a file as it is needed: where. */
export interface StoredTensor {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Lengths of its axes. */
  readonly shape: readonly number[];
  /** First byte in the file. */
  readonly byteOffset: number;
}
/** A tensor that was repacked: its elements. bfloat16 is given by its bits, as a Uint16Array. */
export interface HostTensor {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Lengths of its axes. */
  readonly shape: readonly number[];
  /** Its elements, row by row. */
  readonly data: HostData;
}

/** Product of the lengths, or null where it is no exact integer. */
export function elementCount(shape: readonly number[]): number | null {
  let n = 1;
  for (const length of shape) n *= length;
  return Number.isSafeInteger(n) ? n : null;
}
/** Runs `read` on an open file. */
export function withFile<T>(path: string, read: (file: Deno.FsFile, size: number) => T): T {
  using file = Deno.openSync(path, { read: true });
  return read(file, file.statSync().size);
}
/**
 * `length` bytes of the file from `offset`; fewer at its end.
 * @param memory Where to put them, from its start on. Default: memory of their own.
 */
export function readRange(
  file: Deno.FsFile,
  offset: number,
  length: number,
  memory: ArrayBuffer = new ArrayBuffer(length),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(memory, 0, length);
  file.seekSync(offset, Deno.SeekMode.Start);
  let have = 0;
  while (have < length) {
    const n = file.readSync(bytes.subarray(have));
    if (n === null) break;
    have += n;
  }
  return bytes.subarray(0, have);
}
