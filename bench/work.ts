/**
 * What a work is, how its time is taken, and what the times say. A work has a name that never changes meaning: reports
 * are compared by it, and `peers.py` has works of the same names for other libraries.
 * @module
 */

import type { Cost } from "../core/roofs.ts";

export type { Cost };
/** A work that is ready: its inputs exist. */
export interface Task {
  /** Does the work once and waits for its result. */
  run(): void | Promise<void>;
  readonly cost?: Cost;
  /** How many things one call does, and what they are: the report has the time of one. Default one call. */
  readonly count?: { readonly n: number; readonly of: "call" | "op" | "product" | "token" };
  /** The work measured its own seconds, in place of the time of `run`. */
  seconds?(): number;
}
/** Something to measure. */
export interface Work {
  readonly name: string;
  readonly group: string;
  /** Makes the inputs: at full size, or at a tiny one, where only the code is tried. */
  prepare(tiny: boolean): Task | Promise<Task>;
}

/** What the times of a task were, in seconds for each of the things that it counts. */
export interface Times {
  readonly runs: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  /** The middle half of the times, as a share of the median. */
  readonly spread: number;
}

const MIN_RUNS = 5, MAX_RUNS = 1000;
/** Shorter calls are repeated until a sample takes this long: the clock ticks in microseconds. */
const MIN_SAMPLE_SECONDS = 200e-6;

/** Takes the time of a task again and again: about `seconds` in all, after a warm-up. */
export class Timer {
  readonly #task: Task;
  readonly #samples: number[] = [];
  #repeats = 0;

  /** Of this task. */
  constructor(task: Task) {
    this.#task = task;
  }
  /** Measures for about so many seconds, at least `minRuns` samples. May be called again: samples add up. */
  async run(seconds: number, minRuns: number = MIN_RUNS): Promise<void> {
    if (this.#repeats === 0) await this.#warmUp(seconds / 5);
    let spent = 0;
    for (let i = 0; (i < minRuns || spent < seconds) && i < MAX_RUNS; i++) {
      const sample = await this.#sample(this.#repeats);
      spent += sample * this.#repeats;
      this.#samples.push(sample);
      if (spent > 20 * seconds && i > 0) break; // a work that is slow beyond all expectation
    }
  }
  /** The figures of all samples so far. */
  times(): Times {
    return summary(this.#samples, this.#task.count?.n ?? 1);
  }
  /** Two calls at least, so that code is compiled and memory is there; then as many as make a sample long enough. */
  async #warmUp(seconds: number): Promise<void> {
    await this.#sample(1);
    let spent = 0, last = 0, calls = 0;
    do {
      last = await this.#sample(1);
      spent += last;
    } while (spent < seconds && ++calls < MAX_RUNS);
    this.#repeats = this.#task.seconds ? 1 : Math.max(1, Math.ceil(MIN_SAMPLE_SECONDS / Math.max(last, 1e-7)));
  }
  /** Seconds of one call, as the mean of some. */
  async #sample(repeats: number): Promise<number> {
    const task = this.#task, start = performance.now();
    for (let i = 0; i < repeats; i++) {
      const pending = task.run();
      if (pending) await pending; // awaiting nothing would still give the turn away
    }
    return task.seconds ? task.seconds() : (performance.now() - start) / 1e3 / repeats;
  }
}

/** The figures of some samples, for one of the `n` things of a call. */
export function summary(samples: readonly number[], n: number): Times {
  const sorted = samples.map((s) => s / n).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
  const median = at(0.5);
  return {
    runs: sorted.length,
    min: at(0),
    median,
    p95: at(0.95),
    spread: (at(0.75) - at(0.25)) / median,
  };
}
