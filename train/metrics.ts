/**
 * The numbers of a run, a row for each step that is logged: JSON lines as they come, CSV as a whole. A run that is
 * resumed keeps the rows up to its checkpoint, so its files are those of a run that was never interrupted.
 * @module
 */
import { writeAtomic } from "../core/io/atomic.ts";

/** Values by name; a step has those that it measured. */
export type MetricsRow = { readonly step: number; readonly [name: string]: number };

/** The row of a line, or null where the line is none (a process that was killed may leave half a line). */
function rowOf(line: string): MetricsRow | null {
  try {
    const values: Record<string, number | null> = JSON.parse(line);
    const { step } = values;
    // JSON has no NaN: it is written as null.
    return typeof step === "number"
      ? { ...Object.fromEntries(Object.entries(values).map(([name, x]) => [name, x ?? NaN])), step }
      : null;
  } catch {
    return null;
  }
}

/** The log of a run. */
export class Metrics {
  /** All rows. */
  readonly rows: MetricsRow[] = [];
  /** Rows in the file, or null where the file is to be written anew. */
  #written: number | null = null;

  /** Keeps the files `metrics.jsonl` and `metrics.csv` in a folder, or rows alone. */
  constructor(readonly folder: string | null) {}

  /** Takes over the rows up to a step of a run that is resumed, and forgets later ones. */
  async resume(step: number): Promise<void> {
    if (this.folder === null) return;
    const text = await Deno.readTextFile(`${this.folder}/metrics.jsonl`).catch(() => "");
    const rows = text.split("\n").map(rowOf).filter((row): row is MetricsRow => row !== null && row.step <= step);
    this.rows.push(...rows);
  }
  /** Adds a row, or values to the last one if that is of the same step. */
  add(row: MetricsRow): void {
    const last = this.rows.at(-1);
    if (last?.step !== row.step) {
      this.rows.push(row);
      return;
    }
    this.rows[this.rows.length - 1] = { ...last, ...row };
    this.#written = null;
  }
  /** Brings the JSON lines up to date. */
  async flush(): Promise<void> {
    if (this.folder === null || this.#written === this.rows.length) return;
    const path = `${this.folder}/metrics.jsonl`, from = this.#written;
    // What fails midway leaves half a line: the next time all is written.
    this.#written = null;
    if (from !== null) await Deno.writeTextFile(path, lines(this.rows.slice(from)), { append: true });
    else await writeAtomic(path, (sink) => sink.write(new TextEncoder().encode(lines(this.rows))), "train");
    this.#written = this.rows.length;
  }
  /** Writes the table: a column for each name, in order of appearance; what a step did not measure is empty. */
  async writeCsv(): Promise<void> {
    if (this.folder === null) return;
    const names = [...new Set(this.rows.flatMap((row) => Object.keys(row)))];
    const quoted = (name: string): string => /[",\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
    const table = [names.map(quoted).join(), ...this.rows.map((row) => names.map((name) => row[name] ?? "").join())];
    const bytes = new TextEncoder().encode(`${table.join("\n")}\n`);
    await writeAtomic(`${this.folder}/metrics.csv`, (sink) => sink.write(bytes), "train");
  }
}
const lines = (rows: readonly MetricsRow[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
