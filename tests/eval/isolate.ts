/**
 * A worker that computes with the library and keeps what it made: the tests of isolates start it.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import * as mx from "../../mod.ts";

/** What the worker is to do. */
export interface Work {
  /** Arrays of 256 KiB to make and keep. */
  readonly steps: number;
  /** Products to leave in the queue. */
  readonly queue: number;
}
const kept: NDArray[] = [];

addEventListener("message", (event) => {
  if (!(event instanceof MessageEvent)) return;
  const { steps, queue }: Work = event.data;
  let h = mx.ones([256, 256]);
  for (let i = 0; i < steps; i++) {
    h = mx.tanh(mx.matmul(h, mx.full([256, 256], 0.01)));
    mx.eval(h);
    kept.push(h);
  }
  const value = h.index(0, 0).item();
  for (let i = 0; i < queue; i++) mx.asyncEval(h = mx.tanh(mx.matmul(h, h)));
  Reflect.apply(Reflect.get(globalThis, "postMessage"), globalThis, [value]);
});
