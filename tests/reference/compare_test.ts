/**
 * Tests of the reference runner itself: comparison, perturbation, signatures, trees, and safetensors, with no library.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { parseSignature } from "./calls.ts";
import { postsOf } from "./cases.ts";
import { arrayMismatch, mismatch, perturbed, type Post, show, type Value } from "./compare.ts";
import { camel, Missing } from "./library.ts";
import { RuntimeLibraryError, ShapeError } from "../../core/errors.ts";
import { commandLine, isExpected } from "./report.ts";
import { formatTensors, type HostArray, hostArray, parseTensors } from "./safetensors_reader.ts";
import { flatten, unflatten } from "./values.ts";
import { parametersOf, shorten } from "../../scripts/gen_signatures.ts";

const exact = { rtol: 0, atol: 0 }, loose = { rtol: 1e-5, atol: 1e-6 };
const f32 = (shape: number[], ...data: number[]): HostArray => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(data),
});
const i32 = (shape: number[], ...data: number[]): HostArray => ({ dtype: "int32", shape, data: Int32Array.from(data) });
const c64 = (shape: number[], ...data: number[]): HostArray => ({
  dtype: "complex64",
  shape,
  data: Float32Array.from(data),
});

Deno.test("arrays: dtype, shape and values have to agree", () => {
  assertEquals(arrayMismatch(i32([2], 1, 2), i32([2], 1, 2), exact), null);
  assertEquals(arrayMismatch(i32([2], 1, 2), f32([2], 1, 2), exact), "dtype int32 instead of float32");
  assertEquals(arrayMismatch(i32([2], 1, 2), i32([2, 1], 1, 2), exact), "shape [2] instead of [2,1]");
  assertEquals(arrayMismatch(i32([2], 1, 3), i32([2], 1, 2), exact), "3 instead of 2 at 1");
  const big = (v: bigint): HostArray => ({ dtype: "int64", shape: [1], data: BigInt64Array.of(v) });
  assert(arrayMismatch(big(2n ** 60n + 1n), big(2n ** 60n), exact) !== null);
});

Deno.test("floats: tolerance, NaN and infinity patterns, zero of either sign", () => {
  assertEquals(arrayMismatch(f32([1], 1 + 5e-6), f32([1], 1), loose), null);
  assert(arrayMismatch(f32([1], 1 + 5e-5), f32([1], 1), loose) !== null);
  assertEquals(arrayMismatch(f32([3], NaN, Infinity, -0), f32([3], NaN, Infinity, 0), exact), null);
  assert(arrayMismatch(f32([1], NaN), f32([1], 0), loose) !== null);
  assert(arrayMismatch(f32([1], Infinity), f32([1], -Infinity), loose) !== null);
  assert(arrayMismatch(f32([1], 3e38), f32([1], Infinity), loose) !== null);
});

Deno.test("complex: each part by itself, the largest part gives slack", () => {
  assert(arrayMismatch(c64([1], 1000, 5e-3), c64([1], 1000, 0), loose)?.startsWith("imaginary part off by 0.005"));
  assertEquals(arrayMismatch(c64([2], 1000, 0, 1, 0), c64([2], 1000, 0, 1.005, 0), loose), null);
  assert(arrayMismatch(c64([1], 1, 1), c64([1], 1, -1), loose)?.startsWith("imaginary part"));
});

Deno.test("post-processing: abs, sort, sort_complex, partition, skip", () => {
  assertEquals(arrayMismatch(f32([2], -1, 2), f32([2], 1, -2), exact, ["abs"]), null);
  assertEquals(arrayMismatch(f32([2, 2], 2, 1, 1, 2), f32([2, 2], 1, 2, 2, 1), exact, ["sort", 1]), null);
  assertEquals(arrayMismatch(f32([2, 2], 2, 1, 1, 2), f32([2, 2], 1, 2, 2, 1), exact, ["sort", 0]), null);
  assert(arrayMismatch(f32([2, 2], 1, 2, 3, 4), f32([2, 2], 3, 2, 4, 1), exact, ["sort", 0]) !== null);
  assertEquals(arrayMismatch(c64([2], 1, 2, 0, 1), c64([2], 0, 1, 1, 2), loose, ["sort_complex"]), null);
  assertEquals(arrayMismatch(f32([4], 1, 0, 2, 9), f32([4], 0, 1, 2, 9), exact, ["partition", 2, 0]), null);
  assert(arrayMismatch(f32([4], 1, 2, 0, 9), f32([4], 0, 1, 2, 9), exact, ["partition", -2, 0]) !== null);
  assertEquals(arrayMismatch(f32([1], 1), f32([1], 7), exact, "skip"), null);
  assert(arrayMismatch(f32([1], 1), f32([2], 7, 7), exact, "skip") !== null);
});

Deno.test("plain data: floats within 1e-6, everything else equal", () => {
  const same = (got: Value, want: Value): boolean => mismatch([got], [want], exact, []) === null;
  assert(same(1.5 + 1e-7, 1.5) && !same(1.5 + 1e-5, 1.5));
  assert(same(3n, 3) && !same(4, 3) && !same("3", 3) && !same(true, 1));
  assert(same([1, ["a", null]], [1, ["a", null]]) && !same([1], [1, 2]));
  assert(same({ a: { b: 1 } }, { a: { b: 1 } }) && !same({ a: 1, b: 2 }, { a: 1 }) && !same({}, { a: 1 }));
  assert(same({ dtypeName: "int8" }, { dtypeName: "int8" }) && !same("int8", { dtypeName: "int8" }));
  assert(same([["w", f32([1], 2)]], [["w", f32([1], 2)]]) && !same([["w", f32([1], 2)]], [["w", i32([1], 2)]]));
  assertEquals(mismatch([], [1], exact, []), "0 outputs instead of 1");
});

Deno.test("sums in another order may differ by a part of the largest number, and not by more", () => {
  const want = f32([2], 1000, 0), tolerance = { rtol: 1e-6, atol: 1e-6, ofLargest: 2 ** -20 };
  assertEquals(arrayMismatch(f32([2], 1000, 9e-4), want, tolerance), null);
  assert(arrayMismatch(f32([2], 1000, 1e-3), want, tolerance) !== null);
  assert(arrayMismatch(f32([2], 1000, 9e-4), want, { rtol: 1e-6, atol: 1e-6 }) !== null);
});

Deno.test("every perturbed output differs from the recorded one", () => {
  const samples: [Value, Post][] = [
    [f32([2], 1, 2), null],
    [f32([1], NaN), null],
    [f32([1], -Infinity), null],
    [f32([0]), null],
    [f32([1], 4), "skip"],
    [f32([2], 5, 1), ["sort", 0]],
    [i32([2], 0, 9), null],
    [c64([1], 1, 2), null],
    [true, null],
    ["", null],
    [null, null],
    [0, null],
    [Infinity, null],
    [[], null],
    [{}, null],
    [{ dtypeName: "bool" }, null],
    [{ dtype: "bool", shape: [], data: Uint8Array.of(1) }, null],
    [{ dtype: "uint64", shape: [1], data: BigUint64Array.of(0n) }, null],
  ];
  for (const tolerance of [exact, loose, { rtol: 0.04, atol: 3 }]) {
    for (const [value, post] of samples) {
      assertEquals(mismatch([value], [value], tolerance, [post]), null);
      assert(mismatch([value], [perturbed(value, tolerance, post)], tolerance, [post]) !== null, show(value));
    }
  }
});

Deno.test("a list of post-processings has one entry per output", () => {
  const base = { id: "", fn: "", transform: "eval", args: [], kwargs: {}, rtol: 0, atol: 0, out: [1, 2] } as const;
  assertEquals(postsOf({ ...base, post: ["sort", 0] }), [["sort", 0], ["sort", 0]]);
  assertEquals(postsOf({ ...base, post: [null, "abs"], post_per_output: true }), [null, "abs"]);
  assertEquals(postsOf(base), [null, null]);
});

Deno.test("signatures of Python in short notation, and back", () => {
  assertEquals(parametersOf("f(a: tuple[int, int], b: str = 'x,y', *, c=<f at 0x1>) -> g"), [
    "a: tuple[int, int]",
    "b: str = 'x,y'",
    "*",
    "c=<f at 0x1>",
  ]);
  assertEquals(
    shorten(
      "clip(a: array, /, a_min: scalar | array | None, k: int | None = None, *, eps: float = 1e-5, stream: S = None)",
    ),
    "a:a a_min:a k? * eps=",
  );
  assertEquals(shorten("abs(a: array, /, *, stream: StreamOrDevice = None) -> array"), "a:a");
  const [a, k, rest, eps] = parseSignature("a:a k? *rest:a eps= **kwargs");
  assert(
    a?.required && a.array && !a.keyword && k?.nullable && !k.required && rest?.rest && eps?.keyword && !eps.nullable,
  );
  assertEquals(["take_along_axis", "atleast_1d", "log1p", "UPLO", "a_min"].map(camel), [
    "takeAlongAxis",
    "atleast1d",
    "log1p",
    "UPLO",
    "aMin",
  ]);
});

Deno.test("trees: gaps of lists are empty, flattened by name", () => {
  assertEquals(unflatten([["layers.0.w", 1], ["layers.2.w", 3], ["b", 4]]), { layers: [{ w: 1 }, {}, { w: 3 }], b: 4 });
  assertEquals(flatten({ b: [1, { c: 2 }], a: 0 }), [["a", 0], ["b.0", 1], ["b.1.c", 2]]);
});

Deno.test("safetensors: written and read back, bfloat16 and complex exactly", () => {
  const halves = new Uint8Array(Uint16Array.of(0x3f80, 0xc000).buffer),
    parts = new Uint8Array(Float32Array.of(1, 2).buffer);
  const file = formatTensors(
    new Map([
      ["h", { type: "BF16", shape: [2], bytes: halves }],
      ["é", { type: "F32", shape: [1, 2], bytes: parts }],
    ]),
  );
  const [h, c] = [...parseTensors(file).values()];
  assert(h !== undefined && c !== undefined);
  assertEquals(hostArray(h), { dtype: "bfloat16", shape: [2], data: Float32Array.of(1, -2) });
  assertEquals(hostArray(c, true), { dtype: "complex64", shape: [1], data: Float32Array.of(1, 2) });
});

Deno.test("the command line", () => {
  const line = commandLine(["dir", "--filter", "a b", "--perturb=3", "--quiet"], "", {
    options: ["filter", "perturb"],
    flags: ["quiet"],
  });
  assertEquals([line.folders, [...line.options], [...line.flags]], [["dir"], [["filter", "a b"], ["perturb", "3"]], [
    "quiet",
  ]]);
});

Deno.test("an expected error is one that speaks to the user", () => {
  const failure = { cannot: "add", expected: "a", got: "b", fix: "c" };
  assert(isExpected(new ShapeError("add", failure)) && isExpected(new RangeError("no such axis")));
  assert(!isExpected(new Missing("mx.add")) && !isExpected(new RuntimeLibraryError("ffi", failure)));
  assert(!isExpected(new TypeError("x.foo is not a function")) && !isExpected("text"));
});
