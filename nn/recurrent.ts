/**
 * Recurrent layers over sequences [N, L, D] or [L, D]; each returns its states at all L steps.
 * The product with the input is one matrix product for the whole sequence; the loop holds the product with the state.
 * @module
 */
import {
  addmm,
  broadcastTo,
  concatenate,
  contiguous,
  customFunction,
  expandDims,
  fail,
  matmul,
  moveaxis,
  type NDArray,
  onesLike,
  random,
  ShapeError,
  sigmoid,
  split,
  stack,
  tanh,
  unstack,
  zeros,
  zerosLike,
} from "../core/mod.ts";
import { sliceAxis } from "../core/ops/view.ts";
import { pullback } from "../core/transforms/grad.ts";
import { traceAt } from "../core/transforms/trace.ts";
import { Module } from "./module.ts";

/** Options of {@linkcode GRU} and {@linkcode LSTM}. */
export interface RecurrentOptions {
  /** Add biases. Default true. */
  readonly bias?: boolean;
}
/** Options of {@linkcode RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** The nonlinearity. Default tanh. */
  readonly nonlinearity?: ((x: NDArray) => NDArray) | null;
}
/** Draws arrays uniformly from ±1/√hiddenSize. */
function drawer(hiddenSize: number): (shape: number[]) => NDArray {
  const scale = 1 / Math.sqrt(hiddenSize);
  return (shape) => random.uniform(shape, { low: -scale, high: scale });
}
/** `x Wᵀ + b`; the steps, the axis before the last one, come first. */
function projected(x: NDArray, w: NDArray, b: NDArray | undefined): NDArray {
  const first = x.ndim > 2 ? moveaxis(x, -2, 0) : x;
  return b ? addmm(b, first, w.T) : matmul(first, w.T);
}
/** What a layer does in one step. */
interface Cell {
  /** The layer, for errors. */
  readonly of: string;
  /** May the step capture arrays? Then it cannot have a derivative of our own. */
  readonly captures: boolean;
  /** Are the input's part x and the state's part Wh h of the gates added up? Else they come one after the other. */
  readonly joint: boolean;
  /**
   * The gates, each [..., H] (without the state's part while the state is zero), the state before (empty while it is
   * zero), and other parameters -> the state after. The first array of a state is h. Elementwise: entry k of the
   * result comes of the entries k.
   */
  readonly step: (gates: readonly NDArray[], state: readonly NDArray[], extra: readonly NDArray[]) => NDArray[];
}
/** Of a loop: x [L, ..., G], Wh [G, H], the first state or nothing for zeros, and other parameters of the cell. */
type LoopArguments = [x: NDArray, wh: NDArray, initial: readonly NDArray[], extra: readonly NDArray[]];

/** The gates of x and, if there is one, of the product with the state: of their sum where the cell is joint. */
function gatesOf(cell: Cell, x: NDArray, product: NDArray | null, size: number): NDArray[] {
  const parts = (y: NDArray): NDArray[] => split(y, y.shape.at(-1)! / size, -1);
  return cell.joint ? parts(product ?? x) : [...parts(x), ...product ? parts(product) : []];
}
/** The states after all steps, each array of a state stacked to [L, ..., H]; then the products with the state. */
function loop(cell: Cell, [x, wh, initial, extra]: LoopArguments): NDArray[] {
  let state: readonly NDArray[] = initial;
  const size = wh.shape[1]!, turned = contiguous(wh.T); // once, not in each product
  const steps = unstack(x, 0).map((now) => {
    const h = state[0], product = !h ? null : cell.joint ? addmm(now, h, turned) : matmul(h, turned);
    state = cell.step(gatesOf(cell, now, product, size), state, extra);
    return [...state, product ?? (cell.joint ? now : zerosLike(now))];
  });
  return steps[0]!.map((_, i) => stack(steps.map((s) => s[i]!), 0));
}
/** Of a cell's result i: the derivative by each argument, entry by entry; null where it does not depend on it. */
function slopes(step: (xs: readonly NDArray[]) => NDArray[], args: readonly NDArray[], i: number): (NDArray | null)[] {
  return traceAt(
    args,
    (xs) => [step(xs)[i]!],
    (t) => pullback(t, args, t.outputs.map((y) => onesLike(y))).grads,
  );
}
/** The sum of products of slopes and cotangents, of those that are there. */
function weighted(factors: readonly (NDArray | null)[], cts: readonly NDArray[]): NDArray | null {
  return factors.reduce<NDArray | null>((sum, f, i) => {
    const part = f && f.mul(cts[i]!);
    return sum && part ? sum.add(part) : part ?? sum;
  }, null);
}
/**
 * The derivative of {@linkcode loop}. A cell is elementwise, so its slopes are arrays like the gates and states, and
 * those of all steps are computed at once. Left for the loop, which goes back: with p_t = Wh h_{t-1}, dp_t and what the
 * cell hands to the state before are slopes times the state's cotangents, and `dh_{t-1}` gets dp_t Wh. Then
 * `dWh = Σ_t dp_tᵀ h_{t-1}` is one matrix product, where the loop's own derivative is a sum of L.
 */
