/**
 * Readers of the files that data come in: IDX (MNIST and its kin), CSV, JSON lines, and text by lines. Files that end in
 * `.gz` are inflated on the way. Streams hold a line at a time; {@linkcode lineFile} finds lines by their numbers.
 * @module
 */
import {
  array,
  CheckpointError,
  type DType,
  fail,
  float32,
  float64,
  int16,
  int32,
  int8,
  type NDArray,
  uint8,
  ValueError,
} from "../core/mod.ts";
import { openMapped, uploadBytes } from "../core/io/mapped.ts";
import type { Items } from "./dataset.ts";

/** The bytes of a file, inflated if its name ends in `.gz`. */
async function openBytes(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const file = await Deno.open(path).catch((error: Error) =>
    unreadable(path, "a file that can be read", error.message)
  );
  return path.endsWith(".gz") ? file.readable.pipeThrough(new DecompressionStream("gzip")) : file.readable;
}
function unreadable(path: string, expected: string, got: string): never {
  return fail(CheckpointError, "data", {
    cannot: `read ${path}`,
    expected,
    got,
    fix: "check the path, and fetch the file again if it is damaged",
  });
}

/** Element types of IDX files by their code. */
const IDX_DTYPES: ReadonlyMap<number, DType> = new Map([
  [0x08, uint8],
  [0x09, int8],
  [0x0b, int16],
  [0x0c, int32],
  [0x0d, float32],
  [0x0e, float64],
]);
/**
 * The array of an IDX file, the format of MNIST: two zeros, a type, the number of axes, their lengths, the elements, all
 * big-endian. A file of bytes is mapped, so nothing is read before it is used; with `.gz` it is inflated in memory.
 * @throws CheckpointError for a file that is none.
 *
 * @example
 * ```ts
 * import { loadIdx } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync(); // bytes (type 8) on two axes, of lengths 2 and 3
 * Deno.writeFileSync(path, Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60));
 * const x = await loadIdx(path);
 * x.tolist(); // [[10, 20, 30], [40, 50, 60]]
 * x.dtype; // uint8
 * ```
 */
export async function loadIdx(path: string): Promise<NDArray> {
  const mapped = !path.endsWith(".gz"), stream = await openBytes(path);
  const bytes = mapped ? await firstBytes(stream, 4 + 4 * 255) : await allBytes(path, stream);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dtype = bytes.length >= 4 && view.getUint16(0) === 0 ? IDX_DTYPES.get(bytes[2]!) : undefined;
  const begin = 4 + 4 * (bytes[3] ?? 0);
  if (!dtype || bytes.length < begin) return unreadable(path, "an IDX file", "other bytes");
  const shape = Array.from({ length: bytes[3]! }, (_, i) => view.getUint32(4 + 4 * i));
  const size = mapped ? (await Deno.stat(path)).size : bytes.length, end = begin + dtype.size * product(shape);
  if (size !== end) return unreadable(path, `${end} bytes for ${dtype}[${shape.join()}]`, `${size} bytes`);
  if (mapped && dtype.size === 1) return openMapped(path).tensor(begin, dtype, shape);
  const whole = mapped ? await Deno.readFile(path) : bytes;
  return uploadBytes(littleEndian(whole.subarray(begin), dtype.size), dtype, shape);
}
const product = (shape: readonly number[]): number => shape.reduce((n, length) => n * length, 1);
/** Elements of big-endian machines as this one has them. */
function littleEndian(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.map((_, i) => bytes[i - i % width + width - 1 - i % width]!);
}
async function allBytes(path: string, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    return unreadable(path, "a whole gzip file", error instanceof Error ? error.message : String(error));
  }
}
async function firstBytes(stream: ReadableStream<Uint8Array>, count: number): Promise<Uint8Array> {
  const parts: number[] = [];
  for await (const chunk of stream) {
    parts.push(...chunk.subarray(0, count - parts.length));
    if (parts.length >= count) break;
  }
  return Uint8Array.from(parts);
}

/**
 * The lines of a text file in UTF-8, one after another, without their ends.
 * @throws CheckpointError where the file cannot be opened.
 *
 * @example
 * ```ts
 * import { readLines } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync({ suffix: ".gz" });
 * const packed = new Blob(["one\r\n\nthree"]).stream().pipeThrough(new CompressionStream("gzip"));
 * await Deno.writeFile(path, packed);
 * await Array.fromAsync(readLines(path)); // ["one", "", "three"]
 * ```
 */
