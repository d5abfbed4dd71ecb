/**
 * What a GPU is given for a few works, counted in the same run as their results are compared with the CPU's: a decoding
 * step of a llama layer, a training step, a product, attention. Bytes are put beside those that the work, or the way in
 * which it is cut into tiles, cannot do without. On the simulated device bytes are those that threads touch.
 * @module
 */
import { collect } from "../core/plan.ts";
import { runtime } from "../ffi/runtime.ts";
import * as mx from "../mod.ts";
import { normal } from "./works/inputs.ts";
import { decodeLayer, FULL, TINY } from "./works/layer.ts";
import { transformerStep } from "./works/training.ts";

/** A work that is ready on the default device. */
interface Ready {
  /** Does it once, and waits. */
  readonly run: () => void;
  /** What the last run gave. */
  readonly results: () => readonly mx.NDArray[];
  /** Bytes that it has to read and write; 0 where nobody knows. */
  readonly ideal: number;
  /** The same without computing anything: what one operation after another would be. */
  readonly lazily?: () => readonly mx.NDArray[];
}
/** A work to be counted. */
export interface Counted {
  readonly name: string;
  /** Does `ideal` count a byte once for each tile that needs it? Else once. */
  readonly tiled: boolean;
  /** How far results may be from the CPU's, as a share of the largest. */
  readonly tolerance: number;
  /** More than this is a fault. */
  readonly most: { readonly dispatches: number; readonly share: number };
  /** At full size, or at one that the simulated device runs in seconds. */
  prepare(full: boolean): Ready;
}
/** What a work took. */
export interface Took {
  readonly dispatches: number;
  readonly barriers: number;
  /** Bytes that arguments name. */
  readonly named: number;
  /** Bytes that threads touched, each as often as it was, or null on a real device. */
  readonly touched: number | null;
  /** Bytes touched, each once per dispatch, or null on a real device. */
  readonly moved: number | null;
}
/** The figures of a work. */
export interface Count {
  readonly name: string;
  readonly took: Took;
  /** One operation after another, where that says something. */
  readonly alone: Took | null;
  readonly ideal: number;
  /** Bytes as a multiple of the ideal; null where there is none. */
  readonly share: number | null;
  /** The largest difference from the CPU's results, as a share of the largest of these. */
  readonly difference: number;
  /** What is not as it should be; empty if all is. */
  readonly faults: readonly string[];
}

const bytesOf = (...arrays: readonly mx.NDArray[]) => arrays.reduce((sum, a) => sum + a.nbytes, 0);
/** The counters' differences over a call. */
function counted(call: () => void): Took {
  const look = () => ({ ...mx.metal.counters(), simulated: runtime().simulatorCounts() });
  runtime().measureUnique(true);
  mx.synchronize();
  const before = look();
  call();
  mx.synchronize();
  const after = look(), [s, t] = [before.simulated, after.simulated];
  runtime().measureUnique(false);
  return {
    dispatches: after.dispatches - before.dispatches,
    barriers: after.barriers - before.barriers,
    named: after.bytes - before.bytes,
    touched: s && t && t.bytesRead + t.bytesWritten - s.bytesRead - s.bytesWritten,
    moved: s && t && t.uniqueRead + t.uniqueWritten - s.uniqueRead - s.uniqueWritten,
  };
}
/** Computes node after node, each by itself. */
function oneByOne(results: readonly mx.NDArray[]): void {
  for (const node of collect(results, (n) => n.state === "evaluated")) mx.eval(node);
}
/** The largest difference between two lists of arrays, as a share of the largest value. */
function difference(a: readonly mx.NDArray[], b: readonly mx.NDArray[]): number {
  return mx.stream(mx.cpu, () => {
    const wide = (all: readonly mx.NDArray[]) => all.map((v) => v.astype(mx.float32));
    const largest = (all: readonly mx.NDArray[]) => Math.max(...all.map((v) => Number(mx.max(mx.abs(v)).item())));
    const x = wide(a), y = wide(b);
    return largest(x.map((v, i) => v.sub(y[i]!))) / largest(y);
  });
}
/** Counts a work on the GPU, after two runs in which kernels are compiled, and compares its results with the CPU's. */
export function count(work: Counted, full: boolean): Count {
  const on = (device: mx.Device) => {
    const ready = mx.stream(mx.cpu, () => work.prepare(full));
    for (let i = 0; i < 2; i++) mx.stream(device, ready.run);
    return { ...ready, took: counted(() => mx.stream(device, ready.run)) };
  };
  const { took, results, lazily, ideal } = on(mx.gpu), off = difference(results(), on(mx.cpu).results());
  const alone = lazily ? counted(() => mx.stream(mx.gpu, () => oneByOne(lazily()))) : null;
  const bytes = (work.tiled ? took.touched : took.moved) ?? took.named, share = ideal ? bytes / ideal : null;
  const faults = [
    ...off <= work.tolerance ? [] : [`results differ by ${off}: expected at most ${work.tolerance}`],
    ...took.dispatches <= work.most.dispatches ? [] : [`expected at most ${work.most.dispatches} dispatches`],
    ...share === null || took.moved === null || share <= work.most.share
      ? []
      : [`expected at most ${work.most.share}x`],
  ];
  return { name: work.name, took, alone, ideal, share, difference: off, faults };
}