function loopVjp(cell: Cell, [x, wh, initial, extra]: LoopArguments, cotangents: NDArray[], results: NDArray[]) {
  const states = results.slice(0, -1), like = states[0]!, [steps, size] = [x.shape[0]!, wh.shape[1]!];
  const before = states.map((y, i) =>
    concatenate([expandDims(initial[i] ?? zerosLike(y.index(0)), 0), sliceAxis(y, 0, 0, steps - 1)], 0)
  );
  const gates = gatesOf(cell, x, results.at(-1)!, size), [n, m] = [gates.length, states.length];
  const args = [...gates, ...before, ...extra.map((e) => broadcastTo(e, like.shape))];
  const step = (xs: readonly NDArray[]): NDArray[] => cell.step(xs.slice(0, n), xs.slice(n, n + m), xs.slice(n + m));
  const slope = states.map((_, i) => slopes(step, args, i)), own = cell.joint ? 0 : n / 2;
  const ofProduct = slope.map((s) => stack(s.slice(own, n).map((y) => y ?? zerosLike(like)), -2)); // [L, ..., n, H]
  const given = cotangents.at(-1)!.reshape(ofProduct[0]!.shape), dp: NDArray[] = [], dStates: NDArray[][] = [];
  let carried: (NDArray | null)[] = [];
  for (let t = steps - 1; t >= 0; t--) {
    const cts = states.map((_, i) => carried[i] ? cotangents[i]!.index(t).add(carried[i]) : cotangents[i]!.index(t));
    if (dp[0]) cts[0] = addmm(cts[0]!, dp[0], wh);
    const d = weighted(ofProduct.map((y) => y.index(t)), cts.map((ct) => expandDims(ct, -2)))!.add(given.index(t));
    dp.unshift(d.reshape([...d.shape.slice(0, -2), wh.shape[0]!]));
    dStates.unshift(cts);
    carried = states.map((_, j) => weighted(slope.map((s) => s[n + j]?.index(t) ?? null), cts));
  }
  const rows = (y: NDArray): NDArray => y.reshape([-1, y.shape.at(-1)!]), dProduct = stack(dp, 0);
  const whole = states.map((_, i) => stack(dStates.map((s) => s[i]!), 0));
  const by = (argument: number): NDArray => weighted(slope.map((s) => s[argument]!), whole) ?? zerosLike(like);
  carried[0] = carried[0] ? addmm(carried[0], dp[0]!, wh) : matmul(dp[0]!, wh);
  const dx = cell.joint ? dProduct : concatenate(gates.slice(0, own).map((_, j) => by(j)), -1);
  return [
    dx.astype(x.dtype),
    matmul(rows(dProduct).T, rows(before[0]!)).astype(wh.dtype),
    initial.map((y, i) => carried[i]?.astype(y.dtype) ?? zerosLike(y)),
    extra.map((y, j) => rows(by(n + m + j)).sum(0).astype(y.dtype)),
  ];
}
/** All states of a layer: x [L, ..., G], first state (null: zeros) -> each array of a state as [..., L, H]. */
function recurrence(
  cell: Cell,
  x: NDArray,
  wh: NDArray,
  initial: readonly (NDArray | null)[],
  extra: readonly NDArray[] = [],
): NDArray[] {
  if (x.ndim < 2 || x.shape[0] === 0) {
    fail(ShapeError, cell.of, {
      cannot: "run over a sequence without steps",
      expected: "an input [N, L, D] or [L, D] with L of at least 1",
      got: x.ndim < 2 ? `${x.ndim} axes` : "L = 0",
      fix: "leave empty sequences out",
    });
  }
  const shape = [...x.shape.slice(1, -1), wh.shape[1]!], given = initial.some((s) => s !== null);
  const plain = (...args: LoopArguments): NDArray[] => loop(cell, args);
  const run = cell.captures ? plain : customFunction(plain, {
    vjp: (args, cotangents, states) => loopVjp(cell, args, cotangents, states),
  });
  const first = given ? initial.map((s) => s ? broadcastTo(s, shape) : zeros(shape, { dtype: x.dtype })) : [];
  return run(x, wh, first, extra).slice(0, -1).map((y) => y.ndim > 2 ? moveaxis(y, 0, -2) : y);
}

