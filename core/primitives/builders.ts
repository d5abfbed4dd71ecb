/**
 * Builders of records: a derivative is written once and gives the reverse rule (`vjp`), the forward rule (`jvp`) and,
 * with the shape rules here, everything an elementwise primitive or a reduction needs.
 *
 * Complex functions: `jvp` multiplies by the derivative f', `vjp` by its conjugate. `conjugate` of a real array is the
 * array itself, so one formula serves both.
 * @module
 */
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import { add, multiply } from "../ops/binary.ts";
import { sum } from "../ops/reduce.ts";
import { conjugate } from "../ops/unary.ts";
import { broadcastTo } from "../ops/view.ts";
import { type Aval, type Family, type Shape, type Spec, spec } from "../primitive.ts";
import { sameShape } from "../shape.ts";

/** Of a primitive without parameters. */
export type NoParams = Readonly<Record<never, never>>;
/** What an elementwise record may say besides its derivative. */
export interface Facts {
  /** Dtype of the result from that of the inputs; the same by default. */
  readonly dtype?: (d: DType) => DType;
  /** Rough work per element: 1 for an addition, 8 for exp. */
  readonly cost?: number;
}

/** The shape of an elementwise result: that of the inputs that are not 0-d. */
export function elementwiseShape(xs: readonly Aval[]): Shape {
  for (const x of xs) if (x.shape.length > 0) return x.shape;
  return [];
}
/** The cotangent of an input: summed where the input is 0-d and the result is not. */
export function unbroadcast(ct: NDArray, x: NDArray): NDArray {
  return x.shape.length === 0 && ct.shape.length > 0 ? sum(ct) : ct;
}
/** The tangent of the result: repeated where only 0-d inputs had one. */
export function rebroadcast(t: NDArray, y: NDArray): NDArray {
  return sameShape(t.shape, y.shape) ? t : broadcastTo(t, y.shape);
}

/** Elementwise, one input: `derivative(x, y)` is dy/dx. */
export function unary(derivative: (x: NDArray, y: NDArray) => NDArray, facts: Facts = {}): Spec<NoParams, 1> {
  return spec({
    family: "unary",
    kind: "elementwise",
    params: {},
    arity: 1,
    cost: facts.cost ?? 1,
    infer: ([x]) => ({ shape: x.shape, dtype: facts.dtype?.(x.dtype) ?? x.dtype }),
    vjp: ([x], y, ct) => [multiply(ct, conjugate(derivative(x, y)))],
    jvp: ([x], y, [t]) => t && multiply(t, derivative(x, y)),
    vmap: "elementwise",
  });
}
/** Elementwise, one input, linear over the reals: `forward` maps tangents, `backward` is its transpose. */
export function linear(
  forward: (t: NDArray) => NDArray,
  backward: (ct: NDArray, x: NDArray) => NDArray,
  facts: Facts = {},
): Spec<NoParams, 1> {
  return spec({
    family: "unary",
    kind: "elementwise",
    params: {},
    arity: 1,
    cost: facts.cost ?? 1,
    infer: ([x]) => ({ shape: x.shape, dtype: facts.dtype?.(x.dtype) ?? x.dtype }),
    vjp: ([x], _y, ct) => [backward(ct, x)],
    jvp: (_x, _y, [t]) => t && forward(t),
    vmap: "elementwise",
  });
}
/** Elementwise, piecewise constant: the derivative is 0 wherever it exists. */
export function flat<A extends 1 | 2>(family: Family, arity: A, facts: Facts = {}): Spec<NoParams, A> {
  return {
    family,
    kind: "elementwise",
    params: {},
    arity,
    cost: facts.cost ?? 1,
    infer: (xs) => resultOf(xs, facts),
    vjp: (xs) => xs.map(() => null),
    jvp: () => null,
    vmap: "elementwise",
  };
}
function resultOf(xs: readonly Aval[], facts: Facts): Aval {
  const dtype = xs[0]!.dtype;
  return { shape: elementwiseShape(xs), dtype: facts.dtype?.(dtype) ?? dtype };
}

/** For each of two inputs, what its tangent adds to that of the result. */
export type Partials = (
  a: NDArray,
  b: NDArray,
  y: NDArray,
) => readonly [(t: NDArray) => NDArray, (t: NDArray) => NDArray];
/**
 * Elementwise, two inputs of one dtype: `partials(a, b, y)` gives the maps `t -> (∂y/∂a) t` and `t -> (∂y/∂b) t`. The
 * reverse rule is their transpose `ct -> conj((∂y/∂a) conj(ct))`, summed for 0-d inputs.
 */
export function binary(partials: Partials, facts: Facts = {}): Spec<NoParams, 2> {
  return spec({
    family: "binary",
    kind: "elementwise",
    params: {},
    arity: 2,
    cost: facts.cost ?? 1,
    infer: (xs) => resultOf(xs, facts),
    vjp: ([a, b], y, ct) => {
      const [da, db] = partials(a, b, y), bar = conjugate(ct);
      return [unbroadcast(conjugate(da(bar)), a), unbroadcast(conjugate(db(bar)), b)];
    },
    jvp: ([a, b], y, [s, t]) => forward(partials(a, b, y), s, t, y),
    vmap: "elementwise",
  });
}
/** The sum of both contributions, in the shape of the result. */
export function forward(
  [da, db]: ReturnType<Partials>,
  s: NDArray | null,
  t: NDArray | null,
  y: NDArray,
): NDArray | null {
  if (s && t) return rebroadcast(add(da(s), db(t)), y);
  if (s) return rebroadcast(da(s), y);
  return t && rebroadcast(db(t), y);
}
