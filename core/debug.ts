/**
 * Debugging: errors that name the line which made an operation, and what is alive by the line that made it. How lines
 * are found is in `sites.ts`.
 * @module
 */
import { fail, ValueError } from "./errors.ts";
import { setting } from "./environment.ts";
import { liveArrays } from "./memory.ts";
import { describe } from "./shape.ts";
import { debugging, lineOf, setDebugging } from "./sites.ts";

if (setting("DENIM_DEBUG") === "1") setDebugging(true);

/**
 * Turns debugging on or off; returns what it was. `DENIM_DEBUG=1` turns it on from the start. While it is on, every
 * operation remembers the line of your program that made it, and errors of evaluation name that line, also for what a
 * compiled function does and for the gradients of an operation. Each operation costs some tens of microseconds then; off,
 * it costs nothing. MLX has nothing like it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.debug(true);
 * const y = mx.take(mx.ones([3]), mx.array([7], mx.int32), 0);
 * try {
 *   mx.eval(y);
 * } catch (e) {
 *   if (e instanceof mx.IndexError) e.madeAt; // file:///...:3:14: the line of take
 * }
 * mx.debug(before);
 * ```
 */
export function debug(on: boolean): boolean {
  return setDebugging(on);
}

/** Arrays made by one line. */
export interface LiveArrays {
  /** `file:///…/train.ts:12:5 in loss`. */
  readonly madeAt: string;
  /** How many of them are alive. */
  readonly count: number;
  /** Bytes of their buffers. */
  readonly bytes: number;
  /** dtype and shape of the largest: `float32[256,256]`. */
  readonly largest: string;
}
/** What is said of arrays that are older than debugging. */
const UNKNOWN = "a line that ran before mx.debug(true)";
/**
 * The arrays that are alive and have buffers, by the line that made them, those with the most bytes first. Garbage is
 * collected before. Only while debugging is on ({@linkcode debug}); else a `ValueError`. Print it with `console.table`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const before = mx.debug(true), kept = [mx.ones([4, 4]).mul(2), mx.ones([4, 4]).mul(3)];
 * mx.eval(kept);
 * mx.leaks().find((l) => l.largest === "float32[4,4]")?.count; // 2
 * mx.debug(before);
 * ```
 */
export function leaks(): LiveArrays[] {
  if (!debugging) {
    fail(ValueError, "leaks", {
      cannot: "tell who made the arrays that are alive",
      expected: "debugging to be on when they are made",
      got: "debugging that is off",
      fix: "call mx.debug(true) at the start of the program, or run it with DENIM_DEBUG=1",
    });
  }
  const byLine = new Map<string, LiveArrays & { most: number }>();
  for (const { array, nbytes } of liveArrays()) {
    const madeAt = lineOf(array) || UNKNOWN, so = byLine.get(madeAt);
    byLine.set(madeAt, {
      madeAt,
      count: (so?.count ?? 0) + 1,
      bytes: (so?.bytes ?? 0) + nbytes,
      largest: so && so.most >= nbytes ? so.largest : describe(array),
      most: Math.max(so?.most ?? 0, nbytes),
    });
  }
  const list = [...byLine.values()].map(({ most: _, ...line }) => line);
  return list.sort((a, b) => b.bytes - a.bytes || b.count - a.count);
}
