/**
 * What the examples share: their flags, and the loop that takes the steps and shows how the loss falls.
 * @module
 */
import type { NDArray } from "@denim/ml";
import { parseArgs } from "node:util";

/** How an example runs. */
export interface Settings {
  /** Steps of training. */
  readonly steps: number;
  /** Small sizes and made-up data: it takes a second and needs no network. */
  readonly small: boolean;
  /** Is told the loss of each step. */
  readonly onStep?: (step: number, loss: number) => void;
}

/** The flags `--steps N` and `--small`. */
export function settings(steps: number, smallSteps: number): Settings {
  const { values } = parseArgs({
    options: { steps: { type: "string" }, small: { type: "boolean", default: false } },
  });
  return { steps: Number(values.steps ?? (values.small ? smallSteps : steps)), small: values.small };
}

const CELLS = 24, LINES = 10;
const isTerminal = Deno.stdout.isTerminal();
/** Shows step `done` of `total`: a bar in place on a terminal, elsewhere ten lines in all. */
function show(label: string, done: number, total: number, loss: number, seconds: number): void {
  const every = Math.ceil(total / (isTerminal ? 200 : LINES));
  if (done % every !== 0 && done !== total) return;
  const full = Math.round(done / total * CELLS), bar = "#".repeat(full) + "-".repeat(CELLS - full);
  const line = `${label} [${bar}] ${done}/${total} loss ${loss.toFixed(4)} (${(done / seconds).toFixed(1)} steps/s)`;
  if (isTerminal) Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${line}${done === total ? "\n" : ""}`));
  else console.log(line);
}

/**
 * Takes all steps: `step` computes one and evaluates what it changed, unless it is compiled, and returns the loss.
 * Returns all losses.
 */
export function loop(label: string, run: Settings, step: (i: number) => NDArray): number[] {
  const losses: number[] = [], start = performance.now();
  for (let i = 0; i < run.steps; i++) {
    const loss = Number(step(i).item());
    if (!run.onStep) losses.push(loss);
    run.onStep?.(i, loss);
    if (!run.onStep) show(label, i + 1, run.steps, loss, (performance.now() - start) / 1000);
  }
  return losses;
}
/** A share as percent. */
export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
