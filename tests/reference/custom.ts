/**
 * The helpers that cases name `custom.NAME`: compositions whose result is unique where the raw result is not
 * (decompositions, partitions), and transforms inside transforms.
 * @module
 */
import type { Caller } from "./calls.ts";
import { isArray, isList } from "./library.ts";
import { callFunction } from "./nn.ts";
import { type Dict, PyFloat } from "./values.ts";

/** A helper: arguments and keywords as in Python. */
type Helper = (c: Caller, args: readonly unknown[], kwargs: Dict<unknown>) => unknown;

const axis = (n: number): Dict<unknown> => ({ axis: n });
const matmul = (c: Caller, a: unknown, b: unknown): unknown => c.call("matmul", [a, b]);
const parts = (x: unknown): readonly unknown[] => isList(x) ? x : [x];
/** `x[..., None, :]` */
const asRow = (c: Caller, x: unknown): unknown => c.lib.method(x, "index", "...", null, c.slice(null, null));
const sum = (c: Caller, x: unknown): unknown => c.call("sum", [x]);

/** An axis of an array, or a keyword that is missing. */
function lastAxis(x: unknown): number {
  const n = isArray(x) ? x.shape.at(-1) : undefined;
  if (n === undefined) throw new RangeError("an array with an axis was expected");
  return n;
}

/** `take_along_axis(x, argpartition(x, kth))` */
const argpartitionValues: Helper = (c, [x, kth], { axis = -1 }) => {
  const order = c.call("argpartition", [x, kth], { axis });
  const flat = axis === null;
  return c.call("take_along_axis", [flat ? c.lib.method(x, "reshape", [-1]) : x, order], { axis: flat ? 0 : axis });
};

/** Draws in a row from the global state. */
const randomSequence: Helper = (c, [seed, calls]) => {
  c.call("random.seed", [seed]);
  return parts(calls).map((call) => {
    const [name, options] = parts(call);
    const drawn = c.call(`random.${name}`, [], Object.fromEntries(Object.entries(options ?? {})));
    c.lib.call("mx.eval", drawn);
    return drawn;
  });
};

/** `|a v - v w|` */
const eigResidual: Helper = (c, [a]) => {
  const [w, v] = parts(c.call("linalg.eig", [a]));
  const av = matmul(c, c.lib.method(a, "astype", c.lib.dtype("complex64")), v);
  return c.call("abs", [c.call("subtract", [av, c.call("multiply", [v, asRow(c, w)])])]);
};

/** `l[p, :] u` */
const luReconstruct: Helper = (c, [a]) => {
  const [p, l, u] = parts(c.call("linalg.lu", [a]));
  return matmul(c, c.lib.method(l, "index", p, c.slice(null, null)), u);
};

/** `u[..., :k] diag(s) vt[..., :k, :]` */
const svdReconstruct: Helper = (c, [a]) => {
  const [u, s, vt] = parts(c.call("linalg.svd", [a])), first = c.slice(null, lastAxis(s));
  const left = c.call("multiply", [c.lib.method(u, "index", "...", first), asRow(c, s)]);
  return matmul(c, left, c.lib.method(vt, "index", "...", first, c.slice(null, null)));
};

/** `q r` */
const qrReconstruct: Helper = (c, [a]) => {
  const [q, r] = parts(c.call("linalg.qr", [a]));
  return matmul(c, q, r);
};

/** `v diag(w) v^H` */
const eighReconstruct: Helper = (c, [a]) => {
  const [w, v] = parts(c.call("linalg.eigh", [a]));
  return matmul(c, c.call("multiply", [v, asRow(c, w)]), c.call("conjugate", [c.call("swapaxes", [v, -1, -2])]));
};

/** `dequantize(quantize(w))` */
const quantizeRoundtrip: Helper = (c, [w], { group_size = null, bits = null, mode = "affine" }) => {
  const kwargs = { group_size, bits, mode };
  return c.call("dequantize", parts(c.call("quantize", [w], kwargs)), kwargs);
};

