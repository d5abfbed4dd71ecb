/**
 * Laws of the composite operations on random arrays: moves undo each other, indexing is what plain lists say, updates
 * touch what they name, broadcasting is symmetric. Failures print a small counterexample.
 * @module
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import * as mx from "../../mod.ts";
import { count, indicesOf, placeOf } from "../cases/tensor.ts";

const RUNS = { numRuns: Deno.env.get("DENIM_FULL") === "1" ? 1000 : 60, seed: 20 };
const shapes = (max = 4): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: max });
const whole = fc.integer({ min: -9, max: 9 });
/** Whole numbers in a shape. */
const arrays = (max = 4): fc.Arbitrary<{ shape: number[]; values: number[] }> =>
  shapes(max).chain((shape) =>
    fc.array(whole, { minLength: count(shape), maxLength: count(shape) }).map((values) => ({ shape, values }))
  );
const arrayOf = ({ shape, values }: { shape: readonly number[]; values: readonly number[] }): mx.NDArray =>
  mx.array(values).reshape(shape);
const listOf = (x: mx.NDArray): number[] => Array.from(x.dataSync(), Number);
function holds<T>(title: string, inputs: fc.Arbitrary<T>, law: (value: T) => void): void {
  Deno.test(`law: ${title}`, () => fc.assert(fc.property(inputs, law), RUNS));
}
function same(a: mx.NDArray, b: mx.NDArray): void {
  assertEquals(a.shape, b.shape);
  assertEquals(listOf(a), listOf(b));
}
/** An axis of an array. */
const withAxis = arrays().chain((a) => fc.integer({ min: 0, max: a.shape.length - 1 }).map((axis) => ({ ...a, axis })));

holds("reshape, flatten and back", arrays(), (a) => same(arrayOf(a).flatten().reshape(a.shape), arrayOf(a)));
holds("transpose twice", arrays(), (a) => same(arrayOf(a).T.T, arrayOf(a)));
holds(
  "moveaxis there and back",
  withAxis,
  ({ axis, ...a }) => same(arrayOf(a).moveaxis(axis, 0).moveaxis(0, axis), arrayOf(a)),
);
holds("flip twice", withAxis, ({ axis, ...a }) => same(arrayOf(a).flip(axis).flip(axis), arrayOf(a)));
holds("roll by n and by -n", withAxis, ({ axis, ...a }) => same(arrayOf(a).roll(3, axis).roll(-3, axis), arrayOf(a)));
holds("pad and cut", arrays(), (a) => {
  const padded = arrayOf(a).pad(2), middle = a.shape.map((n) => mx.slice(2, 2 + n));
  same(padded.index(...middle), arrayOf(a));
  assertEquals(mx.sum(padded).item(), mx.sum(arrayOf(a)).item());
});
holds("split and concatenate", withAxis, ({ axis, ...a }) => {
  const x = arrayOf(a);
  same(mx.concatenate(x.split(a.shape[axis]!, axis), axis), x);
  same(mx.stack(x.unstack(axis), axis), x);
});
holds("tile repeats whole arrays, repeat elements", arrays(1), (a) => {
  assertEquals(listOf(mx.tile(arrayOf(a), 3)), [...a.values, ...a.values, ...a.values]);
  assertEquals(listOf(mx.repeat(arrayOf(a), 3)), a.values.flatMap((v) => [v, v, v]));
});

holds("sort is an ordered permutation, argsort the way to it", withAxis, ({ axis, ...a }) => {
  const x = arrayOf(a), sorted = mx.sort(x, axis);
  assertEquals(listOf(mx.sort(sorted.flatten(), 0)), a.values.toSorted((p, q) => p - q));
  const lines = sorted.moveaxis(axis, -1);
  if (a.shape[axis]! > 1) assertEquals(mx.all(lines.index("...", "1:").ge(lines.index("...", ":-1"))).item(), true);
  same(mx.takeAlongAxis(x, mx.argsort(x, axis), axis), sorted);
});
holds("topk are the last of the sorted", arrays(1), (a) => {
  const k = Math.ceil(a.values.length / 2), top = listOf(mx.topk(arrayOf(a), k)).toSorted((p, q) => p - q);
  assertEquals(top, a.values.toSorted((p, q) => p - q).slice(-k));
});
holds("rows of softmax sum to 1, and it is blind to a shift", withAxis, ({ axis, ...a }) => {
  const y = mx.softmax(arrayOf(a), axis);
  assertEquals(mx.allclose(y.sum(axis), 1, { rtol: 1e-5 }).item(), true);
  assertEquals(mx.allclose(mx.softmax(arrayOf(a).add(5), axis), y, { rtol: 1e-4 }).item(), true);
});
holds("logsumexp is log of the sum of exp", withAxis, ({ axis, ...a }) => {
  const x = arrayOf(a);
  assertEquals(
    mx.allclose(mx.logsumexp(x, axis), mx.log(mx.exp(x).sum(axis)), { rtol: 1e-4, atol: 1e-5 }).item(),
    true,
  );
});
holds("a sum over all axes is one over each, in any order", arrays(), (a) => {
  let x = arrayOf(a);
  for (let axis = a.shape.length - 1; axis >= 0; axis--) x = x.sum(axis % x.shape.length);
  assertEquals(x.item(), a.values.reduce((p, q) => p + q, 0));
});
holds("cumsum undoes diff", arrays(1), (a) => {
  const x = arrayOf(a), steps = mx.diff(mx.concatenate([mx.zeros([1]), x]));
  same(mx.cumsum(steps, 0), x);
});

// ---- indexing against plain lists ----

