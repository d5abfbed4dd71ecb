/**
 * Orders, batches and positions: every row comes once an epoch, in an order of the seed's, and a loader that is set to
 * any position hands out what the first one would have.
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as mx from "../../mod.ts";
import {
  batches,
  type BatchSource,
  fromArrays,
  fromItems,
  fromStream,
  fromTokens,
  Permutation,
  split,
} from "../../data/mod.ts";

const list = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
async function collect<B>(data: BatchSource<B>): Promise<B[]> {
  const all: B[] = [];
  for await (const batch of data) all.push(batch);
  return all;
}
const numbers = (xs: readonly mx.NDArray[]): number[][] => xs.map((x) => Array.from(x.dataSync(), Number));

Deno.test("Permutation holds every number once, for all small lengths and some large ones", () => {
  for (const n of [...list(70), 255, 256, 257, 1000, 65537]) {
    const order = new Permutation(n, 3), seen = new Set(list(n).map((i) => order.at(i)));
    assertEquals(seen.size, n);
    assert([...seen].every((x) => Number.isInteger(x) && x >= 0 && x < n));
  }
  const far = new Permutation(2 ** 52, 1);
  assert(far.at(2 ** 52 - 1) < 2 ** 52);
  assertThrows(() => new Permutation(3).at(3), mx.ValueError, "from 0 to 2");
});

Deno.test("Permutation sends each place everywhere equally often, and seeds give orders of their own", () => {
  const n = 12, seeds = 6000, counts = list(n * n).map(() => 0);
  let pairs = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const order = new Permutation(n, seed, seed % 3), places = list(n).map((i) => order.at(i));
    places.forEach((x, i) => counts[i * n + x]!++);
    pairs += places.filter((x, i) => i > 0 && x === places[i - 1]! + 1).length;
  }
  // Chi squared of each row has 11 degrees of freedom: above 40 with probability 4e-5.
  for (const i of list(n)) {
    const expected = seeds / n, row = counts.slice(i * n, (i + 1) * n);
    assert(row.reduce((s, c) => s + (c - expected) ** 2 / expected, 0) < 40, `place ${i}: ${row}`);
  }
  // Two neighbours follow one another in (n - 1) of the n (n - 1) ordered pairs, at n - 1 places.
  assert(Math.abs(pairs / seeds - (n - 1) / n) < 0.06, `${pairs / seeds}`);
  const orders = new Set(list(500).map((seed) => list(8).map((i) => new Permutation(1e6, seed).at(i)).join()));
  assertEquals(orders.size, 500);
  assertEquals(new Set([0, 1, 2].map((epoch) => new Permutation(1e6, 5, epoch).at(0))).size, 3);
  assertEquals(new Set([1, 1 + 2 ** 32, 1 + 2 ** 40].map((seed) => new Permutation(1e6, seed).at(0))).size, 3);
});

Deno.test("split holds a share out: each row is in one part, and the seed says in which", async () => {
  const rows = async (seed: number): Promise<number[][]> => {
    const parts = split(fromArrays(mx.arange(10)), 0.3, { seed });
    return numbers(await Promise.all(parts.map((part) => part.batch(list(part.length)))));
  };
  const parts = await rows(1);
  assertEquals(parts.map((part) => part.length), [7, 3]);
  assertEquals(parts.flat().sort((a, b) => a - b), list(10));
  assertEquals(await rows(1), parts);
  assert(`${await rows(2)}` !== `${parts}`);
  for (const share of [0, 1, 0.04, NaN]) assertThrows(() => split(fromArrays(mx.arange(10)), share), mx.ValueError);
});

Deno.test("batches hold each row once an epoch; the last one is kept, dropped or padded", async () => {
  const x = mx.arange(10), rows = fromArrays({ x, y: [x.mul(2)] });
  const data = batches(rows, { batchSize: 4, shuffle: true, seed: 1 });
  const first = await collect(data), second = await collect(data);
  for (const epoch of [first, second]) {
    assertEquals(epoch.map((b) => b.x.shape[0]), [4, 4, 2]);
    assertEquals(numbers(epoch.map((b) => b.x)).flat().sort((a, b) => a - b), list(10));
    for (const b of epoch) assertEquals(b.y[0]!.tolist(), b.x.mul(2).tolist());
  }
  assert(numbers(first.map((b) => b.x)).join() !== numbers(second.map((b) => b.x)).join());
  assertEquals(data.state(), { epoch: 2, batch: 0, seed: 1, batchSize: 4 });
  const shapes = async (last: "drop" | "pad") => {
    const some = batches(fromArrays(x), { batchSize: 4, last });
    return [numbers(await collect(some)), some.rows, some.batchesPerEpoch];
  };
  assertEquals(await shapes("drop"), [[[0, 1, 2, 3], [4, 5, 6, 7]], 4, 2]);
  assertEquals(await shapes("pad"), [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]], 2, 3]);
  assertThrows(() => batches(fromArrays(x), { batchSize: 11, last: "drop" }), mx.ValueError, "batchesPerEpoch");
  assertThrows(() => fromArrays([x, mx.arange(9)]), mx.ShapeError, "first axes of 10");
});

Deno.test("a loader set to any position goes on as the first one did, whatever was prepared ahead", async () => {
  for (const prefetch of [0, 1, 3]) {
    const make = () => batches(fromArrays(mx.arange(11)), { batchSize: 3, shuffle: true, seed: 9, prefetch });
    const data = make(), seen: string[] = [], states: string[] = [];
    for (const _ of [0, 1]) {
      for await (const x of data) {
        seen.push(x.tolist().toString());
        states.push(JSON.stringify(data.state()));
      }
    }
    for (const [i, state] of states.entries()) {
      const other = make(), rest: string[] = [];
      other.restore(JSON.parse(state));
      while (rest.length < seen.length - i - 1) for await (const x of other) rest.push(x.tolist().toString());
      assertEquals(rest.slice(0, seen.length - i - 1), seen.slice(i + 1));
    }
  }
  const data = batches(fromArrays(mx.arange(11)), { batchSize: 3 });
  assertThrows(() => data.restore({ epoch: 0, batch: 1, seed: 0, batchSize: 4 }), mx.ValueError, "batches of 3");
});

Deno.test("leaving an epoch early goes on there, and an error of the data reaches the loop", async () => {
  const data = batches(fromArrays(mx.arange(6)), { batchSize: 2 });
  for await (const _ of data) break;
  assertEquals(numbers(await collect(data)), [[2, 3], [4, 5]]);
  const broken = fromItems({ length: 4, at: (i) => i < 2 ? i : undefined }, (xs: number[]) => mx.array(xs));
  await assertRejects(() => collect(batches(broken, { batchSize: 2 })), mx.ValueError, "fetch row 2");
});

Deno.test("fromTokens gives rows and what follows them, from arrays and from mapped files", async () => {
  const tokens = Uint16Array.from(list(23), (i) => i * 1000), folder = await Deno.makeTempDir();
  await Deno.writeFile(`${folder}/tokens.bin`, new Uint8Array(tokens.buffer));
  await mx.save(`${folder}/tokens.npy`, mx.array(tokens));
  for (const source of [mx.array(tokens), `${folder}/tokens.bin`, `${folder}/tokens.npy`]) {
    const rows = fromTokens(source, { length: 4, stride: 3 });
    assertEquals(rows.length, 7);
    const [inputs, targets] = await rows.batch([6, 0]);
    assertEquals(inputs.dtype, mx.int32);
    assertEquals(inputs.tolist(), [[18, 19, 20, 21], [0, 1, 2, 3]].map((row) => row.map((i) => i * 1000)));
    assertEquals(targets.tolist(), [[19, 20, 21, 22], [1, 2, 3, 4]].map((row) => row.map((i) => i * 1000)));
  }
  assertThrows(() => fromTokens(mx.array(tokens), { length: 23 }), mx.ValueError, "longer text");
});

Deno.test("rows of mapped files are read without copying the rest", async () => {
  const folder = await Deno.makeTempDir(), rows = 4096, width = 4096;
  await mx.save(
    `${folder}/x.npy`,
    mx.broadcastTo(mx.arange(rows).astype(mx.float32).reshape([rows, 1]), [rows, width]),
  );
  mx.clearCache();
  mx.resetPeakMemory();
  const before = mx.getPeakMemory(),
    data = batches(fromArrays(mx.load(`${folder}/x.npy`)), { batchSize: 4, shuffle: true });
  let seen = 0;
  for await (const x of data) {
    assertEquals(x.shape, [4, width]);
    assert(x.index("...", 0).eq(x.index("...", width - 1)).all().item());
    if (++seen === 8) break;
  }
  const grown = mx.getPeakMemory() - before;
  assert(grown < 2 ** 20, `${grown} bytes for batches of ${16 * width}`);
});

Deno.test("fromStream groups what comes, resumes by reading past what was, and closes what it opened", async () => {
  let closed = 0;
  async function* items(): AsyncGenerator<number, void, void> {
    try {
      for (const i of list(7)) yield await Promise.resolve(i);
    } finally {
      closed++;
    }
  }
  const make = (last: "keep" | "drop" | "pad") => fromStream(items, (xs) => mx.array(xs), { batchSize: 3, last });
  assertEquals(numbers(await collect(make("keep"))), [[0, 1, 2], [3, 4, 5], [6]]);
  assertEquals(numbers(await collect(make("drop"))), [[0, 1, 2], [3, 4, 5]]);
  const padded = make("pad");
  assertEquals(numbers(await collect(padded)), [[0, 1, 2], [3, 4, 5], [6, 6, 6]]);
  assertEquals(padded.rows, 1);
  assertEquals(closed, 3);
  const data = make("keep");
  for await (const _ of data) break;
  assertEquals(closed, 4);
  const other = make("keep");
  other.restore(JSON.parse(JSON.stringify(data.state())));
  assertEquals(numbers(await collect(other)), [[3, 4, 5], [6]]);
  assertEquals(other.state().epoch, 1);
});
