/** Index expressions: spellings, regions, gathers, updates and refusals, against plain loops and NumPy's rules. */
import assert from "node:assert/strict";
import * as mx from "../../core/mod.ts";

type Nested = unknown;
const x = () => mx.arange(24).reshape([2, 3, 4]);
const read = (...items: readonly mx.IndexItem[]): Nested => x().index(...items).tolist();
const shape = (...items: readonly mx.IndexItem[]): string => x().index(...items).shape.join();
const s = mx.slice;

Deno.test("numbers drop axes, slices keep them, null makes one", () => {
  assert.deepEqual(read(1, 2), [20, 21, 22, 23]);
  assert.deepEqual(read(-1, -3, 0), 12);
  assert.deepEqual(read(0, s(1, 3), -1), [7, 11]);
  assert.equal(shape(null, "...", 0, null), "1,2,3,1");
  assert.equal(shape(), "2,3,4");
  assert.equal(shape("..."), "2,3,4");
});

Deno.test("slices follow Python, whatever their ends and steps", () => {
  const n = 7, line = Array.from({ length: n }, (_, i) => i);
  const ends = [null, -9, -7, -3, 0, 2, 6, 7, 9];
  for (const start of ends) {
    for (const stop of ends) {
      for (const step of [null, 1, 2, 3, -1, -2, -8]) {
        const got = mx.arange(n).index(s(start, stop, step)).tolist();
        assert.deepEqual(got, pythonSlice(line, start, stop, step ?? 1), `${start}:${stop}:${step}`);
      }
    }
  }
  assert.deepEqual(mx.arange(n).index(s(3)).tolist(), [0, 1, 2]);
});
/** `list[start:stop:step]` by walking, with the ends of Python's `slice.indices`. */
function pythonSlice(list: readonly number[], start: number | null, stop: number | null, step: number): number[] {
  const n = list.length, [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const end = (k: number) => k < 0 ? Math.max(k + n, low) : Math.min(k, high);
  const first = start === null ? (step > 0 ? 0 : n - 1) : end(start);
  const last = stop === null ? (step > 0 ? n : -1) : end(stop);
  const out: number[] = [];
  for (let i = first; step > 0 ? i < last : i > last; i += step) out.push(list[i] ?? NaN);
  return out;
}

Deno.test("a string spells the same as its parts", () => {
  assert.deepEqual(read("0, 1:3, ..., None"), read(0, s(1, 3), "...", null));
  assert.deepEqual(read("::-1, -1"), read(s(null, null, -1), -1));
  assert.deepEqual(read("...,:2"), read("...", s(2)));
  assert.deepEqual(read("1,"), read(1));
  assert.throws(() => read("1:x"), /read the index "1:x"/);
  assert.throws(() => read("0:1:2:3"), mx.ValueError);
});

Deno.test("integer arrays gather, and stand where they are, or first if something separates them", () => {
  assert.equal(shape([[0, 1], [1, 0]]), "2,2,3,4");
  assert.equal(shape(s(null, null), [0, 2, 1, 1, 0]), "2,5,4");
  assert.equal(shape(s(null, null), [0, 2], [1, 3]), "2,2");
  assert.equal(shape([0, 1], s(null, null), [1, 3]), "2,3");
  assert.equal(shape(0, s(null, null), [1, 3]), "2,3");
  assert.equal(shape(s(null, null), 0, [1, 3, 2]), "2,3");
  assert.equal(shape(null, [0, 1], [0, 2]), "1,2,4");
  assert.deepEqual(read([1, 0], s(null, null, -2), [-1, 0]), [[23, 15], [8, 0]]);
  assert.deepEqual(read(mx.array([0, 1], mx.uint8), 1, 1), [5, 17]);
  assert.deepEqual(read(mx.array([[1], [0]], mx.int64), [2, 0], -1), [[23, 15], [11, 3]]);
});

Deno.test("updates replace, combine, broadcast and count duplicates", () => {
  const line = mx.zeros([4]);
  assert.deepEqual(line.at([0, 2, 0]).add(mx.array([1, 2, 3])).tolist(), [4, 0, 2, 0]);
  assert.deepEqual(line.at(s(null, null, -1)).set(mx.arange(4)).tolist(), [3, 2, 1, 0]);
  assert.deepEqual(line.at("1:3").set(5).tolist(), [0, 5, 5, 0]);
  assert.deepEqual(line.add(6).at(1).divide(3).tolist(), [6, 2, 6, 6]);
  assert.deepEqual(line.add(6).at([1, 1]).multiply(3).tolist(), [6, 54, 6, 6]);
  assert.deepEqual(line.at([3, 3]).maximum(mx.array([2, 1])).tolist(), [0, 0, 0, 2]);
  assert.deepEqual(line.at(s(2)).minimum(-1).tolist(), [-1, -1, 0, 0]);
  assert.deepEqual(line.at(0).subtract(1).tolist(), [-1, 0, 0, 0]);
  assert.deepEqual(line.tolist(), [0, 0, 0, 0]);
  assert.deepEqual(mx.arange(3).at(0).set(2.7).tolist(), [2, 1, 2]);
});

Deno.test("an update reads back through the expression it was written with", () => {
  const expressions: (readonly mx.IndexItem[])[] = [
    [1],
    [-1, 2, 3],
    [s(null, null, -1), s(2)],
    ["...", 0],
    [null, 1],
    ["1, ..., ::2"],
    [[1, 0]],
    [s(null, null), [2, 0]],
    [s(null, null), [2, 0], [1, 3]],
    [s(0, 2), s(2, 0, -1), [3, 1]],
    [[0, 1], 2],
    [[[1], [0]], [0, 2]],
  ];
  for (const items of expressions) {
    const like = x().index(...items);
    const value = mx.arange(100, 100 + like.size).reshape(like.shape);
    const y = x().at(...items).set(value);
    assert.deepEqual(y.index(...items).tolist(), value.tolist(), String(items));
    const untouched = mx.equal(y, x()).astype(mx.int32).sum().item();
    assert.equal(untouched, 24 - like.size, String(items));
  }
});

Deno.test("masks write one value, or rows in order", () => {
  const mask = x().greater(20);
  assert.deepEqual(x().at(mask).set(0).index(1, 2).tolist(), [20, 0, 0, 0]);
  assert.deepEqual(x().at(mask).set(mx.array([7, 8, 9])).index(1, 2).tolist(), [20, 7, 8, 9]);
  assert.deepEqual(x().at([false, true]).set(mx.array(1)).index(s(null, null), 0, 0).tolist(), [0, 1]);
  assert.deepEqual(x().at(mask).add(100).index(1, 2).tolist(), [20, 121, 122, 123]);
});

Deno.test("masks read the entries where they are true, with other indices and without", () => {
  const mask = x().remainder(5).equal(0), rows = [false, true];
  assert.deepEqual(read(mask), [0, 5, 10, 15, 20]);
  assert.deepEqual(read(rows, 0, s(2)), [[12, 13]]);
  assert.deepEqual(read("...", [true, false, false, true]), read("...", [0, 3]));
  assert.deepEqual(read(0, [[true, false, false, false], [false, true, true, false], [false, false, false, false]]), [
    0,
    5,
    6,
  ]);
  assert.deepEqual(read(null, mask, null), [[[0], [5], [10], [15], [20]]]);
  assert.deepEqual(read(mx.zeros([2], mx.bool_)), []);
  assert.equal(shape(mx.zeros([2], mx.bool_)), "0,3,4");
  assert.deepEqual(x().at(rows, 0, [true, false, true, false]).set(-1).index(1, 0).tolist(), [-1, 13, -1, 15]);
  assert.throws(
    () => read([true, false, true]),
    /index int32\[2,3,4\] with the mask bool\[3\]: expected .* from axis 0/,
  );
  assert.throws(() => read(true), mx.ShapeError);
});
Deno.test("a mask may be concrete inside a transform, and not what vmap or compile trace", () => {
  const v = mx.array([1, 2, 3]), mask = v.notEqual(2);
  const positive = (y: mx.NDArray) => y.square().index(mask).sum();
  assert.deepEqual(mx.grad(positive)(v).tolist(), [2, 0, 6]);
  assert.equal(mx.compile(positive)(v).item(), 10);
  const own = (y: mx.NDArray) => y.index(y.greater(0)).sum();
  for (const transformed of [mx.compile(own), mx.vmap((y: mx.NDArray) => mx.nonzero(y)[0]!)]) {
    assert.throws(
      () => transformed(v),
      (e) => e instanceof mx.TraceError && /Fix: use mx\.where\(mask, x/.test(e.message),
    );
  }
});
Deno.test("nonzero gives an index array for each axis", () => {
  assert.deepEqual(mx.nonzero(mx.array([[0, 5, 0], [7, 0, NaN]])).map((i) => i.tolist()), [[0, 1, 1], [1, 0, 2]]);
  assert.deepEqual(mx.nonzero(mx.zeros([2, 0, 3])).map((i) => i.shape), [[0], [0], [0]]);
  assert.deepEqual(mx.nonzero(mx.array(3)), []);
});

Deno.test("what cannot be indexed is refused, with the way out", () => {
  assert.throws(
    () => read(2),
    /\[index\] cannot take entry 2 of axis 0 of int32\[2,3,4\]: expected an integer in \[-2, 1\], got 2/,
  );
  assert.throws(() => read(0, 0, 0, 0), mx.IndexError);
  assert.throws(() => read("...", "..."), mx.IndexError);
  assert.throws(() => read(mx.array([0.5])), mx.DTypeError);
  assert.throws(() => read(s(null, null, 0)), mx.ValueError);
  assert.throws(() => read([0, 1], [0, 1, 2]), mx.ShapeError);
  assert.throws(() => x().at(0).set(mx.zeros([5])), mx.ShapeError);
  assert.throws(() => x().at(0).divide(2), mx.DTypeError);
  assert.throws(() => x().at(mx.zeros([3], mx.bool_)).set(1), mx.ShapeError);
  assert.throws(() => mx.arange(3).index([3]).tolist(), /out of range|out of bounds/);
});

Deno.test("index: arrays into an axis without entries are refused, empty ones are not", () => {
  const empty = mx.zeros([2, 1, 0]), zero = mx.zeros([2], mx.int32), none = mx.zeros([0], mx.int32);
  assert.throws(() => empty.index("...", zero), /\[index\] cannot take from axis 2 of float32\[2,1,0\]/);
  assert.throws(() => empty.index(zero, "...", zero), mx.IndexError);
  assert.deepEqual(empty.index("...", none).tolist(), [[[]], [[]]]);
});