/**
 * Elman's recurrent layer `h' = tanh(W_x x + W_h h + b)` (`mlx.nn.RNN`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.RNN(3, 4).forward(mx.ones([2, 5, 3])).shape; // [2, 5, 4]
 * ```
 */
export class RNN extends Module {
  /** Weights of the input, [hiddenSize, inputSize]. */
  Wxh: NDArray;
  /** Weights of the state, [hiddenSize, hiddenSize]. */
  Whh: NDArray;
  /** Bias, [hiddenSize], if there is one. */
  bias?: NDArray;
  /** Length of the state. */
  readonly hiddenSize: number;
  /** The nonlinearity. */
  readonly nonlinearity: (x: NDArray) => NDArray;
  /** Draws the weights uniformly from ±1/√hiddenSize. */
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    super();
    const draw = drawer(hiddenSize);
    this.nonlinearity = options.nonlinearity ?? tanh;
    this.hiddenSize = hiddenSize;
    this.Wxh = draw([hiddenSize, inputSize]);
    this.Whh = draw([hiddenSize, hiddenSize]);
    if (options.bias ?? true) this.bias = draw([hiddenSize]);
  }
  /** x [N, L, D] or [L, D], state [N, H] or [H] (zeros if absent) -> states [N, L, H] or [L, H]. */
  forward(x: NDArray, hidden: NDArray | null | { readonly hidden?: NDArray | null } = null): NDArray {
    const f = this.nonlinearity, gates = projected(x, this.Wxh, this.bias), h = stateOf(hidden, "hidden");
    const cell: Cell = { of: "nn.RNN", joint: true, captures: f !== tanh, step: ([g]) => [f(g!)] };
    return recurrence(cell, gates, this.Whh, [h])[0]!;
  }
}
/** A state that stands bare or in an options object. */
function stateOf<K extends string>(
  x: NDArray | null | { readonly [key in K]?: NDArray | null },
  key: K,
): NDArray | null {
  return x === null || "dtype" in x ? x : x[key] ?? null;
}

/**
 * Gated recurrent units (`mlx.nn.GRU`):
 * `r = σ(W_xr x + W_hr h + b_r)`, `z = σ(W_xz x + W_hz h + b_z)`, `n = tanh(W_xn x + b_n + r (W_hn h + b_hn))`,
 * `h' = (1 - z) n + z h`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.GRU(3, 4).forward(mx.ones([2, 5, 3])).shape; // [2, 5, 4]
 * ```
 */
