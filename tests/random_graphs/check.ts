/**
 * Runs a program in several ways that must agree: all at once (fused), in two parts, compiled, and every node on its
 * own, on the CPU, with loops in place of vmap.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import { float32 } from "../../core/dtype.ts";
import { evaluate } from "../../core/eval.ts";
import { collect } from "../../core/plan.ts";
import {
  checkpoint,
  compile,
  cpu,
  disableCompile,
  enableCompile,
  grad,
  jvp,
  onesLike,
  stack,
  stream,
  sum,
  vjp,
  vmap,
  zerosLike,
} from "../../mod.ts";
import { Random } from "../cases/generate.ts";
import { fromArray, type Tensor, tensor, toArray } from "../cases/tensor.ts";
import { avals, type Program, run, type Transform } from "./program.ts";

/** A function of arrays that gives a list of them. */
export type Listed = (...xs: NDArray[]) => NDArray[];

const isSmooth = (x: NDArray): boolean => x.dtype.kind === "float" || x.dtype.kind === "complex";
/** The sum of all that has derivatives, as a real number. */
function total(ys: readonly NDArray[]): NDArray | null {
  const parts = ys.filter(isSmooth).map((y) =>
    sum(y.dtype.kind === "complex" ? y.real.add(y.imag) : y).astype(float32)
  );
  return parts.length ? parts.reduce((a, b) => a.add(b)) : null;
}
const half = (x: NDArray): NDArray => x.mul(0.5).astype(x.dtype);
/** Two examples of a batch: the arguments and their halves. */
const mapped = (f: Listed): Listed => (...xs) => vmap(f)(...xs.map((x) => stack([x, half(x)])));
const looped = (f: Listed): Listed => (...xs) => {
  const second = f(...xs.map(half));
  return f(...xs).map((y, i) => stack([y, second[i]!]));
};
const APPLY: Readonly<Record<Transform, (f: Listed) => Listed>> = {
  grad: (f) => (...xs) => {
    const value = (first: NDArray): NDArray => total(f(first, ...xs.slice(1))) ?? sum(first).astype(float32);
    return [grad(value)(xs[0]!)];
  },
  vjp: (f) => (...xs) => {
    const smooth: Listed = (...inner) => f(...inner).filter(isSmooth), like = smooth(...xs);
    return like.length ? vjp(smooth, xs, like.map((y) => onesLike(y)))[1] : xs.map((x) => zerosLike(x));
  },
  jvp: (f) => (...xs) => jvp(f, xs, xs.map(half))[1],
  vmap: mapped,
  compile: (f) => compile(f),
  checkpoint: (f) => checkpoint(f),
};
/** The function with the transforms around it, the innermost first. */
export function transformed(f: Listed, transforms: readonly Transform[], loops = false): Listed {
  return transforms.reduce((g, t) => loops && t === "vmap" ? looped(g) : APPLY[t](g), f);
}
/** Every node evaluated on its own, inputs first: nothing is fused, nothing shares memory. */
export function computedApart(g: Listed, xs: readonly NDArray[]): NDArray[] {
  disableCompile();
  try {
    const ys = g(...xs);
    for (const n of collect(ys, (n) => n.state === "evaluated")) if (n.state === "lazy") evaluate([n]);
    evaluate(ys);
    return ys;
  } finally {
    enableCompile();
  }
}
function together(g: Listed, xs: readonly NDArray[]): NDArray[] {
  const ys = g(...xs);
  evaluate(ys);
  return ys;
}
/** Some of the graph first, the rest after it. */
function inParts(g: Listed, xs: readonly NDArray[]): NDArray[] {
  const ys = g(...xs);
  evaluate(collect(ys, (n) => n.state === "evaluated").filter((_, i) => i % 7 === 3));
  evaluate(ys);
  return ys;
}
const WAYS: Readonly<Record<string, (g: Listed, xs: readonly NDArray[]) => NDArray[]>> = {
  together,
  "in parts": inParts,
  compiled: (g, xs) => together(compile(g), xs),
};

/**
 * The largest difference of two lists as a part of their size; infinite where one is NaN or infinite and the other is
 * not.
 */
function distance(a: readonly Tensor[], b: readonly Tensor[]): number {
  let worst = 0;
  a.forEach((x, i) => {
    const y = b[i]!, parts = [[x.re, y.re], ...x.im && y.im ? [[x.im, y.im]] : []] as [Float64Array, Float64Array][];
    const finite = y.re.filter((v) => Number.isFinite(v)),
      size = Math.sqrt(finite.reduce((s, v) => s + v * v, 0) / Math.max(1, finite.length));
    for (const [p, q] of parts) {
      p.forEach((v, k) => {
        const w = q[k]!;
        if (Object.is(v, w) || v === w) return;
        const off = Math.abs(v - w) / Math.max(Math.abs(w), size, 1e-6);
        worst = Math.max(worst, Number.isNaN(off) ? Infinity : off);
      });
    }
  });
  return worst;
}
/** What became of a program: it agrees, or its results hang on the last bit of its inputs, or a way differs. */
export type Verdict = { readonly kind: "agrees" | "sensitive" } | { readonly kind: "differs"; readonly how: string };

/** Moves each number by about a unit of its last place, up or down, the same way in every run with the seed. */
function nudge(seed: number): (x: NDArray) => NDArray {
  const r = new Random(seed);
  return (x) => {
    if (!isSmooth(x)) return x;
    const eps = x.dtype.name === "float16" ? 2 ** -10 : x.dtype.name === "bfloat16" ? 2 ** -7 : 2 ** -22;
    const factors = Float64Array.from({ length: x.size }, () => 1 + eps * (r.next() < 0.5 ? -1 : 1));
    return x.mul(toArray(tensor(x.shape, x.dtype, factors)));
  };
}
/** Runs the program in all ways. */
export function verdict(p: Program): Verdict {
  const arrays = () => p.inputs.map(toArray), g = transformed((...xs) => run(p, xs), p.transforms);
  const apart = (after?: (x: NDArray) => NDArray) =>
    stream(
      cpu,
      () => computedApart(transformed((...xs) => run(p, xs, after), p.transforms, true), arrays()).map(fromArray),
    );
  let how = "every node on its own throws";
  try {
    const wanted = apart(), isHalf = avals(p).some((a) => a.dtype.size === 2 && a.dtype.kind === "float");
    for (const [way, compute] of Object.entries(WAYS)) {
      how = `${way} throws`;
      const got = compute(g, arrays()).map(fromArray), off = distance(got, wanted);
      if (off <= (isHalf ? 3e-2 : 1e-3)) continue;
      const swing = Math.max(...[1, 2, 3].map((seed) => distance(apart(nudge(seed)), wanted)));
      if (swing >= off / 8) return { kind: "sensitive" };
      return {
        kind: "differs",
        how: `${way}: off by ${off.toExponential(2)} of the size (a nudge moves results by ${swing.toExponential(1)})`,
      };
    }
    return { kind: "agrees" };
  } catch (e) {
    return { kind: "differs", how: `${how}: ${e instanceof Error ? e.message : e}` };
  }
}
