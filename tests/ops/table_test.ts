/**
 * The case table against the op table: every primitive is tried with the parameters and inputs that its record names.
 * @module
 */
import { assertEquals } from "@std/assert";
import { allPrimitives, primitive } from "../../core/graph.ts";
import "../../mod.ts";
import type { Variant } from "../cases/case.ts";
import { allCases } from "../cases/mod.ts";

Deno.test("every primitive that the CPU has has a case, and no other has", () => {
  assertEquals(
    allCases.map(([name]) => name).toSorted(),
    allPrimitives().filter((p) => !p.onlyGpu).map((p) => p.name).toSorted(),
  );
});
Deno.test("cases give the parameters and inputs of their records", () => {
  const wrong: string[] = [];
  for (const [name, c] of allCases) {
    const { params, arity } = primitive(name), perf: Variant[] = [...c.perf];
    if (!c.variants.length || !c.perf.length || !c.dtypes.length) wrong.push(`${name} has nothing to try`);
    for (const variant of [...c.variants, ...perf]) {
      if (Object.keys(variant.params).toSorted().join() !== Object.keys(params).toSorted().join()) {
        wrong.push(`${name}: parameters ${Object.keys(variant.params)}`);
      }
      if (Number.isFinite(arity) && variant.inputs.length !== arity) {
        wrong.push(`${name}: ${variant.inputs.length} inputs`);
      }
    }
  }
  assertEquals(wrong, []);
});
Deno.test("sizes for benches have shapes that their records take", () => {
  for (const [name, c] of allCases) {
    for (const { dtype, inputs, params } of c.perf) {
      const out = primitive(name).infer(inputs.map((x) => ({ shape: x.shape, dtype: x.dtype ?? dtype })), params);
      assertEquals(out.shape.every((n) => Number.isInteger(n) && n >= 0), true, name);
    }
  }
});
Deno.test("rules that are absent say why", () => {
  for (const { name, vjp, jvp, vmap } of allPrimitives()) {
    for (const rule of [vjp, jvp, vmap]) assertEquals(typeof rule !== "object" || rule.none.length > 0, true, name);
  }
});
