/**
 * The fuzzer of evaluation: random programs of lazy arrays with evaluations, queued work on several streams, donation,
 * compiled calls with state, holders, collections, kernels that fail and memory that runs out, against an oracle that
 * computes each value at once. `SEEDS=300` runs more; `SEED=17` runs one.
 * @module
 */
import { assert } from "@std/assert";
import type { NDArray } from "../../core/array.ts";
import type { DType } from "../../core/dtype.ts";
import { collectGarbage } from "../../core/memory.ts";
import { runtime } from "../../ffi/runtime.ts";
import * as mx from "../../mod.ts";
import { assertNear, calm, cell, fresh, ON_GPU, update } from "./util.ts";

/** An array and what it must be. */
interface Item {
  readonly x: NDArray;
  readonly value: Float64Array;
  readonly deadAtBirth: boolean;
}
type Values = Float64Array;
/** How often each thing was met. */
const tally = {
  read: 0,
  memory: 0,
  kernel: 0,
  SpentError: 0,
  DonatedError: 0,
  copies: 0,
  donated: 0,
  cast: 0,
  stream: 0,
  compiled: 0,
};

/** Would touching `x` now meet a donated array? */
function broken(x: NDArray): boolean {
  const todo = [x], seen = new Set(todo);
  for (let n = todo.pop(); n; n = todo.pop()) {
    if (n.state === "donated") return true;
    if (n.state === "evaluated") continue;
    for (const i of n.inputs) if (!seen.has(i)) seen.add(i), todo.push(i);
  }
  return false;
}
const rounded: Record<string, (v: number) => number> = { float64: (v) => v, float32: Math.fround };
const mean = (a: Values) => a.reduce((s, v) => s + v, 0) / a.length;
const cellValue = (a: Values, b: Values): Values => {
  const scale = 1 / Math.sqrt(a.reduce((s, v) => s + v * v, 0) / a.length + 3);
  return a.map((v, i) => v * b[i]! * scale);
};
/** One operation: the lazy one, and the oracle. Arrays have `size` elements, a multiple of 4. */
type Op = readonly [(a: NDArray, b: NDArray) => NDArray, (a: Values, b: Values) => Values];
const operations: readonly Op[] = [
  [(a, b) => a.add(b), (a, b) => a.map((v, i) => v + b[i]!)],
  [(a) => a.tanh(), (a) => a.map(Math.tanh)],
  [(a) => a.tanh().exp(), (a) => a.map((v) => Math.exp(Math.tanh(v)))],
  [(a) => a.mul(0.5), (a) => a.map((v) => v * 0.5)],
  [(a, b) => mx.where(a.greater(b), a, b), (a, b) => a.map((v, i) => Math.max(v, b[i]!))],
  [cell, cellValue],
  [(a) => mx.cumsum(a.mul(0.1)), (a) => {
    let s = 0;
    return a.map((v) => s += v * 0.1);
  }],
  [(a) => mx.sort(a), (a) => a.slice().sort()],
  [(a, b) => b.sub(a.mean()), (a, b) => b.map((v) => v - mean(a))],
  [(a) => a.reshape([4, -1]).sum(0).reshape([1, -1]).add(mx.zeros([4, 1], a.dtype)).reshape([-1]).mul(0.25), (a) => {
    const n = a.length / 4;
    return a.map((_, i) => 0.25 * (a[i % n]! + a[i % n + n]! + a[i % n + 2 * n]! + a[i % n + 3 * n]!));
  }],
  [(a) => a.reshape([4, -1]).T.reshape([-1]), (a) => {
    const n = a.length / 4;
    return a.map((_, i) => a[(i % 4) * n + Math.floor(i / 4)]!);
  }],
  [(a) => a.index(mx.slice(null, null, -1)), (a) => a.toReversed()],
  [
    (a, b) => mx.concatenate([a.index(mx.slice(2, null)), b.index(mx.slice(null, 2))]),
    (a, b) => a.map((_, i) => i + 2 < a.length ? a[i + 2]! : b[i + 2 - a.length]!),
  ],
  [(a) => mx.broadcastTo(a.index(mx.slice(0, 1)), a.shape), (a) => a.map(() => a[0]!)],
  [
    (a, b) =>
      a.reshape([-1, 4]).matmul(b.index(mx.slice(null, 4)).reshape([4, 1])).reshape([-1, 1]).mul(
        mx.ones([1, 4], a.dtype),
      ).reshape([-1]).tanh(),
    (a, b) =>
      a.map((_, i) => {
        const r = i - i % 4;
        return Math.tanh(a[r]! * b[0]! + a[r + 1]! * b[1]! + a[r + 2]! * b[2]! + a[r + 3]! * b[3]!);
      }),
  ],
];