export class GRU extends Module {
  /** Weights of the input for r, z and n, [3 hiddenSize, inputSize]. */
  Wx: NDArray;
  /** Weights of the state for r, z and n, [3 hiddenSize, hiddenSize]. */
  Wh: NDArray;
  /** Biases of r, z and n, [3 hiddenSize]. */
  b?: NDArray;
  /** Bias inside the gate of n, [hiddenSize]. */
  bhn?: NDArray;
  /** Length of the state. */
  readonly hiddenSize: number;
  /** Draws the weights uniformly from ±1/√hiddenSize. */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super();
    const draw = drawer(hiddenSize);
    this.hiddenSize = hiddenSize;
    this.Wx = draw([3 * hiddenSize, inputSize]);
    this.Wh = draw([3 * hiddenSize, hiddenSize]);
    if (options.bias ?? true) [this.b, this.bhn] = [draw([3 * hiddenSize]), draw([hiddenSize])];
  }
  /** x [N, L, D] or [L, D], state [N, H] or [H] (zeros if absent) -> states [N, L, H] or [L, H]. */
  forward(x: NDArray, hidden: NDArray | null | { readonly hidden?: NDArray | null } = null): NDArray {
    const gates = projected(x, this.Wx, this.b), h = stateOf(hidden, "hidden");
    return recurrence(gruCell, gates, this.Wh, [h], this.bhn ? [this.bhn] : [])[0]!;
  }
}
const gruCell: Cell = {
  of: "nn.GRU",
  joint: false,
  captures: false,
  step: ([xr, xz, xn, pr, pz, pn], [h], [bhn]) => {
    const r = sigmoid(pr ? xr!.add(pr) : xr!), z = sigmoid(pz ? xz!.add(pz) : xz!);
    const inner = pn && bhn ? pn.add(bhn) : pn ?? bhn;
    const n = tanh(inner ? xn!.add(r.mul(inner)) : xn!), fresh = z.neg().add(1).mul(n);
    return [h ? fresh.add(z.mul(h)) : fresh];
  },
};
/** What {@linkcode LSTM} may start from. */
export interface LSTMState {
  /** The state, [N, H] or [H]. Zeros if absent. */
  readonly hidden?: NDArray | null;
  /** The cell, [N, H] or [H]. Zeros if absent. */
  readonly cell?: NDArray | null;
}
/**
 * Long short-term memory (`mlx.nn.LSTM`): `i, f, o = σ(W_x x + W_h h + b)`, `g = tanh(W_x x + W_h h + b)`, each with
 * its own rows of the weights, `c' = f c + i g`, `h' = o tanh(c')`.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const [hidden, cell] = new nn.LSTM(3, 4).forward(mx.ones([2, 5, 3]));
 * [hidden.shape, cell.shape]; // [[2, 5, 4], [2, 5, 4]]
 * ```
 */
export class LSTM extends Module {
  /** Weights of the input for i, f, g and o, [4 hiddenSize, inputSize]. */
  Wx: NDArray;
  /** Weights of the state for i, f, g and o, [4 hiddenSize, hiddenSize]. */
  Wh: NDArray;
  /** Biases of i, f, g and o, [4 hiddenSize]. */
  bias?: NDArray;
  /** Length of the state. */
  readonly hiddenSize: number;
  /** Draws the weights uniformly from ±1/√hiddenSize. */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super();
    const draw = drawer(hiddenSize);
    this.hiddenSize = hiddenSize;
    this.Wx = draw([4 * hiddenSize, inputSize]);
    this.Wh = draw([4 * hiddenSize, hiddenSize]);
    if (options.bias ?? true) this.bias = draw([4 * hiddenSize]);
  }
  /** x [N, L, D] or [L, D] -> all states and all cells, each [N, L, H] or [L, H]. */
  forward(x: NDArray, state: NDArray | null | LSTMState = null, cell: NDArray | null = null): [NDArray, NDArray] {
    const initial = [stateOf(state, "hidden"), state && "cell" in state ? state.cell ?? null : cell];
    const [hidden, cells] = recurrence(lstmCell, projected(x, this.Wx, this.bias), this.Wh, initial);
    return [hidden!, cells!];
  }
}
const lstmCell: Cell = {
  of: "nn.LSTM",
  joint: true,
  captures: false,
  step: ([i, f, g, o], [, c]) => {
    const added = sigmoid(i!).mul(tanh(g!));
    const next = c ? sigmoid(f!).mul(c).add(added) : added;
    return [sigmoid(o!).mul(tanh(next)), next];
  },
};
