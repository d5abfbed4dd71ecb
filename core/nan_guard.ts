/**
 * nanGuard: who made the first NaN. While it is on, operations are computed one by one in the order in which they were
 * written, and each result is looked at; compiled functions run as they are written.
 * @module
 */
import type { NDArray } from "./array.ts";
import { setting } from "./environment.ts";
import { fail, NonFiniteError } from "./errors.ts";
import { evaluate, type Inspector, setInspector } from "./eval.ts";
import { evaluateTree } from "./evaluate.ts";
import { describe as describeNode } from "./graph.ts";
import { all, any, max, min, sum } from "./ops/reduce.ts";
import { where } from "./ops/ternary.ts";
import { abs, isfinite, isinf, isnan } from "./ops/unary.ts";
import { collect } from "./plan.ts";
import { describe, sizeOf } from "./shape.ts";
import { setDebugging, siteOf } from "./sites.ts";

/** Options of {@linkcode nanGuard}. */
export interface NanGuardOptions {
  /** Only NaN is an error: infinities may be made, for masks say. Default false. */
  readonly onlyNan?: boolean;
}

/**
 * Runs `fn`, evaluates what it returns, and throws a {@linkcode NonFiniteError} at the first operation that makes a NaN
 * or an infinity of finite numbers, or that is given a NaN: with its name, its line, and the range of its inputs. That
 * covers gradients (the message says of which operation), the tangents, and what compiled functions do. An infinity that
 * is passed on, as a mask's is, is no error. Each operation is a program of its own meanwhile, and debugging is on, so
 * `fn` takes many times longer.
 *
 * `mx.nanGuard(true)`, or `DENIM_NAN_GUARD=1`, has the same for all that follows; `mx.nanGuard(false)` ends it. Both
 * return whether it was on. MLX has nothing like it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const f = mx.compile((x: mx.NDArray) => x.sub(1).log().sum());
 * try {
 *   mx.nanGuard(() => f(mx.array([1, 2])));
 * } catch (e) {
 *   // [nanGuard] cannot go on after log: expected finite numbers, got float32[2] with 1 infinite, ...
 *   e instanceof mx.NonFiniteError; // true
 * }
 * ```
 */
export function nanGuard(on: boolean, options?: NanGuardOptions): boolean;
/** Guards one function. */
export function nanGuard<R>(fn: () => R, options?: NanGuardOptions): R;
export function nanGuard(what: boolean | (() => unknown), { onlyNan = false }: NanGuardOptions = {}): unknown {
  if (typeof what === "boolean") {
    const before = setInspector(what ? inspector(onlyNan) : null);
    if (what !== (before !== null)) debugged = setDebugging(what || debugged);
    return before !== null;
  }
  const before = setInspector(inspector(onlyNan)), wasDebugging = setDebugging(true);
  return finishing(what, () => {
    setInspector(before);
    setDebugging(wasDebugging);
  });
}
/** Was debugging on before `nanGuard(true)`? */
let debugged = false;
/** Runs `fn`, evaluates its result, and calls `end`: at once, or where the result is a promise when that is settled. */
function finishing(fn: () => unknown, end: () => void): unknown {
  let isPending = false;
  try {
    const result = fn();
    if (result instanceof Promise) {
      isPending = true;
      return result.then((r) => (evaluateTree(r), r)).finally(end);
    }
    evaluateTree(result);
    return result;
  } finally {
    if (!isPending) end();
  }
}

function inspector(onlyNan: boolean): Inspector {
  return (roots) => {
    const self = setInspector(null), isLeaf = (n: NDArray): boolean => n.state === "evaluated" || n.state === "donated";
    try {
      const nodes = collect(roots, isLeaf).sort((a, b) => b.id - a.id);
      for (let n = nodes.pop(); n; n = nodes.pop()) { // the list lets go of them, so that their memory can be used again
        if (n.prim.kind === "constant" || n.prim.kind === "view") continue;
        const { inputs } = n;
        evaluate([n]);
        inspect(n, inputs.filter((x) => x.state !== "donated"), onlyNan);
      }
    } finally {
      setInspector(self);
    }
  };
}
const holds = (f: (x: NDArray) => NDArray, x: NDArray): boolean => any(f(x)).item() === true;
/** Throws if the operation made what is no finite number, or was given a NaN that it passes on. */
function inspect(n: NDArray, inputs: readonly NDArray[], onlyNan: boolean): void {
  if (n.dtype.kind !== "float" && n.dtype.kind !== "complex" || all(isfinite(n)).item()) return;
  const madeNan = holds(isnan, n), given = inputs.find((x) => holds(isnan, x));
  if (!madeNan && (onlyNan || given || inputs.some((x) => holds(isinf, x)))) return;
  const { line = "", role = "" } = siteOf(n) ?? {};
  fail(NonFiniteError, "nanGuard", {
    cannot: `go on after ${n.prim.name}${role && `, for ${role}`}`,
    expected: given ? "inputs without NaN" : "finite numbers",
    got: `${rangeOf(n)}, from ${inputs.slice(0, MOST_INPUTS).map(rangeOf).join(" and ") || "nothing"}`,
    fix: given ? `find out where ${describeNode(given)} got its NaN` : "keep what goes in where the result is finite",
    madeAt: line,
  });
}
/** So many inputs are described. */
const MOST_INPUTS = 6;
/** `float32[3] from -1 to 2, 1 NaN, 2 infinite`: the range of what is finite. */
function rangeOf(x: NDArray): string {
  if (sizeOf(x.shape) === 0 || x.dtype.kind === "bool") return describe(x);
  const isComplex = x.dtype.kind === "complex", size = isComplex ? abs(x) : x, finite = isfinite(size);
  const [nans = 0, infinities = 0] = [isnan, isinf].map((f) => Number(sum(f(x)).item()));
  const numbers = sizeOf(x.shape) - nans - infinities;
  const within = (other: number): NDArray => size.dtype.kind === "float" ? where(finite, size, other) : size;
  const lowest = min(within(Infinity)).item(), highest = max(within(-Infinity)).item();
  const range = numbers === 0 ? "" : `${isComplex ? " of sizes" : ""} from ${shown(lowest)} to ${shown(highest)}`;
  return [`${describe(x)}${range}`, nans ? `${nans} NaN` : "", infinities ? `${infinities} infinite` : ""]
    .filter((part) => part !== "").join(", ");
}
function shown(value: unknown): string {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}

if (setting("DENIM_NAN_GUARD") === "1") nanGuard(true);
