/**
 * Values of traced arrays. grad, vjp and jvp run a function on abstract arrays that stand for concrete ones. What is
 * made of those alone can be read inside the function: it is built once more on what they stand for, beside the trace.
 * @module
 */
import type { NDArray } from "./array.ts";
import { bindAgain, failTraced, isTracer, settled, tracer } from "./graph.ts";
import { collect } from "./plan.ts";

/** What tracers stand for, and what was made of them: for each the same one on concrete arrays, as far as it was needed. */
const standsFor = new WeakMap<NDArray, NDArray>();
let derivatives = 0;
/** Runs `f`, which needs the history of traced arrays that stand for others. */
export function keepingHistory<T>(f: () => T): T {
  derivatives++;
  try {
    return f();
  } finally {
    derivatives--;
  }
}

/** An abstract array that stands for `primal`. */
export function tracerOf(primal: NDArray): NDArray {
  const x = tracer(primal);
  standsFor.set(x, primal);
  return x;
}
/** The concrete array that `x` is or stands for; null where it depends on one that stands for none (vmap, compile). */
export function concrete(x: NDArray): NDArray | null {
  if (!x.traced) return x;
  for (const n of collect([x], (n) => !n.traced || standsFor.has(n))) {
    if (isTracer(n)) return null;
    const inputs: NDArray[] = [];
    for (const i of n.inputs) {
      const value = i.traced ? concrete(standsFor.get(i)!) : i; // a primal of one transform is traced by the next one
      if (!value) return null;
      inputs.push(value);
    }
    standsFor.set(n, bindAgain(n, inputs, false)); // a trace's buffers are not given away
  }
  return concrete(standsFor.get(x)!);
}
/** The concrete array whose values are asked for by `op`. Where there is none, that is an error. */
export function valueOf(op: string, x: NDArray): NDArray {
  const value = concrete(x) ?? failTraced(op, x);
  if (derivatives === 0 && value !== x) {
    x.inputs = []; // left over from a transform that is over: nobody needs its history
    settled.set(x, value);
  }
  return value;
}
/** What `n`, built again on these inputs, would be, if it stands for just that already. */
export function sameAgain(n: NDArray, inputs: readonly NDArray[]): NDArray | null {
  const value = standsFor.get(n);
  return value && inputs.every((x, k) => !x.traced && x === (standsFor.get(n.inputs[k]!) ?? n.inputs[k]))
    ? value
    : null;
}
