/**
 * Do independent streams overlap? Work that one thread does, twice: on one stream one after the other, and on two
 * streams, in turn. The better times count, so a busy machine shows less than it could do:
 *
 *     deno run -A bench/streams.ts [--rounds 200]
 *
 * Prints for each kind of work both times and their ratio; 0.5 is the best, and at most 0.65 is asked of two free cores.
 * @module
 */
import { parseArgs } from "node:util";
import * as mx from "../mod.ts";

type NDArray = mx.NDArray;
/** Work of one thread: what depends on what was before it, in kernels too small or of a kind that is not divided. */
const KINDS: Readonly<Record<string, (x: NDArray) => NDArray>> = {
  "sums along one row (cumsum)": (x) => chain(x, 120, (y) => mx.cumsum(y).mul(1e-3)),
  "sorting one row": (x) => chain(x, 30, (y) => mx.sort(y).negative()),
  "norms of one row": (x) => chain(x.reshape([1, -1]), 300, (y) => mx.fast.rmsNorm(y, x, 1e-5)),
};
function chain(x: NDArray, length: number, f: (x: NDArray) => NDArray): NDArray {
  let y = x;
  for (let i = 0; i < length; i++) y = f(y);
  return y;
}
/** Milliseconds from the calls until both pieces are done. */
function timed(streams: readonly mx.Stream[], pieces: readonly (() => NDArray)[]): number {
  const start = performance.now(), results = streams.map((s, i) => mx.stream(s, pieces[i]!));
  for (const s of streams) mx.synchronize(s);
  const spent = performance.now() - start;
  mx.eval(results);
  return spent;
}

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { rounds: { type: "string", default: "200" } } });
  const a = mx.newStream(mx.cpu), b = mx.newStream(mx.cpu);
  const xs = [1, 2].map((seed) => mx.random.normal([1 << 13], { key: mx.random.key(seed) }));
  mx.eval(xs);
  console.log(`load ${Deno.loadavg()[0]!.toFixed(1)}, ${mx.deviceInfo(mx.cpu).threads} threads`);
  for (const [name, work] of Object.entries(KINDS)) {
    // Two programs: one program runs on one stream at a time.
    const pieces = xs.map((x) => {
      const f = mx.compile(work);
      mx.eval(f(x));
      return () => f(x);
    });
    let one = Infinity, two = Infinity;
    for (let i = 0; i < Number(values.rounds); i++) {
      one = Math.min(one, timed([a, a], pieces));
      two = Math.min(two, timed([a, b], pieces));
      await new Promise((resolve) => setTimeout(resolve, 5)); // lets the system spread threads that it had put together
    }
    const ratio = (two / one).toFixed(2);
    console.log(`${name}: ${one.toFixed(1)} ms one after the other, ${two.toFixed(1)} ms on two streams: ${ratio}`);
  }
}
