/**
 * What long work tells about itself, and a bar on stderr that shows it.
 * @module
 */

/** How far some work is. */
export interface Progress {
  /** What is being done: a file's name, a step. */
  readonly label: string;
  /** Units done: bytes of a download. */
  readonly done: number;
  /** Units in all, where that is known. */
  readonly total?: number;
}
/** Is told how far some work is. */
export type OnProgress = (progress: Progress) => void;

const CELLS = 24;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** One line for some progress, as `model.safetensors [######------] 50% 134.5/269.1 MB`. */
export function progressLine({ label, done, total }: Progress): string {
  if (!total) return `${label} ${megabytes(done)} MB`;
  const share = Math.min(1, done / total), full = Math.round(share * CELLS);
  return `${label} [${"#".repeat(full)}${"-".repeat(CELLS - full)}] ${Math.floor(share * 100)}% ${megabytes(done)}/${
    megabytes(total)
  } MB`;
}

/**
 * Shows progress on stderr: a bar that moves on a terminal, one line per label elsewhere. Stdout stays free for
 * results.
 *
 * @example
 * ```ts
 * import { progressBar } from "@denim/ml/lm";
 * const show = progressBar();
 * show({ label: "model.safetensors", done: 67.2e6, total: 134.4e6 });
 * // On a terminal: model.safetensors [############------------] 50% 67.2/134.4 MB
 * ```
 */
export function progressBar(): OnProgress {
  const isTerminal = Deno.stderr.isTerminal(),
    write = (text: string): void => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  let label = "", shownAt = 0;
  return (progress) => {
    const isNew = progress.label !== label, ends = progress.total !== undefined && progress.done >= progress.total;
    label = progress.label;
    if (!isTerminal) {
      if (isNew) write(`${label}\n`);
      return;
    }
    if (!isNew && !ends && Date.now() - shownAt < 100) return;
    shownAt = Date.now();
    write(`\r\x1b[K${progressLine(progress)}${ends ? "\n" : ""}`);
  };
}
