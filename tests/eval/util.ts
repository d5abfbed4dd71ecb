/**
 * What the tests of evaluation share: a fresh world for each test, counters that start at zero, and three operations
 * that the planner cannot fuse.
 * @module
 */
import { assertEquals } from "@std/assert";
import { runtime, type Stats } from "../../ffi/runtime.ts";
import { forgetLearned } from "../../core/learn.ts";
import { clearCache } from "../../core/device.ts";
import type { NDArray } from "../../core/array.ts";
import * as mx from "../../mod.ts";

/** Do the tests run on a GPU (`DENIM_DEVICE=gpu`)? */
export const ON_GPU: boolean = mx.defaultDevice().type === "gpu";
/** Elements of an array that is too big to count as a small result. */
export const N = 500;
/** What `cell` gives for constants 1 and 2: `1 * 2 / sqrt(1 + 3)`. */
export const CELL_1_2 = 1;

/** The counters since the start of a test. */
export class World {
  readonly #start: Stats = runtime().stats();
  /** Programs, kernels, copies and allocations since the start; buffers, their peak and bytes above the start's. */
  get count(): Stats {
    const now = runtime().stats(), start = this.#start;
    return {
      ...now,
      active: now.active - start.active,
      buffers: now.buffers - start.buffers,
      peakBuffers: now.peakBuffers - start.buffers,
      allocations: now.allocations - start.allocations,
      programs: now.programs - start.programs,
      kernels: now.kernels - start.kernels,
      copies: now.copies - start.copies,
    };
  }
}
/** No limit, and no failure ahead. */
export function calm(): void {
  runtime().synchronize(-1);
  runtime().set("failAllocation", -1);
  runtime().set("failKernel", -1);
  runtime().set("memoryLimit", 0);
}
/** Nothing learned, and nothing that waits for collection. */
export function fresh(): World {
  calm();
  forgetLearned();
  clearCache();
  runtime().set("peak", 0);
  return new World();
}
/** A test in a world of its own. */
export function test(name: string, f: (world: World) => void | Promise<void>): void {
  Deno.test(name, async () => {
    try {
      await f(fresh());
    } finally {
      calm();
    }
  });
}
/** Kernels that `f` runs. */
export function kernels(f: () => void): number {
  runtime().synchronize(-1); // what is under way counts for those who asked for it
  const before = runtime().stats().kernels;
  f();
  runtime().synchronize(-1);
  return runtime().stats().kernels - before;
}

/** Host numbers, all equal. */
export function full(n: number, value: number, label = ""): NDArray {
  return mx.array(new Float32Array(n).fill(value)).named(label);
}
/** `a_i b_i / sqrt(mean(a^2) + 3)`: one kernel of its own. */
export function cell(a: NDArray, b: NDArray): NDArray {
  return mx.fast.rmsNorm(a, b, 3);
}
/** `(a_i - mean(a)) / sqrt(var(a) + 1) b_i`, or for one number b the products `a_i b`: one kernel of its own. */
export function attend(a: NDArray, b: NDArray): NDArray {
  if (b.size === a.size) return mx.fast.layerNorm(a, b, null, 1);
  return mx.matmul(a.reshape([-1, 1]), b.reshape([1, 1])).reshape([-1]);
}
/** `sum(a_i b_i)` as an array of one element: one kernel of its own. */
export function dot(a: NDArray, b: NDArray): NDArray {
  return mx.matmul(a.reshape([1, -1]), b.reshape([-1, 1])).reshape([1]);
}
/** `k` with `v` written from `at` on. */
export function update(k: NDArray, v: NDArray, at: number, donate = false): NDArray {
  return mx.writeAt(k, v, [at], [0], { donate });
}
/** The first element. */
export function first(x: NDArray): number {
  return Number(x.dataSync()[0]);
}
/** The elements. */
export function values(x: NDArray): number[] {
  return Array.from(x.dataSync(), Number);
}
/** The states of arrays. */
export function states(...xs: readonly NDArray[]): string[] {
  return xs.map((x) => x.state);
}
/** All elements are near. */
export function assertNear(x: NDArray, expected: ArrayLike<number>, tolerance = 1e-5): void {
  const got = values(x);
  assertEquals(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const e = expected[i]!;
    if (!(Math.abs(got[i]! - e) <= tolerance * (1 + Math.abs(e)))) {
      assertEquals(got, Array.from(expected), `element ${i}`);
    }
  }
}