/** Evaluates what a function returns. */
function evaluating(f: () => readonly mx.NDArray[]): Pick<Ready, "run" | "results"> {
  let results: readonly mx.NDArray[] = [];
  return { run: () => mx.eval(results = f()), results: () => results };
}

// ---- the works ------------------------------------------------------------------------------------------------------
const product: Counted = {
  name: "matmul, float32",
  tiled: true,
  tolerance: 1e-5,
  most: { dispatches: 1, share: 1.02 },
  prepare(full) {
    // Tiles of 64 x 64 where there are enough of them: each reads its rows of A and its columns of B.
    const n = full ? 1024 : 512, k = full ? 1024 : 64, tile = 64;
    const [a, b] = [normal([n, k], 1), normal([k, n], 2)];
    return { ...evaluating(() => [mx.matmul(a, b)]), ideal: (n / tile) ** 2 * 2 * tile * k * 4 + n * n * 4 };
  },
};
/** Bytes of K and V that tiles of queries read when later keys are hidden: whole tiles of keys up to the last seen. */
function causalKeys(length: number, group: number, width: number, keyHeads: number): number {
  const [rows, keys] = [32, 32];
  let seen = 0;
  for (let r = 0; r < length * group; r += rows) {
    const last = Math.floor((Math.min(r + rows, length * group) - 1) / group);
    seen += Math.min(length, Math.ceil((last + 1) / keys) * keys);
  }
  return keyHeads * seen * width * 2 * 2;
}
const prefill: Counted = {
  name: "attention of a prompt, float16, causal",
  tiled: true,
  tolerance: 2e-3,
  most: { dispatches: 1, share: 1.02 },
  prepare(full) {
    const [heads, keyHeads, length, width] = full ? [32, 8, 512, 128] as const : [8, 2, 96, 64] as const;
    const q = normal([1, heads, length, width], 1, mx.float16);
    const k = normal([1, keyHeads, length, width], 2, mx.float16);
    const v = normal([1, keyHeads, length, width], 3, mx.float16);
    const options = { scale: width ** -0.5, mask: "causal" } as const;
    return {
      ...evaluating(() => [mx.fast.scaledDotProductAttention(q, k, v, options)]),
      ideal: 2 * q.nbytes + causalKeys(length, heads / keyHeads, width, keyHeads),
    };
  },
};
const decode: Counted = {
  name: "attention of a token, float16",
  tiled: false,
  tolerance: 2e-3,
  most: { dispatches: 2, share: 1.1 },
  prepare(full) {
    const [heads, keyHeads, length, width] = full ? [32, 8, 4096, 128] as const : [8, 2, 1024, 64] as const;
    const q = normal([1, heads, 1, width], 1, mx.float16);
    const k = normal([1, keyHeads, length, width], 2, mx.float16);
    const v = normal([1, keyHeads, length, width], 3, mx.float16);
    const attend = () => [mx.fast.scaledDotProductAttention(q, k, v, { scale: width ** -0.5 })];
    return { ...evaluating(attend), ideal: bytesOf(q, k, v) + q.nbytes };
  },
};
const layer: Counted = {
  name: "llama layer, a token, 4 bits",
  tiled: false,
  tolerance: 4e-3,
  most: { dispatches: 10, share: 1.1 },
  prepare(full) {
    const { bytes, ...work } = decodeLayer(full ? FULL : TINY);
    return { ...work, ideal: bytes };
  },
};
const training: Counted = {
  name: "training step, transformer",
  tiled: false,
  tolerance: 2e-3,
  most: { dispatches: Infinity, share: Infinity },
  prepare(full) {
    const { step, state } = transformerStep(full ? [1024, 256, 4, 1, 32] : [64, 32, 1, 2, 8]);
    const once = mx.compile(step, { inputs: state, outputs: state });
    return {
      ...evaluating(() => [once(), ...state.weights]),
      ideal: 0,
      lazily: () => [step(), ...state.weights, ...state.first, ...state.second],
    };
  },
};
/** All of them. */
export const countedWorks: readonly Counted[] = [layer, decode, prefill, product, training];
