/** Trees: flattening and back, maps, reductions, merges. */
import assert from "node:assert/strict";
import { ValueError } from "../../core/errors.ts";
import { treeFlatten, treeMap, treeMapWithPath, treeMerge, treeReduce, treeUnflatten } from "../../core/tree.ts";

const tree = { a: 1, b: { c: 2, d: [3, [4]] } };

Deno.test("flattening names every leaf, and unflattening undoes it", () => {
  const flat = treeFlatten(tree);
  assert.deepEqual(flat, [["a", 1], ["b.c", 2], ["b.d.0", 3], ["b.d.1.0", 4]]);
  assert.deepEqual(treeUnflatten(flat), tree);
  assert.deepEqual(treeUnflatten(Object.fromEntries(flat)), tree);
  assert.deepEqual(treeUnflatten(treeFlatten(7)), 7);
  assert.deepEqual(treeFlatten([[[0]]], { prefix: ".hello" }), [["hello.0.0.0", 0]]);
  assert.deepEqual(treeFlatten({ a: [1, 2] }, { isLeaf: Array.isArray }), [["a", [1, 2]]]);
});
Deno.test("lists with gaps, names that look like numbers, and names from strangers", () => {
  assert.deepEqual(treeUnflatten([["l.2", "x"], ["l.0", "y"]]), { l: ["y", {}, "x"] });
  assert.deepEqual(treeUnflatten([["01", 1], ["1", 2]]), { "01": 1, "1": 2 });
  const odd = treeUnflatten([["__proto__.x", 1]]);
  assert.equal(Object.hasOwn(Object(odd), "__proto__"), true);
  assert.equal(Object.hasOwn(Object.prototype, "x"), false);
  assert.throws(() => treeUnflatten([["99999999999", 1], ["0", 2]]), ValueError);
});
Deno.test("maps keep the structure and walk several trees together", () => {
  assert.deepEqual(treeMap((x: number) => 2 * x, tree), { a: 2, b: { c: 4, d: [6, [8]] } });
  assert.deepEqual(treeMap((x: number, y) => x + Number(y), tree, tree), { a: 2, b: { c: 4, d: [6, [8]] } });
  assert.deepEqual(treeMapWithPath((path, x: number) => `${path}=${x}`, tree), {
    a: "a=1",
    b: { c: "b.c=2", d: ["b.d.0=3", ["b.d.1.0=4"]] },
  });
  assert.deepEqual(treeMap((x: unknown) => x, { a: [1] }, { isLeaf: Array.isArray }), { a: [1] });
  assert.throws(() => treeMap((x: number) => x, [1, 2], [1]), {
    message:
      "[treeMap] cannot walk several trees together at 1: expected a node there in every tree, got a tree without it. " +
      "Fix: pass trees of one structure",
  });
});
Deno.test("class instances, null and maps are leaves", () => {
  const leaves = [new Date(0), null, new Map()];
  assert.deepEqual(treeFlatten<unknown>(leaves).map(([, leaf]) => leaf), leaves);
});
Deno.test("reductions go from the first leaf to the last", () => {
  assert.equal(treeReduce((s: number, x: number) => s + x, tree, { initializer: 0 }), 10);
  assert.equal(treeReduce((s: number, x: number) => s * 10 + x, tree), 1234);
  assert.equal(treeReduce((s: string, x: number) => s + x, tree, { initializer: ">" }), ">1234");
  assert.equal(treeReduce((s: number, x: number) => s + x, []), undefined);
});
Deno.test("merges fill gaps and join equal places", () => {
  assert.deepEqual(treeMerge<number>({ a: 1 }, { b: 2 }), { a: 1, b: 2 });
  assert.deepEqual(treeMerge({ a: [1, 2] }, { a: [10, 20, 30] }, { mergeFn: (x: number, y: number) => x + y }), {
    a: [11, 22, 30],
  });
  assert.deepEqual(treeMerge<number>({ a: {} }, { a: { b: 1 } }), { a: { b: 1 } });
  assert.deepEqual(treeMerge<number>({}, {}), {});
  assert.throws(() => treeMerge<number>({ a: 1 }, { a: 2 }), ValueError);
  assert.throws(() => treeMerge<number>({ a: 1 }, { a: [2] }), ValueError);
  assert.throws(() => treeMerge<number>([], {}), ValueError);
});
Deno.test("leaves can be collected in an object", () => {
  const into: Record<string, number> = { kept: 0 };
  assert.equal(treeFlatten<number>({ a: 1, b: [2] }, { destination: into, prefix: ".x" }), into);
  assert.deepEqual(into, { kept: 0, "x.a": 1, "x.b.0": 2 });
  const list: [string, number][] = [["kept", 0]];
  assert.equal(treeFlatten<number>([3], { destination: list }), list);
  assert.deepEqual(list, [["kept", 0], ["0", 3]]);
});
