/**
 * Recurrent layers over sequences [N, L, D] or [L, D]; each returns its states at all L steps.
 * The product with the input is one matrix product for the whole sequence; the loop holds the product with the state.
 * @module
 */
import { addmm, matmul, type NDArray, random, sigmoid, split, stack, tanh } from "../core/mod.ts";
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
/** `x Wᵀ + b`. */
function projected(x: NDArray, w: NDArray, b: NDArray | undefined): NDArray {
  return b ? addmm(b, x, w.T) : matmul(x, w.T);
}
/** The steps of the axis before the last one, each without it. */
function steps(x: NDArray): NDArray[] {
  return x.unstack(-2);
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
    let h = stateOf(hidden, "hidden");
    const all = steps(projected(x, this.Wxh, this.bias)).map((step) =>
      h = this.nonlinearity(h ? addmm(step, h, this.Whh.T) : step)
    );
    return stack(all, -2);
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
    const all: NDArray[] = [];
    let h = stateOf(hidden, "hidden");
    for (const step of steps(projected(x, this.Wx, this.b))) all.push(h = this.#step(step, h));
    return stack(all, -2);
  }
  #step(x: NDArray, h: NDArray | null): NDArray {
    const size = this.hiddenSize, gates = (p: NDArray) => sliceAxis(p, p.ndim - 1, 0, 2 * size);
    const rest = (p: NDArray) => sliceAxis(p, p.ndim - 1, 2 * size, 3 * size);
    const p = h && matmul(h, this.Wh.T);
    const [r, z] = split(sigmoid(p ? gates(x).add(gates(p)) : gates(x)), 2, -1);
    const inner = p ? (this.bhn ? rest(p).add(this.bhn) : rest(p)) : this.bhn;
    const n = tanh(inner ? rest(x).add(r!.mul(inner)) : rest(x)), fresh = z!.neg().add(1).mul(n);
    return h ? fresh.add(z!.mul(h)) : fresh;
  }
}
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
    const hiddens: NDArray[] = [], cells: NDArray[] = [];
    let h = stateOf(state, "hidden"), c = state && "cell" in state ? state.cell ?? null : cell;
    for (const step of steps(projected(x, this.Wx, this.bias))) {
      const [i, f, g, o] = split(h ? addmm(step, h, this.Wh.T) : step, 4, -1);
      const added = sigmoid(i!).mul(tanh(g!));
      cells.push(c = c ? sigmoid(f!).mul(c).add(added) : added);
      hiddens.push(h = sigmoid(o!).mul(tanh(c)));
    }
    return [stack(hiddens, -2), stack(cells, -2)];
  }
}
