/**
 * Writes programs: arrays of float64 words that `runtime/program.cc` decodes. The format is described there and here
 * only.
 *
 * ```
 * header   magic, version, op-table hash, words in all, inputs, places, arena bytes, values, constants, instructions,
 *          outputs, tag
 * inputs   least bytes, written                    places   bytes
 * values   place (-1: the arena), offset, bytes    constants place, word offset, bytes
 * outputs  value
 * instructions: op, words, then
 *   kernel: inputs, outputs, operands (value, dtype, byte offset, rank, shape, strides), parameters
 *   fused:  rank, loop shape; inputs (value, dtype, byte offset, strides); immediates (dtype, a, b);
 *           steps (op, dtype, arguments, parameters); outputs (number, value, dtype); reductions (op, number, mask, value, dtype)
 * data of the constants
 * ```
 * @module
 */
import { libraryFailure } from "./errors.ts";

const MAGIC = 0xde21, VERSION = 2, HEADER = 12;
/** Op number of a fused instruction. */
export const FUSED = 65535;
/** Arena as a place. */
export const ARENA = -1;

/** Words that grow. */
export class Words {
  #words: Float64Array<ArrayBuffer> = new Float64Array(1024);
  /** How many there are. */
  length = 0;
  /** Appends one. */
  push(word: number): void {
    if (this.length === this.#words.length) this.#grow(this.length + 1);
    this.#words[this.length++] = word;
  }
  /** Appends all. */
  pushAll(words: readonly number[]): void {
    for (let i = 0; i < words.length; i++) this.push(words[i]!);
  }
  /** Overwrites one. */
  set(at: number, word: number): void {
    this.#words[at] = word;
  }
  /** Appends bytes, padded to whole words. */
  pushBytes(bytes: Uint8Array): void {
    const words = Math.ceil(bytes.byteLength / 8);
    this.#grow(this.length + words);
    this.#words.fill(0, this.length, this.length + words);
    new Uint8Array(this.#words.buffer).set(bytes, this.length * 8);
    this.length += words;
  }
  /** Forgets all, keeping the memory. */
  clear(): void {
    this.length = 0;
  }
  /** What has been written; valid until the next change. */
  view(): Float64Array<ArrayBuffer> {
    return this.#words.subarray(0, this.length);
  }
  #grow(least: number): void {
    if (least <= this.#words.length) return;
    const grown = new Float64Array(Math.max(least, this.#words.length * 2));
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** Everything but the instructions. */
export interface ProgramTables {
  readonly tableHash: number;
  /** Any number of at most 40 bits; a kernel's failure gives it back, with the number of the instruction. */
  readonly tag: number;
  readonly inputs: readonly { readonly nbytes: number; readonly written: boolean }[];
  readonly places: readonly number[];
  readonly arenaBytes: number;
  readonly values: readonly { readonly place: number; readonly offset: number; readonly nbytes: number }[];
  readonly constants: readonly { readonly place: number; readonly bytes: Uint8Array }[];
  readonly outputs: readonly number[];
}
/** The words of the program that is being put together: a program is written, run or decoded, and forgotten. */
const assembled = new Words();
/** Puts the tables before the instructions. The result is valid until the next call. */
export function assemble(t: ProgramTables, instructions: Words, count: number): Float64Array<ArrayBuffer> {
  const w = assembled;
  w.clear();
  w.pushAll([MAGIC, VERSION, t.tableHash, 0, t.inputs.length, t.places.length, t.arenaBytes, t.values.length]);
  w.pushAll([t.constants.length, count, t.outputs.length, t.tag]);
  if (w.length !== HEADER) {
    const got = `${w.length}`;
    libraryFailure({
      cannot: "write a program",
      expected: `${HEADER} words of header`,
      got,
      fix: "report this as a bug",
    });
  }
  for (const i of t.inputs) w.pushAll([i.nbytes, i.written ? 1 : 0]);
  w.pushAll(t.places);
  for (const v of t.values) w.pushAll([v.place, v.offset, v.nbytes]);
  const constants = w.length;
  for (const c of t.constants) w.pushAll([c.place, 0, c.bytes.byteLength]);
  w.pushAll(t.outputs);
  const code = instructions.view();
  for (let i = 0; i < code.length; i++) w.push(code[i]!);
  t.constants.forEach((c, i) => {
    w.set(constants + 3 * i + 1, w.length);
    w.pushBytes(c.bytes);
  });
  w.set(3, w.length);
  return w.view();
}
