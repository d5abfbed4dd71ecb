/**
 * State-space layers as attention (https://arxiv.org/abs/2405.21060): within a chunk of tokens the recurrence
 * `h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t`, `y_t = C_t h_t + D x_t` is a product with a decaying lower triangle.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { softplus } from "../nn/mod.ts";

/** Inputs of a state-space layer, and its state. */
export interface StateSpace {
  /** [B, T, heads, size]. */
  readonly x: NDArray;
  /** What goes in, [B, T, groups, states]. */
  readonly B: NDArray;
  /** What comes out, [B, T, groups, states]. */
  readonly C: NDArray;
  /** Times between tokens, [B, T, heads], before softplus. */
  readonly dt: NDArray;
  /** The state before the first token, [B, heads, size, states]; null: zeros. */
  readonly state: NDArray | null;
}
/** Parameters of a state-space layer, each [heads]. */
export interface StateSpaceParameters {
  /** Logarithm of the decay. */
  readonly A_log: NDArray;
  /** Share of the input in the output. */
  readonly D: NDArray;
  /** Added to the times. */
  readonly dt_bias: NDArray;
  /** The least and the greatest time. */
  readonly limits: readonly [least: number, greatest: number];
}
/** Tokens of a chunk. */
const CHUNK = 256;

/** `exp(a_(j+1) + ... + a_i)` at [i, j] for j <= i, of a [..., T]; 1 elsewhere. Summed from j on, nothing cancels. */
function decays(a: NDArray): NDArray {
  const T = a.shape.at(-1)!;
  return mx.cumsum(mx.tril(mx.repeat(a.expandDims(-1), T, -1), -1), -2).exp();
}
/** One chunk: outputs without D, and the state after it. `dtA` is [B, T, heads], `dtx` is x times its times. */
function chunk(
  { x: dtx, B, C, dt: dtA, state }: StateSpace,
): [y: NDArray, state: NDArray] {
  const [b = 1, T = 1, heads = 1, size = 1] = dtx.shape,
    [, , groups = 1, states = 1] = B.shape,
    repeats = heads / groups;
  const wide = (y: NDArray) => mx.repeat(y.transpose([0, 2, 1, 3]), repeats, 1); // [B, heads, T, states]
  const inputs = wide(B), outputs = wide(C), decay = decays(dtA.swapaxes(1, 2)), values = dtx.transpose([0, 2, 1, 3]);
  const seen = mx.tril(outputs.matmul(inputs.swapaxes(-1, -2)).multiply(decay));
  let y = seen.matmul(values); // [B, heads, T, size]
  const last = decay.index("...", mx.slice(T - 1, null), mx.slice(null)).swapaxes(-1, -2); // [B, heads, T, 1]
  let next = values.multiply(last).swapaxes(-1, -2).matmul(inputs);
  if (state) {
    const since = mx.cumsum(dtA, 1).exp().swapaxes(1, 2); // [B, heads, T]
    y = y.add(since.expandDims(-1).multiply(outputs.matmul(state.swapaxes(-1, -2))));
    const whole = since.index("...", mx.slice(T - 1, null)).reshape([b, heads, 1, 1]);
    next = next.add(whole.multiply(state.reshape([b, heads, size, states])));
  }
  return [y.transpose([0, 2, 1, 3]), next];
}
/** Runs a state-space layer (`ssm_update` of mlx-lm): y like x, and the state after the last token. */
export function stateSpace(s: StateSpace, p: StateSpaceParameters): [y: NDArray, state: NDArray] {
  const T = s.x.shape[1]!, [least, greatest] = p.limits;
  const dt = mx.clip(softplus(s.dt.astype(mx.float32).add(p.dt_bias)), least, greatest);
  const dtA = dt.multiply(p.A_log.exp().negative().astype(dt.dtype)), dtx = dt.expandDims(-1).multiply(s.x);
  const ys: NDArray[] = [];
  let state = s.state;
  for (let start = 0; start < T; start += CHUNK) {
    const part = (y: NDArray) => T <= CHUNK ? y : y.index(mx.slice(null), mx.slice(start, start + CHUNK));
    const [y, next] = chunk({ x: part(dtx), B: part(s.B), C: part(s.C), dt: part(dtA), state });
    ys.push(y.astype(s.x.dtype));
    state = next;
  }
  const y = mx.concatenate(ys, 1).add(s.x.multiply(p.D.expandDims(-1)));
  return [y, state!];
}