/** The function of mx or nn that a case names, of arrays alone. */
const named = (c: Caller, fn: unknown) => (...x: readonly unknown[]): unknown => {
  const name = String(fn);
  return name.startsWith("nn.") ? callFunction(c, "nn", name.slice(3), x, {}) : c.call(name, x);
};
/** The gradient of `sum(f(x))`. */
function gradOfSum(c: Caller, f: (x: unknown) => unknown): (x: unknown) => unknown {
  return c.function(c.lib.call("mx.grad", (x: unknown) => sum(c, f(x))));
}
/** The gradients of `sum(f(x, y)^2)` with respect to both. */
const gradOfSquares = (c: Caller, f: (x: unknown, y: unknown) => unknown, x: unknown, y: unknown): unknown =>
  c.function(
    c.lib.call("mx.grad", (a: unknown, b: unknown) => sum(c, c.call("square", [f(a, b)])), { argnums: [0, 1] }),
  )(x, y);

const secondDerivative: Helper = (c, [fn, x]) => gradOfSum(c, gradOfSum(c, named(c, fn)))(x);
const vmapGrad: Helper = (c, [fn, x]) => c.function(c.lib.call("mx.vmap", gradOfSum(c, named(c, fn))))(x);
const jvpGrad: Helper = (c, [fn, x, t]) => {
  const [, tangents] = parts(c.lib.call("mx.jvp", gradOfSum(c, named(c, fn)), [x], [t]));
  return parts(tangents)[0];
};
const gradVmap: Helper = (c, [fn, x, y]) =>
  gradOfSquares(c, (a, b) => c.function(c.lib.call("mx.vmap", named(c, fn)))(a, b), x, y);
const scatterMaxGrad: Helper = (c, [x, index, v]) =>
  gradOfSquares(c, (a, b) => c.lib.method(c.lib.method(a, "at", index), "maximum", b), x, v);

/** mean(logsumexp(relu(x w1^T + b1) w2^T + b2)) */
const mlp: Helper = (c, [x, w1, b1, w2, b2]) => {
  const layer = (y: unknown, w: unknown, b: unknown): unknown =>
    c.call("add", [matmul(c, y, c.lib.property(w, "T")), b]);
  const h = c.call("maximum", [layer(x, w1, b1), 0]);
  return c.call("mean", [c.call("logsumexp", [layer(h, w2, b2)], axis(-1))]);
};

/** softmax(q k^T / sqrt(d)) v */
const attention: Helper = (c, [x, wq, wk, wv]) => {
  const q = matmul(c, x, wq), k = matmul(c, x, wk), v = matmul(c, x, wv);
  const scores = c.call("multiply", [matmul(c, q, c.call("swapaxes", [k, -1, -2])), new PyFloat(lastAxis(q) ** -0.5)]);
  return matmul(c, c.call("softmax", [scores], axis(-1)), v);
};

/** Newton's iteration for the square root. */
const newtonSqrt: Helper = (c, [x, steps]) => {
  let y = x;
  for (let i = 0; i < Number(steps); i++) y = c.call("multiply", [0.5, c.call("add", [y, c.call("divide", [x, y])])]);
  return y;
};

const HELPERS: Dict<Helper> = {
  argpartition_values: argpartitionValues,
  random_sequence: randomSequence,
  eig_residual: eigResidual,
  lu_reconstruct: luReconstruct,
  svd_reconstruct: svdReconstruct,
  qr_reconstruct: qrReconstruct,
  eigh_reconstruct: eighReconstruct,
  quantize_roundtrip: quantizeRoundtrip,
  second_derivative: secondDerivative,
  vmap_grad: vmapGrad,
  jvp_grad: jvpGrad,
  grad_vmap: gradVmap,
  mlp,
  attention,
  newton_sqrt: newtonSqrt,
  scatter_max_grad: scatterMaxGrad,
};

/** Calls a helper by name. */
export function callCustom(c: Caller, name: string, args: readonly unknown[], kwargs: Dict<unknown>): unknown {
  const helper = HELPERS[name];
  if (helper === undefined) throw new Error(`the format has no custom.${name}`);
  return helper(c, args, kwargs);
}
