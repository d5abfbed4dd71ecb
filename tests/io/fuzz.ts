/**
 * Broken files against the parsers: whatever comes, the answer is a parse or a CheckpointError, soon.
 * @module
 */
import { CheckpointError } from "../../core/errors.ts";
import { parseGguf } from "../../core/io/gguf.ts";
import { parseSafetensorsHeader } from "../../core/io/safetensors.ts";
import { mutate, randomFrom, seedFiles } from "./files.ts";

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

/**
 * Mutates `count` files of each kind from `seed` on; throws, naming kind and seed, where a parser breaks its promise.
 */
export function fuzzFiles(count: number, seed: number): Record<"safetensors" | "gguf", FuzzReport> {
  const files = seedFiles();
  const parsers = { safetensors: parseSafetensorsHeader, gguf: parseGguf };
  const run = (kind: "safetensors" | "gguf"): FuzzReport => {
    const report: FuzzReport = { read: 0, refused: 0, slowestMs: 0 };
    for (let i = 0; i < count; i++) {
      const random = randomFrom(seed + i), originals = files[kind];
      const file = mutate(originals[Math.floor(random() * originals.length)] ?? new Uint8Array(0), random);
      const size = random() < 0.8 ? file.length : Math.floor(random() * 2 ** (random() * 50));
      const start = performance.now();
      try {
        checkRanges(parsers[kind](file, size).tensors, size);
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
  };
  return { safetensors: run("safetensors"), gguf: run("gguf") };
}