/** One random program. */
class Run {
  readonly #size: number;
  readonly #dtype: DType;
  readonly #hungry: boolean;
  readonly #faulty: boolean;
  readonly #world = fresh();
  readonly #holder = new mx.Holder();
  readonly #state: { s: NDArray };
  readonly #step: (g: NDArray) => NDArray;
  readonly #streams: readonly mx.Stream[];
  #stateValue: Values;
  #limited = false;
  #pool: Item[] = [];
  readonly #given = new Set<NDArray>();
  constructor(private seed: number, streams: readonly mx.Stream[]) {
    this.#streams = seed % 5 === 2 ? streams : streams.slice(0, 1);
    this.#hungry = seed % 2 === 1;
    this.#faulty = seed % 4 === 2;
    this.#size = this.#random(2) ? 400 : 8;
    this.#dtype = this.#random(2) || ON_GPU ? mx.float32 : mx.float64;
    this.#stateValue = this.#fill();
    const state = this.#state = { s: mx.array(this.#stateValue, this.#dtype) };
    this.#step = mx.compile((g: NDArray) => {
      state.s = state.s.add(g).tanh();
      return cell(state.s, g);
    }, { inputs: state, outputs: state });
  }
  #random(n: number): number {
    return ((this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0) >>> 8) % n;
  }
  #fill(): Values {
    return Float64Array.from(
      { length: this.#size },
      () => rounded[this.#dtype?.name ?? "float32"]!((this.#random(200) - 100) / 100),
    );
  }
  #pick(): Item {
    return this.#pool[this.#random(this.#pool.length)]!;
  }
  #put(make: () => NDArray, value: Values, from: readonly Item[]): void {
    const deadAtBirth = from.some((i) => i.deadAtBirth || broken(i.x)),
      s = this.#streams[this.#random(this.#streams.length)]!;
    if (s.index) tally.stream++;
    try {
      this.#pool.push({ x: mx.stream(s, make), value, deadAtBirth });
    } catch (e) {
      if (!(e instanceof mx.DonatedError) || !deadAtBirth) throw e;
    }
  }
  /** Runs `f` on the items, which may meet a failure that was asked for or an array that was given away, no more. */
  #guarded(items: readonly Item[], f: () => void): void {
    const before = items.map((i) => i.x.state), dead = items.some((i) => broken(i.x));
    const excused = items.some((i) => i.deadAtBirth || i.x.state === "donated" || i.x.state === "spent");
    const starving = this.#hungry && !this.#random(12), failing = this.#faulty && !this.#random(12);
    if (starving) runtime().set("failAllocation", this.#random(5));
    if (failing) runtime().set("failKernel", this.#random(4));
    try {
      f();
      assert(!dead, "a dead array gave a value");
    } catch (e) {
      if (e instanceof mx.MemoryLimitError) {
        assert(starving);
        items.forEach((i, k) =>
          assert(i.x.state === before[k] || i.x.state === "evaluated", "running out of memory changed a state")
        );
        tally.memory++;
        this.#limited = true;
      } else if (e instanceof mx.KernelError) {
        assert(this.#faulty);
        tally.kernel++;
        this.#dropPoisoned();
      } else if ((e instanceof mx.SpentError || e instanceof mx.DonatedError) && dead && excused) {
        if (e instanceof mx.SpentError) tally.SpentError++;
        else tally.DonatedError++;
        this.#pool = this.#pool.filter((i) => !items.includes(i) || !broken(i.x));
      } else throw e;
    } finally {
      if (starving || failing) calm();
    }
    if (failing) this.#dropPoisoned();
  }
  /** A kernel failed: what carries the error is forgotten; all else must still be right. */
  #dropPoisoned(): void {
    const poisoned = new Map<NDArray, boolean>();
    const isPoisoned = (x: NDArray): boolean => {
      const known = poisoned.get(x);
      if (known !== undefined) return known;
      poisoned.set(x, false);
      const bad = x.state === "evaluated" ? runtime().wait(x.handle) !== null : x.inputs.some(isPoisoned);
      poisoned.set(x, bad);
      return bad;
    };
    this.#pool = this.#pool.filter((i) => !isPoisoned(i.x));
    if (isPoisoned(this.#state.s)) this.#renewState();
  }
  #renewState(): void {
    this.#stateValue = this.#fill();
    this.#state.s = mx.array(this.#stateValue, this.#dtype);
  }
  #check(i: Item): void {
    assertNear(i.x, i.value, this.#dtype === mx.float64 ? 1e-9 : 2e-3);
    tally.read++;
  }
  #compute(): void {
    const a = this.#pick(), b = this.#pick(), [make, oracle] = operations[this.#random(operations.length)]!;
    this.#put(() => make(a.x, b.x), oracle(a.value, b.value), [a, b]);
  }
  #cast(): void {
    const a = this.#pick();
    tally.cast++;
    this.#put(() => a.x.mul(16).astype(mx.int16).astype(this.#dtype).mul(0).add(a.x), a.value, [a]);
  }
  #write(): void {
    const a = this.#pick(),
      at = this.#random(this.#size - 3),
      v = [this.#random(9), this.#random(9)],
      value = a.value.slice();
    value.set(v, at);
    this.#given.add(a.x);
    this.#put(() => update(a.x, mx.array(v, this.#dtype), at, this.#random(3) > 0), value, [a]);
  }
  #call(): void {
    const a = this.#pick();
    if (a.value.some((v) => Math.abs(v) > 100)) return;
    if (broken(this.#state.s)) this.#renewState(); // it was in the pool, and given away from there
    this.#guarded([a], () => {
      const before = this.#state.s, y = this.#step(a.x), s = this.#stateValue.map((v, i) => Math.tanh(v + a.value[i]!));
      assert(before.state === "donated" || before.state === "evaluated");
      this.#stateValue = s;
      this.#pool.push({ x: y, value: cellValue(s, a.value), deadAtBirth: false });
      if (!this.#random(3)) this.#pool.push({ x: this.#state.s, value: s, deadAtBirth: false });
      tally.compiled++;
    });
  }
  #hold(): void {
    const slot = `${this.#random(3)}`;
    if (this.#random(2)) this.#holder.hold(slot, this.#pick().x);
    else this.#holder.release(slot);
  }
  #turn(): void {
    while (this.#pool.length < 4) {
      const value = this.#fill();
      this.#put(() => mx.array(value, this.#dtype), value, []);
    }
    const action = this.#random(14), a = this.#pick(), b = this.#pick();
    if (action < 6) this.#compute();
    else if (action === 6) this.#cast();
    else if (action === 7) this.#write();
    else if (action === 8) {
      this.#guarded([a, b], () => this.#random(2) ? mx.eval(a.x, b.x) : void mx.asyncEval(a.x, b.x));
    } else if (action === 9) this.#pool.splice(this.#random(this.#pool.length), 1);
    else if (action === 10) this.#random(4) ? this.#hold() : this.#random(8) || collectGarbage();
    else if (action === 11) this.#call();
    else this.#guarded([a], () => this.#check(a));
  }
  /** All of it; throws where a value differs. */
  go(): void {
    for (let t = 0; t < 120; t++) this.#turn();
    for (const i of [...this.#pool]) this.#guarded([i], () => this.#check(i));
    if (!broken(this.#state.s)) assertNear(this.#state.s, this.#stateValue, this.#dtype === mx.float64 ? 1e-9 : 2e-3);
    if (!this.#limited && !this.#faulty) {
      assert(this.#pool.every((i) => i.x.computed <= 3 || this.#given.has(i.x)), "computed more than three times");
    }
    tally.copies += this.#world.count.copies;
    tally.donated += this.#pool.filter((i) => i.x.state === "donated").length;
  }
}

Deno.test("fuzz: values equal an oracle, only what was given away throws, a failure changes nothing else", () => {
  const streams = [mx.defaultStream(), mx.newStream(), mx.newStream()], only = Deno.env.get("SEED");
  const count = Number(Deno.env.get("SEEDS") ?? (ON_GPU ? 12 : 60));
  const seeds = only ? [Number(only)] : Array.from({ length: count }, (_, i) => i + 1);
  for (const seed of seeds) {
    try {
      new Run(seed, streams).go();
    } catch (e) {
      throw new Error(`seed ${seed}`, { cause: e });
    } finally {
      calm();
    }
  }
  if (seeds.length >= 60) {
    for (const [what, n] of Object.entries(tally)) {
      assert(n > 0, `the fuzzer never met ${what}`);
    }
  }
  if (seeds.length > 60) console.log(tally);
});
