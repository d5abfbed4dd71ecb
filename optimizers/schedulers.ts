/**
 * Schedules: learning rates as functions of the step, an array that counts from 0.
 * @module
 */
import { cos, fail, float, floorDivide, minimum, power, ValueError, where } from "../core/mod.ts";
import type { Schedule } from "./optimizer.ts";

function requireSteps(op: string, name: string, value: number): void {
  if (value >= 1) return;
  fail(ValueError, `optimizers.${op}`, {
    cannot: `use ${name} ${value}`,
    expected: "at least 1",
    got: String(value),
    fix: `change ${name}`,
  });
}

/**
 * `init · decayRate^step` (`mlx.optimizers.exponential_decay`).
 *
 * @example
 * ```ts
 * import * as optim from "@denim/ml/optimizers";
 * new optim.SGD(optim.exponentialDecay(0.1, 0.9)).learningRate.item(); // 0.1
 * ```
 */
export function exponentialDecay(init: number, decayRate: number): Schedule {
  return (step) => power(float(decayRate), step).mul(float(init));
}
/**
 * `init · decayRate^⌊step / stepSize⌋` (`mlx.optimizers.step_decay`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * optim.stepDecay(0.5, 0.5, 10)(mx.array(20)).item(); // 0.125
 * ```
 */
export function stepDecay(init: number, decayRate: number, stepSize: number): Schedule {
  requireSteps("stepDecay", "stepSize", stepSize);
  return (step) => power(float(decayRate), floorDivide(step, stepSize)).mul(float(init));
}
/** Options of {@linkcode cosineDecay}. */
export interface CosineDecayOptions {
  /** The last value. Default 0. */
  readonly end?: number;
}
/**
 * From init to end along half a cosine over decaySteps, then constant (`mlx.optimizers.cosine_decay`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * optim.cosineDecay(0.1, 10)(mx.array(10)).item(); // 0
 * ```
 */
export function cosineDecay(init: number, decaySteps: number, options: number | CosineDecayOptions = {}): Schedule {
  const end = (typeof options === "number" ? options : options.end) ?? 0;
  requireSteps("cosineDecay", "decaySteps", decaySteps);
  return (step) => {
    const decay = cos(minimum(step, decaySteps).mul(float(Math.PI / decaySteps))).add(float(1)).mul(float(0.5));
    return decay.mul(float(init - end)).add(float(end));
  };
}
/**
 * In a straight line from init to end over `steps`, then constant (`mlx.optimizers.linear_schedule`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as optim from "@denim/ml/optimizers";
 * optim.linearSchedule(0, 1, 4)(mx.array(1)).item(); // 0.25
 * ```
 */
export function linearSchedule(init: number, end: number, steps: number): Schedule {
  requireSteps("linearSchedule", "steps", steps);
  return (step) => minimum(step, steps).mul(float((end - init) / steps)).add(float(init));
}
/**
 * One schedule after the other (`mlx.optimizers.join_schedules`): schedule i + 1 begins at boundary i and counts from
 * there.
 *
 * @example
 * ```ts
 * import * as optim from "@denim/ml/optimizers";
 * const warmup = optim.linearSchedule(0, 0.1, 10), decay = optim.cosineDecay(0.1, 200);
 * new optim.AdamW(optim.joinSchedules([warmup, decay], [10]));
 * ```
 */
export function joinSchedules(schedules: readonly Schedule[], boundaries: readonly number[]): Schedule {
  const [first, ...others] = schedules;
  if (!first || others.length !== boundaries.length) {
    fail(ValueError, "optimizers.joinSchedules", {
      cannot: `join ${schedules.length} schedules`,
      expected: `at least one, and ${Math.max(schedules.length - 1, 0)} boundaries`,
      got: String(boundaries.length),
      fix: "give one boundary less than schedules",
    });
  }
  return (step) =>
    others.reduce((rate, schedule, i) => {
      const boundary = boundaries[i]!;
      return where(step.lt(boundary), rate, schedule(step.subtract(boundary)));
    }, first(step));
}
