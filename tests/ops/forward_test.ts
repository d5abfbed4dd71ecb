/**
 * Every primitive against its reference, in every dtype and in every layout of its inputs.
 * @module
 */
import { primitive } from "../../core/graph.ts";
import { count } from "../cases/tensor.ts";
import { call, difference, expected, FULL, inputsOf, LAYOUTS, nameOf, suite, valueOf } from "./harness.ts";

suite("forward", (name, c, t) => {
  const elementwise = primitive(name).kind === "elementwise";
  c.variants.forEach((variant, v) => {
    (variant.dtypes ?? c.dtypes).forEach((dtype, d) => {
      Object.entries(LAYOUTS).forEach(([layout, place], k) => {
        // A part: all layouts in the first dtype, in the others one after the other; large inputs as they are.
        const large = variant.inputs.some(({ shape }) => count(shape) > 500);
        if (!FULL && k > 0 && (large || (d > 0 && (v + d) % 6 !== k - 1))) return;
        const placed = inputsOf(variant, dtype, 1000 * v + d).map((x) => place(x) ?? LAYOUTS.contiguous!(x)!);
        t.check(nameOf(name, variant, dtype, layout), () => {
          const { stored } = expected(name, c, placed.map((p) => p.tensor), variant);
          return difference(
            valueOf(call(name, placed.map((p) => p.array), variant)),
            stored,
            c.tolerance ?? {},
            elementwise,
          );
        });
      });
    });
  });
});
