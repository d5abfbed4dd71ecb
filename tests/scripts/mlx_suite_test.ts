/**
 * The comparison of MLX's own tests with the list of those that are known to fail.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { compare, type Outcome, report } from "../../scripts/mlx_suite.ts";
import { known } from "../mlx_suite_known.ts";

const outcomes: readonly Outcome[] = [
  { id: "a", status: "pass" },
  { id: "b", status: "fail", msg: "because" },
  { id: "c", status: "timeout" },
  { id: "d", status: "skip" },
  { id: "e", status: "pass" },
];
Deno.test("compare counts what applies, and finds failures without an entry and entries without a failure", () => {
  const list = [{ reason: "r", tests: ["b", "a", "gone"] }, { reason: "slow", tests: ["e"], mayPass: true as const }];
  const all = compare(outcomes, list, true);
  assertEquals([all.passed, all.applying], [2, 4]);
  assertEquals(all.explained.get("r")!.map(({ id }) => id), ["b"]);
  assertEquals([all.unexpected.map(({ id }) => id), all.stale], [["c"], ["a", "gone"]]);
  assertEquals(compare(outcomes, list, false).stale, ["a"]);
  assertEquals(report(all), [
    "1 known: r",
    "    b",
    "UNEXPECTED c [timeout] ",
    "STALE a passes, or is no test",
    "STALE gone passes, or is no test",
    "2 of 4 tests that apply pass (50.0 %), 1 known failures, 1 unexpected, 2 stale",
  ]);
});
Deno.test("the list names each test once, with a reason", () => {
  const names = known.flatMap(({ tests }) => tests);
  assertEquals(new Set(names).size, names.length);
  assert(known.every(({ reason, tests }) => reason.length > 10 && tests.length > 0));
});
