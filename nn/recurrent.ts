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
  matmul,
  moveaxis,
  type NDArray,
  random,
  sigmoid,
  split,
  stack,
  tanh,
  unstack,
  vjp,
  zeros,
  zerosLike,
} from "../core/mod.ts";
import { sliceAxis } from "../core/ops/view.ts";
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
  /** May the step capture arrays? Then it cannot have a derivative of our own. */
  readonly captures: boolean;
  /** Are the input's part x and the state's part Wh h of the gates added up? Else they come one after the other. */
  readonly joint: boolean;
  /**
   * The gates (without the state's part while the state is zero), the state before (empty while it is zero), and other
   * parameters -> the state after. The first array of a state is h.
   */
  readonly step: (gates: readonly NDArray[], state: readonly NDArray[], extra: readonly NDArray[]) => NDArray[];
}
/** Of a loop: x [L, ..., G], Wh [G, H], the first state or nothing for zeros, and other parameters of the cell. */
type LoopArguments = [x: NDArray, wh: NDArray, initial: readonly NDArray[], extra: readonly NDArray[]];

const gatesOf = ({ joint }: Cell, x: NDArray, h: NDArray, turned: NDArray): NDArray[] =>
  joint ? [addmm(x, h, turned)] : [x, matmul(h, turned)];
/** The states after all steps, each array of a state stacked to [L, ..., H]. */
function loop(cell: Cell, [x, wh, initial, extra]: LoopArguments): NDArray[] {
  let state: readonly NDArray[] = initial;
  const turned = contiguous(wh.T); // once, not in each product
  const all = unstack(x, 0).map((now) =>
    state = cell.step(state[0] ? gatesOf(cell, now, state[0], turned) : [now], state, extra)
  );
  return state.map((_, i) => stack(all.map((s) => s[i]!), 0));
}
/**
 * The derivative of {@linkcode loop}. With p_t = Wh h_{t-1}: going back, `dh_{t-1} = dp_t Wh` and what the cell adds;
 * then `dWh = Σ_t dp_tᵀ h_{t-1}` is one matrix product, where the loop's own derivative is a sum of L.
 */
function loopVjp(cell: Cell, [x, wh, initial, extra]: LoopArguments, cotangents: NDArray[], states: NDArray[]) {
  const steps = x.shape[0]!, at = (all: readonly NDArray[], t: number): NDArray[] => all.map((y) => y.index(t));
  const before = states.map((y, i) =>
    concatenate([expandDims(initial[i] ?? zerosLike(y.index(0)), 0), sliceAxis(y, 0, 0, steps - 1)], 0)
  );
  const h = before[0]!, gates = gatesOf(cell, x, h, wh.T), ofGates: NDArray[][] = [];
  let carried: NDArray[] | null = null, ofExtra: NDArray[] = [];
  const [nGates, nState] = [gates.length, states.length];
  const step = (...xs: NDArray[]): NDArray[] =>
    cell.step(xs.slice(0, nGates), xs.slice(nGates, nGates + nState), xs.slice(nGates + nState));
  for (let t = steps - 1; t >= 0; t--) {
    const ct = at(cotangents, t).map((c, i) => carried ? c.add(carried[i]!) : c);
    const [, parts] = vjp(step, [...at(gates, t), ...at(before, t), ...extra], ct);
    ofGates.unshift(parts.slice(0, nGates));
    carried = parts.slice(nGates, nGates + nState);
    carried[0] = carried[0]!.add(matmul(parts[nGates - 1]!, wh));
    ofExtra = parts.slice(nGates + nState).map((d, i) => ofExtra[i] ? ofExtra[i].add(d) : d);
  }
  const all = gates.map((_, i) => stack(ofGates.map((g) => g[i]!), 0));
  const rows = (y: NDArray): NDArray => y.reshape([-1, y.shape.at(-1)!]);
  return [all[0]!, matmul(rows(all.at(-1)!).T, rows(h)), initial.length > 0 ? carried! : [], ofExtra];
}
/** All states of a layer: x [L, ..., G], first state (null: zeros) -> each array of a state as [..., L, H]. */
function recurrence(
  cell: Cell,
  x: NDArray,
  wh: NDArray,
  initial: readonly (NDArray | null)[],
  extra: readonly NDArray[] = [],
): NDArray[] {
  const shape = [...x.shape.slice(1, -1), wh.shape[1]!], given = initial.some((s) => s !== null);
  const plain = (...args: LoopArguments): NDArray[] => loop(cell, args);
  const run = cell.captures ? plain : customFunction(plain, {
    vjp: (args, cotangents, states) => loopVjp(cell, args, cotangents, states),
  });
  const first = given ? initial.map((s) => s ? broadcastTo(s, shape) : zeros(shape, { dtype: x.dtype })) : [];
  return run(x, wh, first, extra).map((y) => y.ndim > 2 ? moveaxis(y, 0, -2) : y);
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
    const cell: Cell = { joint: true, captures: f !== tanh, step: ([g]) => [f(g!)] };
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
  joint: false,
  captures: false,
  step: ([x, p], [h], [bhn]) => {
    const size = x!.shape.at(-1)! / 3,
      part = (y: NDArray, from: number, to: number) => sliceAxis(y, y.ndim - 1, from * size, to * size);
    const [r, z] = split(sigmoid(p ? part(x!, 0, 2).add(part(p, 0, 2)) : part(x!, 0, 2)), 2, -1);
    const inner = p ? (bhn ? part(p, 2, 3).add(bhn) : part(p, 2, 3)) : bhn;
    const n = tanh(inner ? part(x!, 2, 3).add(r!.mul(inner)) : part(x!, 2, 3)), fresh = z!.neg().add(1).mul(n);
    return [h ? fresh.add(z!.mul(h)) : fresh];
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
  joint: true,
  captures: false,
  step: ([gates], [, c]) => {
    const [i, f, g, o] = split(gates!, 4, -1), added = sigmoid(i!).mul(tanh(g!));
    const next = c ? sigmoid(f!).mul(c).add(added) : added;
    return [sigmoid(o!).mul(tanh(next)), next];
  },
};