export async function* readLines(path: string): AsyncGenerator<string, void, void> {
  const text = (await openBytes(path)).pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.endsWith("\r") ? line.slice(0, -1) : line;
  }
  if (rest) yield rest;
}

/** A value of JSON. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
/**
 * The values of a file with one JSON value on each line; empty lines are skipped.
 * @throws ValueError that names the line that is no JSON.
 *
 * @example
 * ```ts
 * import { readJsonl } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, '{ "text": "a" }\n\n[1, 2]\n');
 * await Array.fromAsync(readJsonl(path)); // [{ text: "a" }, [1, 2]]
 * ```
 */
export async function* readJsonl(path: string): AsyncGenerator<JsonValue, void, void> {
  let number = 0;
  for await (const line of readLines(path)) {
    number++;
    if (line.trim() === "") continue;
    let value: JsonValue;
    try {
      value = JSON.parse(line);
    } catch (error) {
      return badLine(path, number, "a JSON value", error instanceof Error ? error.message : String(error));
    }
    yield value;
  }
}
function badLine(path: string, line: number, expected: string, got: string): never {
  return fail(ValueError, "data", {
    cannot: `read line ${line} of ${path}`,
    expected,
    got: got.slice(0, 100),
    fix: "mend the file",
  });
}

/** Options of {@linkcode readCsv} and {@linkcode loadCsv}. */
export interface CsvOptions {
  /** What stands between fields. Default ",". */
  readonly separator?: string;
  /** The names of the columns; where absent, the first row has them. */
  readonly columns?: readonly string[];
}
/** Splits text into records of fields as RFC 4180 has them: a quoted field may hold separators, quotes and lines. */
class CsvSplitter {
  #fields: string[] = [];
  #field = "";
  #quoted = false;
  constructor(readonly separator: string) {}
  /** Takes a line; gives the record that it ends, if it does. */
  line(text: string): string[] | null {
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      if (this.#quoted) {
        if (c !== '"') this.#field += c;
        else if (text[i + 1] === '"') this.#field += text[++i];
        else this.#quoted = false;
      } else if (c === '"' && this.#field === "") this.#quoted = true;
      else if (c === this.separator) {
        this.#fields.push(this.#field);
        this.#field = "";
      } else this.#field += c;
    }
    if (this.#quoted) {
      this.#field += "\n";
      return null;
    }
    const record = [...this.#fields, this.#field];
    this.#fields = [];
    this.#field = "";
    return record;
  }
  /** Is a quoted field still open? */
  get open(): boolean {
    return this.#quoted;
  }
}
/**
 * The rows of a CSV file (RFC 4180) as objects of text, one after another.
 * @throws ValueError that names the line where a row has more or fewer fields than there are columns.
 *
 * @example
 * ```ts
 * import { readCsv } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, '5.1;"Iris; wild"\n4.9;setosa\n');
 * const rows = await Array.fromAsync(readCsv(path, { separator: ";", columns: ["length", "species"] }));
 * rows[0]; // { length: "5.1", species: "Iris; wild" }
 * ```
 */
export async function* readCsv(
  path: string,
  options: CsvOptions = {},
): AsyncGenerator<Record<string, string>, void, void> {
  const splitter = new CsvSplitter(options.separator ?? ",");
  let columns = options.columns, number = 0;
  for await (const line of readLines(path)) {
    number++;
    if (line === "" && !splitter.open) continue;
    const fields = splitter.line(number === 1 ? line.replace(/^\ufeff/, "") : line);
    if (!fields) continue;
    if (!columns) {
      columns = fields;
      continue;
    }
    if (fields.length !== columns.length) {
      badLine(path, number, `${columns.length} fields (${columns.join()})`, `${fields.length}: ${fields.join()}`);
    }
    yield Object.fromEntries(columns.map((name, i) => [name, fields[i]!]));
  }
  if (splitter.open) badLine(path, number, "the end of a quoted field", "the end of the file");
}
/**
 * Columns of numbers of a CSV file as float32 [rows, columns].
 * @throws ValueError where a column is missing or a field is no number.
 *
 * @example
 * ```ts
 * import { loadCsv } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "length,species,width\n5,setosa,3.5\n7,versicolor,nan\n");
 * (await loadCsv(path, ["width", "length"])).tolist(); // [[3.5, 5], [NaN, 7]]
 * ```
 */
export async function loadCsv(path: string, columns: readonly string[], options: CsvOptions = {}): Promise<NDArray> {
  const values: number[] = [];
  let row = 0;
  for await (const record of readCsv(path, options)) {
    row++;
    for (const name of columns) {
      const text = record[name]?.trim() ?? "", value = Number(text);
      if (text === "" || Number.isNaN(value) && text.toLowerCase() !== "nan") {
        fail(ValueError, "data.loadCsv", {
          cannot: `read column ${name} of row ${row} of ${path}`,
          expected: "a number",
          got: name in record ? `"${text}"` : `columns ${Object.keys(record).join()}`,
          fix: "choose other columns, or read the rows with readCsv and convert them",
        });
      }
      values.push(value);
    }
  }
  return array(Float32Array.from(values)).reshape([row, columns.length]);
}

/**
 * A column of names of a CSV file as classes: the number of each row's class, int32 [rows], and the names by number, in
 * the order of the alphabet.
 * @throws ValueError where the column is missing.
 *
 * @example
 * ```ts
 * import { loadClasses } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "length,species\n7,versicolor\n5,setosa\n6,versicolor\n");
 * const { labels, classes } = await loadClasses(path, "species");
 * labels.tolist(); // [1, 0, 1]
 * classes; // ["setosa", "versicolor"]
 * ```
 */
export async function loadClasses(
  path: string,
  column: string,
  options: CsvOptions = {},
): Promise<{ readonly labels: NDArray; readonly classes: readonly string[] }> {
  const names: string[] = [];
  for await (const record of readCsv(path, options)) {
    names.push(
      record[column] ?? fail(ValueError, "data.loadClasses", {
        cannot: `read column ${column} of ${path}`,
        expected: `one of ${Object.keys(record).join()}`,
        got: column,
        fix: "choose another column",
      }),
    );
  }
  const classes = [...new Set(names)].sort(), numbers = new Map(classes.map((name, i) => [name, i]));
  return { labels: array(Int32Array.from(names, (name) => numbers.get(name)!)), classes };
}

const CHUNK = 1 << 20;
/**
 * The lines of a text file by their numbers, so that a file larger than memory can be shuffled: it is read once for the
 * places where lines begin, then a line at a time. `parse` makes something of a line, `JSON.parse` say.
 *
 * @example
 * ```ts
 * import { batches, fromItems, lineFile } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, '{ "text": "a" }\n{ "text": "b" }\n{ "text": "c" }\n');
 * using lines = lineFile(path, (line): { text: string } => JSON.parse(line));
 * const data = batches(fromItems(lines, (rows) => rows.map((row) => row.text)), { batchSize: 2, shuffle: true });
 * for await (const texts of data) texts.length; // 2, then 1
 * ```
 */
export function lineFile(path: string): LineFile<string>;
/** As above, with what `parse` makes of a line. */
export function lineFile<T>(path: string, parse: (line: string) => T): LineFile<T>;
export function lineFile(path: string, parse: (line: string) => unknown = (line) => line): LineFile<unknown> {
  return new LineFile(path, parse);
}
/**
 * The lines of a file by number: see {@linkcode lineFile}.
 *
 * @example
 * ```ts
 * import { LineFile } from "@denim/ml/data";
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "1.5\n-2\n");
 * using lines = new LineFile(path, Number);
 * lines.length; // 2
 * lines.at(1); // -2
 * ```
 */
export class LineFile<T> implements Items<T>, Disposable {
  readonly #file: Deno.FsFile;
  readonly #ends: number[] = [];

