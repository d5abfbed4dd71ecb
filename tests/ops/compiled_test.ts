/**
 * Every primitive compiled against eager, bit for bit, and fused with its neighbours against every intermediate
 * evaluated on its own.
 * @module
 */
import type { NDArray } from "../../core/array.ts";
import type { DType } from "../../core/dtype.ts";
import { primitive } from "../../core/graph.ts";
import type { PrimitiveName } from "../../core/primitives/mod.ts";
import { compile, copy, equal, eval as evaluate, where } from "../../mod.ts";
import type { Tolerance, Variant } from "../cases/case.ts";
import { fromArray, type Tensor } from "../cases/tensor.ts";
import { call, difference, exactDifference, FULL, inputsOf, LAYOUTS, nameOf, paramsText, suite } from "./harness.ts";

function arraysOf(xs: readonly Tensor[], layout: string): NDArray[] {
  return xs.map((x) => (LAYOUTS[layout]!(x) ?? LAYOUTS.contiguous!(x)!).array);
}
/** Elementwise work on both sides of the primitive that changes no value: it fuses with what lets it. */
function surrounded(
  name: PrimitiveName,
  variant: Variant,
  step: (x: NDArray) => NDArray,
): (...xs: NDArray[]) => NDArray {
  return (...xs) => {
    const y = step(call(name, xs.map((x) => step(copy(x))), variant));
    return step(where(step(equal(y, y)), step(copy(y)), y));
  };
}
function computed(x: NDArray): NDArray {
  evaluate(x);
  return x;
}
/**
 * One compiled function for all inputs that go with the same parameters: other shapes and dtypes need other programs.
 */
type Compiled = (...xs: NDArray[]) => NDArray;
function compare(
  name: PrimitiveName,
  compiled: Compiled,
  tolerance: Tolerance,
  variant: Variant,
  xs: readonly Tensor[],
  layout: string,
): string | null {
  const eager = fromArray(call(name, arraysOf(xs, layout), variant));
  const unfused = surrounded(name, variant, computed),
    fused = surrounded(name, variant, (x) => x),
    wanted = fromArray(unfused(...arraysOf(xs, layout)));
  const again = arraysOf(xs, layout), first = exactDifference(fromArray(compiled(...again)), eager);
  if (first) return `compiled: ${first}`;
  const second = exactDifference(fromArray(compiled(...again)), eager);
  if (second) return `compiled, called twice: ${second}`;
  // A reduction may run over its elements in another order inside a kernel.
  const inOrder = primitive(name).kind === "elementwise";
  const near = (y: Tensor) => inOrder ? exactDifference(y, wanted) : difference(y, wanted, tolerance, false);
  const together = near(fromArray(fused(...arraysOf(xs, layout))));
  if (together) return `fused: ${together}`;
  const both = near(fromArray(compile(fused)(...arraysOf(xs, layout))));
  return both && `fused and compiled: ${both}`;
}
suite("compiled", (name, c, t) => {
  const functions = new Map<string, Compiled>();
  const compiledFor = (variant: Variant): Compiled => {
    const key = paramsText(variant.params), known = functions.get(key);
    if (known) return known;
    const made = compile((...inputs: NDArray[]) => call(name, inputs, variant));
    functions.set(key, made);
    return made;
  };
  c.variants.forEach((variant, v) => {
    (variant.dtypes ?? c.dtypes).forEach((dtype: DType, d) => {
      if (!FULL && d > 0 && (v + d) % 3 > 0) return;
      const xs = inputsOf(variant, dtype, 13 * v + d);
      for (const layout of FULL || d === 0 ? ["contiguous", "transposed", "reversed"] : ["contiguous"]) {
        t.check(
          nameOf(name, variant, dtype, layout),
          () => compare(name, compiledFor(variant), c.tolerance ?? {}, variant, xs, layout),
        );
      }
    });
  });
});
