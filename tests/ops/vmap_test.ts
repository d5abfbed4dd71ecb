/**
 * vmap of every primitive against a loop over the batch: every subset of the inputs mapped, every place of the batch
 * axis, the result's batch axis at any place.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import type { DType } from "../../core/dtype.ts";
import { primitive } from "../../core/graph.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { stack, vmap } from "../../mod.ts";
import type { Case, Variant } from "../cases/case.ts";
import { count, fromArray, type Tensor, toArray } from "../cases/tensor.ts";
import { call, difference, FULL, inputsOf, nameOf, suite, type Trial } from "./harness.ts";

const BATCH = 3;
/** Bits that say which inputs are mapped; in a part only some of many. */
function subsets(n: number): number[] {
  const all = Array.from({ length: 2 ** n - 1 }, (_, i) => i + 1);
  return FULL || n <= 3
    ? all
    : all.filter((bits) => bits % 5 === 1 || bits === 2 ** n - 1 || Number.isInteger(Math.log2(bits)));
}
function tryMapping(
  name: PrimitiveName,
  c: Case,
  variant: Variant,
  samples: readonly Tensor[][],
  mapped: readonly boolean[],
  at: number,
): string | null {
  const first = samples[0]!, out = primitive(name).infer(first, variant.params);
  // The batch goes to axis `at` of each input, or as far as the input has axes.
  const axes = first.map((x, i) => mapped[i] ? Math.min(at, x.shape.length) : null),
    outAxis = at % (out.shape.length + 1);
  const arrays = first.map((x, i) => mapped[i] ? stack(samples.map((s) => toArray(s[i]!)), axes[i]!) : toArray(x));
  const got = vmap((...xs: NDArray[]) => call(name, xs, variant), { inAxes: axes, outAxes: outAxis })(...arrays);
  const rows = samples.map((s) => call(name, first.map((x, i) => toArray(mapped[i] ? s[i]! : x)), variant));
  return difference(
    fromArray(got),
    fromArray(stack(rows, outAxis)),
    c.tolerance ?? {},
    primitive(name).kind === "elementwise",
  );
}
function tryVariant(name: PrimitiveName, c: Case, variant: Variant, dtype: DType, seed: number, t: Trial): void {
  const n = variant.inputs.length,
    samples = Array.from({ length: BATCH }, (_, i) => inputsOf(variant, dtype, seed + i));
  if (n === 0) return t.skip("no inputs to map");
  const deepest = Math.max(...variant.inputs.map(({ shape }) => shape.length));
  for (const bits of subsets(n)) {
    const mapped = variant.inputs.map((_, i) => (bits >> i & 1) === 1);
    for (let at = 0; at <= deepest; at++) {
      t.check(
        nameOf(name, variant, dtype, `mapped ${mapped.map(Number)} axis ${at}`),
        () => tryMapping(name, c, variant, samples, mapped, at),
      );
    }
  }
}
suite("vmap", (name, c, t) => {
  const rule = primitive(name).vmap;
  if (typeof rule === "object") return t.skip(rule.none);
  c.variants.forEach((variant, v) => {
    const size = variant.inputs.reduce((sum, { shape }) => sum + count(shape), 0);
    if (size > 300 && !FULL) return t.skip("large inputs are left to the full run");
    const dtypes = variant.dtypes ?? c.dtypes;
    for (const dtype of FULL ? dtypes : new Set([dtypes[0]!, dtypes.at(-1)!])) {
      tryVariant(name, c, variant, dtype, 31 * v + 3, t);
    }
  });
});
