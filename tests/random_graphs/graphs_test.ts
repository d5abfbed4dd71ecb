/**
 * Random programs: fused, in parts, compiled and transformed against every node on its own. `SEEDS` sets their number.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { verdict } from "./check.ts";
import { programOf } from "./generate.ts";
import { failureText, runSeeds } from "./main.ts";
import { pruned, shrunk } from "./shrink.ts";

const SEEDS = Number(Deno.env.get("SEEDS") ?? 300);
const BLOCK = 50;
let sensitive = 0;
for (let first = 0; first < SEEDS; first += BLOCK) {
  Deno.test(`random programs ${first} to ${Math.min(SEEDS, first + BLOCK) - 1}`, () => {
    const report = runSeeds(first, Math.min(BLOCK, SEEDS - first), 1);
    sensitive += report.sensitive;
    if (report.failures.length) throw new Error(failureText(report.failures[0]!));
  });
}
Deno.test("few programs hang on the last bit of their inputs", () => {
  assert(sensitive <= Math.max(3, SEEDS / 20), `${sensitive} of ${SEEDS}`);
});
Deno.test("a program has at least 20 steps", () => {
  for (let seed = 0; seed < 40; seed++) assert(pruned(programOf(seed)).steps.length >= 20, `seed ${seed}`);
});
Deno.test("a failure shrinks to the step that fails", () => {
  const program = programOf(3), name = program.steps[10]!.name;
  const small = shrunk(program, (p) => p.steps.some((s) => s.name === name));
  assertEquals(small.steps.length, 1);
  assertEquals(verdict(program).kind, "agrees");
});