  /** Finds the lines of a file. */
  constructor(path: string, readonly parse: (line: string) => T) {
    try {
      this.#file = Deno.openSync(path);
    } catch (error) {
      unreadable(path, "a file that can be read", error instanceof Error ? error.message : String(error));
    }
    const bytes = new Uint8Array(CHUNK);
    let offset = 0;
    for (let n = this.#file.readSync(bytes); n !== null; n = this.#file.readSync(bytes)) {
      for (let at = bytes.indexOf(10); at >= 0 && at < n; at = bytes.indexOf(10, at + 1)) {
        this.#ends.push(offset + at + 1);
      }
      offset += n;
    }
    if (offset > (this.#ends.at(-1) ?? 0)) this.#ends.push(offset);
  }
  /** How many lines there are. */
  get length(): number {
    return this.#ends.length;
  }
  /** The line of a number. */
  at(index: number): T {
    const begin = index === 0 ? 0 : this.#ends[index - 1] ?? 0, end = this.#ends[index] ?? begin;
    const bytes = new Uint8Array(end - begin);
    this.#file.seekSync(begin, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += this.#file.readSync(bytes.subarray(done)) ?? bytes.length;
    return this.parse(new TextDecoder().decode(bytes).replace(/\r?\n$/, ""));
  }
  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
