/**
 * Tests of the comparisons of the language-model runners, with no library.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { comparable, jsonMismatch, numbersMismatch } from "./compare.ts";

const tolerance = { atol: 1e-3, rtol: 1e-3 };

Deno.test("numbers: tolerance, and infinities at the same places", () => {
  assertEquals(numbersMismatch([1, -Infinity], [1.001, -Infinity], tolerance), null);
  assert(numbersMismatch([1.01], [1], tolerance) !== null);
  assert(numbersMismatch([0], [-Infinity], tolerance) !== null);
  assert(numbersMismatch([NaN], [0], tolerance) !== null);
  assert(numbersMismatch([1], [1, 2], tolerance) !== null);
});

Deno.test("outputs: probabilities have a tolerance, ids are exact, margins inform", () => {
  const want = { tokens: [3, 4], logprobs: [-1, -2.5], margins: [9, 9], text: "a" };
  const same = (change: Record<string, unknown>): boolean =>
    jsonMismatch({ ...want, ...change }, want, tolerance) === null;
  assert(same({}) && same({ logprobs: [-1.0005, -2.5] }) && same({ margins: [] }));
  assert(
    !same({ logprobs: [-1.01, -2.5] }) && !same({ tokens: [3, 5] }) && !same({ tokens: [3] }) && !same({ text: "b" }),
  );
  assertEquals(
    jsonMismatch({ segments: [["a", 1, "stop"]] }, { segments: [["a", 1, null]] }, tolerance),
    'segments[0][2]: "stop" instead of null',
  );
});

Deno.test("tokens count up to the first near-tie", () => {
  assertEquals(comparable([0.5, 0.001, 0.5], "float32", false), 1);
  assertEquals(comparable([0.5, 0.005, 0.5], "float32", false), 3);
  assertEquals(comparable([0.5, 0.005, 0.5], "float32", true), 1);
  assertEquals(comparable([0.5, 0.1], "bfloat16", false), 1);
});
