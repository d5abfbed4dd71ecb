/**
 * What a GPU is given for a few works, at small sizes: no more dispatches and bytes than they need, with results that
 * agree with the CPU's.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { count, countedWorks } from "../../bench/counted.ts";
import * as mx from "../../mod.ts";

const ignore = !mx.isAvailable(mx.gpu);
for (const work of countedWorks) {
  Deno.test({
    name: `counted: ${work.name}${ignore ? " (no GPU here)" : ""}`,
    ignore,
    fn: () => {
      const { faults, took, alone } = count(work, false);
      assertEquals(faults, []);
      assert(took.dispatches > 0 && took.named > 0);
      if (alone) assert(took.dispatches < alone.dispatches / 2 && took.named < alone.named / 2);
    },
  });
}
