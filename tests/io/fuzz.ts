/**
 * Broken files against the parsers: whatever comes, the answer is a parse or a CheckpointError, soon.
 * @module
 */
import { CheckpointError } from "../../core/errors.ts";
import { parseGguf } from "../../core/io/gguf.ts";
import { parseNpyHeader } from "../../core/io/npy.ts";
import { parseTorch } from "../../core/io/pytorch.ts";
import { parseSafetensorsHeader } from "../../core/io/safetensors.ts";
import { type ByteSource, entryBytes, readZip } from "../../core/io/zip.ts";
import { mutate, randomFrom, seedFiles } from "./files.ts";
import * as python from "./python_files.ts";

/** How many mutated files were read and how many refused, and the longest that one took. */
export interface FuzzReport {
  read: number;
  refused: number;
  slowestMs: number;
}
/** Ranges that a parser promises: inside the file, in order. */
function checkRanges(tensors: readonly { readonly begin: number; readonly end: number }[], fileSize: number): void {
  let at = 0;
  for (const { begin, end } of tensors.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at && end > begin || end < begin || end > fileSize) {
      throw new RangeError(`bytes ${begin} to ${end} of ${fileSize}`);
    }
    at = Math.max(at, end);
  }
}

/** Bytes in memory as a source. */
export function inMemory(bytes: Uint8Array<ArrayBuffer>): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.slice(offset, offset + length) };
}
/** Mutates `count` of the originals and lets `parse` read each. */
function fuzz(
  kind: string,
  originals: readonly Uint8Array[],
  count: number,
  seed: number,
  parse: (file: Uint8Array<ArrayBuffer>, random: () => number) => void,
): FuzzReport {
  const report: FuzzReport = { read: 0, refused: 0, slowestMs: 0 };
  for (let i = 0; i < count; i++) {
    const random = randomFrom(seed + i);
    const file = mutate(originals[Math.floor(random() * originals.length)] ?? new Uint8Array(0), random);
    const start = performance.now();
    try {
      parse(file, random);
      report.read++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) {
        throw new AggregateError([error], `${kind} file of seed ${seed + i}: ${error}`);
      }
      report.refused++;
    }
    report.slowestMs = Math.max(report.slowestMs, performance.now() - start);
  }
  return report;
}

/**
 * Mutates `count` files of each kind from `seed` on; throws, naming kind and seed, where a parser breaks its promise.
 */
export function fuzzFiles(count: number, seed: number): Record<"safetensors" | "gguf", FuzzReport> {
  const parsers = { safetensors: parseSafetensorsHeader, gguf: parseGguf }, files = seedFiles();
  const run = (kind: "safetensors" | "gguf") =>
    fuzz(kind, files[kind], count, seed, (file, random) => {
      const size = random() < 0.8 ? file.length : Math.floor(random() * 2 ** (random() * 50));
      checkRanges(parsers[kind](file, size).tensors, size);
    });
  return { safetensors: run("safetensors"), gguf: run("gguf") };
}
/** The same for the archives of NumPy and PyTorch, all of whose entries are read. */
export function fuzzArchives(count: number, seed: number): Record<"npz" | "pytorch", FuzzReport> {
  return {
    npz: fuzz("npz", [python.NPZ, python.NPZ_COMPRESSED], count, seed, (file) => {
      const from = inMemory(file);
      for (const entry of readZip(from).values()) parseNpyHeader(entryBytes(from, entry), entry.size);
    }),
    pytorch: fuzz("pytorch", [python.TORCH, python.TORCH_NESTED], count, seed, (file) => {
      for (const t of parseTorch(inMemory(file)).values()) {
        const last = t.shape.reduce((sum, n, i) => sum + (n - 1) * t.strides[i]!, t.offset);
        const inside = t.begin >= 0 && t.begin + t.length * t.dtype.size <= file.length;
        if (!inside || (!t.shape.includes(0) && last >= t.length)) {
          throw new RangeError(`element ${last} of ${t.length}`);
        }
      }
    }),
  };
}