/** An entry for an axis: a number, a slice, or a list, with the places it names. */
function entry(n: number): fc.Arbitrary<{ item: number | mx.Slice | number[]; places: number[]; drops: boolean }> {
  const at = fc.integer({ min: -n, max: n - 1 }), positive = (i: number) => i < 0 ? i + n : i;
  const single = at.map((i) => ({ item: i, places: [positive(i)], drops: true }));
  const bound = fc.option(fc.integer({ min: -n - 1, max: n + 1 })), step = fc.constantFrom(null, 1, 2, -1, -2);
  const slices = fc.tuple(bound, bound, step).map(([start, stop, by]) => {
    const s = by ?? 1, clamp = (i: number) => Math.min(Math.max(i < 0 ? i + n : i, s > 0 ? 0 : -1), s > 0 ? n : n - 1);
    const first = start === null ? (s > 0 ? 0 : n - 1) : clamp(start),
      last = stop === null ? (s > 0 ? n : -1) : clamp(stop),
      places: number[] = [];
    for (let i = first; s > 0 ? i < last : i > last; i += s) places.push(i);
    return { item: mx.slice(start, stop, by), places, drops: false };
  });
  return fc.oneof(single, slices);
}
const indexed = arrays(3).chain((a) => fc.tuple(...a.shape.map(entry)).map((entries) => ({ ...a, entries })));
/** Places of the elements that the entries name, and the shape of the result. */
function selected(
  shape: readonly number[],
  entries: readonly { places: number[]; drops: boolean }[],
): { places: number[]; shape: number[] } {
  const lengths = entries.map((e) => e.places.length);
  const places = [...indicesOf(lengths)].map((index) =>
    placeOf(shape, index.map((i, axis) => entries[axis]!.places[i]!))
  );
  return { places, shape: lengths.filter((_, axis) => !entries[axis]!.drops) };
}
holds("numbers and slices read what plain lists have there", indexed, ({ entries, ...a }) => {
  const y = arrayOf(a).index(...entries.map((e) => e.item)), wanted = selected(a.shape, entries);
  assertEquals(y.shape, wanted.shape);
  assertEquals(listOf(y), wanted.places.map((at) => a.values[at]!));
});
holds("at().set, add and multiply change what index reads, and nothing else", indexed, ({ entries, ...a }) => {
  const items = entries.map((e) => e.item), { places } = selected(a.shape, entries);
  const changed = (f: (v: number) => number) => a.values.map((v, i) => places.includes(i) ? f(v) : v);
  const at = () => arrayOf(a).at(...items);
  assertEquals(listOf(at().set(7)), changed(() => 7));
  assertEquals(listOf(at().add(7)), changed((v) => v + 7));
  assertEquals(listOf(at().multiply(3)), changed((v) => v * 3).map((v) => v + 0));
  assertEquals(listOf(at().maximum(2)), changed((v) => Math.max(v, 2)));
});
const gathered = arrays(3).chain((a) =>
  fc.array(fc.integer({ min: -a.shape[0]!, max: a.shape[0]! - 1 }), { minLength: 1, maxLength: 6 }).map((rows) => ({
    ...a,
    rows,
  }))
);
holds("a list of rows gathers them; adding through it counts them", gathered, ({ rows, ...a }) => {
  const x = arrayOf(a),
    row = count(a.shape.slice(1)),
    index = mx.array(rows, mx.int32),
    places = rows.map((i) => i < 0 ? i + a.shape[0]! : i);
  const taken = places.flatMap((i) => a.values.slice(i * row, (i + 1) * row));
  assertEquals(listOf(x.index(index)), taken);
  assertEquals(listOf(mx.take(x, index, 0)), taken);
  const times = (i: number) => places.filter((p) => p === Math.floor(i / row)).length;
  assertEquals(listOf(x.at(index).add(1)), a.values.map((v, i) => v + times(i)));
});
holds("a mask sets what it marks", arrays(3), (a) => {
  const x = arrayOf(a);
  assertEquals(listOf(x.at(x.lt(0)).set(0)), a.values.map((v) => v < 0 ? 0 : v));
  assertEquals(listOf(mx.where(x.lt(0), 0, x)), a.values.map((v) => v < 0 ? 0 : v));
});

// ---- broadcasting ----

const pairs = shapes(3).chain((shape) =>
  fc.tuple(
    fc.constant(shape),
    fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
    fc.nat(shape.length),
    fc.array(whole, { minLength: count(shape), maxLength: count(shape) }),
  )
);
holds("broadcasting repeats axes of length 1 and adds axes in front", pairs, ([shape, ones, drop, values]) => {
  const small = shape.map((n, i) => ones[i] ? 1 : n).slice(drop), a = mx.array(values).reshape(shape);
  const b = mx.array(values.slice(0, count(small))).reshape(small), wide = b.broadcastTo(shape);
  same(a.add(b), a.add(wide));
  same(b.sub(a), a.sub(b).mul(-1).add(0));
  assertEquals(mx.broadcastShapes(shape, small), shape);
  assertEquals(
    listOf(wide),
    [...indicesOf(shape)].map((index) =>
      values[placeOf(small, index.slice(drop).map((i, axis) => small[axis] === 1 ? 0 : i))]!
    ),
  );
});
holds(
  "matmul is linear, and transposes in reverse",
  fc.tuple(
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 5 }),
    fc.infiniteStream(whole),
  ),
  ([m, k, n, stream]) => {
    const draw = (shape: number[]) =>
      mx.array(Array.from({ length: count(shape) }, () => stream.next().value)).reshape(shape);
    const [a, b, c] = [draw([m, k]), draw([k, n]), draw([k, n])];
    same(mx.matmul(a, b.add(c)).add(0), mx.matmul(a, b).add(mx.matmul(a, c)));
    same(mx.matmul(a, b).T, mx.matmul(b.T, a.T));
    same(mx.einsum("mk,kn->mn", a, b), mx.matmul(a, b));
  },
);
