/**
 * What MLX lacks or gets wrong in its transforms, at the level of users: each hole has a test of its name. Derivatives are
 * compared with central differences in double precision: the reverse rule, the forward rule, and the derivative of
 * each; batches with a loop. On a GPU the rules run there in float32, and the differences on the CPU.
 * @module
 */
import { assertEquals, assertLess } from "@std/assert";
import * as mx from "../../mod.ts";
import { ON_GPU, values } from "../eval/util.ts";

type NDArray = mx.NDArray;
type Fn = (...xs: NDArray[]) => NDArray | readonly NDArray[];
/** A GPU has no double precision. */
const WIDE = ON_GPU ? mx.float32 : mx.float64;
let seed = 0;
const draw = (...shape: number[]): NDArray => mx.random.normal(shape, { key: mx.random.key(++seed) }).astype(WIDE);
const list = (y: NDArray | readonly NDArray[]): readonly NDArray[] => y instanceof mx.NDArray ? [y] : y;
const inner = (a: readonly NDArray[], b: readonly NDArray[]): NDArray =>
  a.map((x, i) => x.mul(b[i]!).sum()).reduce((s, x) => s.add(x));
const isFloat = (x: NDArray): boolean => x.dtype.kind === "float";
function near(what: string, got: NDArray, wanted: NDArray, tolerance: number): void {
  const [a, b] = [Number(got.item()), Number(wanted.item())];
  assertLess(Math.abs(a - b), tolerance * (1 + Math.abs(b)), `${what}: ${a}, differences say ${b}`);
}

/** Where differences are taken, and with which step; `single` is for what computes in float32 alone. */
interface Kind {
  readonly single?: boolean;
  readonly second?: boolean;
}
/** Both rules and second derivatives of `f` at `xs`, in random directions. */
function differentiable(f: Fn, xs: readonly NDArray[], { single = false, second = true }: Kind = {}): void {
  const [h, tolerance] = single ? [1e-2, 2e-3] : [1e-5, ON_GPU ? 1e-3 : 1e-5];
  const smooth = (...ys: NDArray[]): readonly NDArray[] => list(f(...ys)).filter(isFloat);
  const like = (x: NDArray): NDArray => draw(...x.shape).astype(x.dtype);
  const directions = xs.map(like), weights = smooth(...xs).map(like);
  /** The weighted sum of results, and its derivative along the directions by both rules. */
  const loss = (...ys: NDArray[]): NDArray => weighted(smooth(...ys));
  const weighted = (ys: readonly NDArray[]): NDArray => inner(ys, weights.map((w, i) => w.astype(ys[i]!.dtype)));
  const reverse = (...ys: NDArray[]): NDArray => inner(mx.vjp(loss, ys, [mx.array(1, ys[0]!.dtype)])[1], toward(ys));
  const forward = (...ys: NDArray[]): NDArray => weighted(mx.jvp(smooth, ys, toward(ys))[1]);
  const toward = (ys: readonly NDArray[]): NDArray[] => directions.map((d, i) => d.astype(ys[i]!.dtype));
  const difference = (of: Fn): NDArray =>
    mx.stream(mx.cpu, () => {
      const middle = single ? xs : xs.map((x) => x.astype(mx.float64)), steps = toward(middle).map((d) => d.mul(h));
      const at = (sign: number) => list(of(...middle.map((x, i) => x.add(steps[i]!.mul(sign)))))[0]!;
      return at(1).sub(at(-1)).divide(2 * h);
    });
  const wanted = difference(loss);
  near("vjp", reverse(...xs), wanted, tolerance);
  near("jvp", forward(...xs), wanted, tolerance);
  if (!second) return;
  const curvature = difference(forward);
  const along = (g: (...ys: NDArray[]) => NDArray): NDArray => mx.jvp(g, [...xs], toward(xs))[1][0]!;
  const back = mx.vjp(reverse, [...xs], [mx.array(1, xs[0]!.dtype)])[1];
  near("vjp of vjp", inner(back, directions), curvature, 20 * tolerance);
  near("jvp of vjp", along(reverse), curvature, 20 * tolerance);
  near("jvp of jvp", along(forward), curvature, 20 * tolerance);
}
/** vmap over the first axes that are not null, against a loop. */
function batches(f: Fn, xs: readonly NDArray[], inAxes: readonly (number | null)[], size: number): void {
  const got = list(mx.vmap((...ys: NDArray[]) => list(f(...ys)), { inAxes })(...xs));
  const one = (i: number) => list(f(...xs.map((x, k) => inAxes[k] === null ? x : mx.take(x, i, inAxes[k]!))));
  const rows = Array.from({ length: size }, (_, i) => one(i));
  got.forEach((y, k) => {
    const wanted = mx.stack(rows.map((r) => r[k]!));
    assertEquals([y.dtype, y.shape], [wanted.dtype, wanted.shape]);
    assertLess(Number(mx.abs(y.astype(mx.float32).sub(wanted.astype(mx.float32))).max().item()), 1e-4);
  });
}

const { linalg } = mx, eye = (x: NDArray): NDArray => mx.eye(4).astype(x.dtype);
const a = draw(4, 4).add(mx.eye(4).mul(3)), b = draw(4, 2), tall = draw(5, 3), wide = draw(3, 5);
const spd = (x: NDArray): NDArray => mx.matmul(x, x.T).add(eye(x)), sym = (x: NDArray): NDArray => x.add(x.T);
const lower = mx.tril(a);
const derivatives: Readonly<Record<string, () => void>> = {
  "inv": () => differentiable(linalg.inv, [a]),
  "inv of a batch": () => differentiable(linalg.inv, [mx.stack([a, a.T])]),
  "tri_inv": () => differentiable((x) => linalg.triInv(x), [lower]),
  "solve": () => differentiable(linalg.solve, [a, b]),
  "solve_triangular": () => differentiable((x, y) => linalg.solveTriangular(x, y), [lower, b]),
  "cholesky": () => differentiable((x) => linalg.cholesky(spd(x)), [a]),
  "cholesky_inv": () => differentiable((x) => linalg.choleskyInv(mx.tril(x)), [a]),
  "pinv": () => [tall, wide].forEach((x) => differentiable((y) => linalg.pinv(y), [x])),
  "eigh": () => differentiable((x) => linalg.eigh(sym(x)), [a]),
  "eigvalsh": () => differentiable((x) => linalg.eigvalsh(sym(x)), [a]),
  "svd": () => differentiable((x) => linalg.svd(x, { computeUv: false }), [tall]),
  "svd with vectors": () => {
    // Columns of u beyond the third are any basis of what is left, so they have no derivative.
    const f = (x: NDArray) => {
      const [u, s, vt] = linalg.svd(x);
      return [u.index(":, :3"), s, vt];
    };
    differentiable(f, [tall]);
  },
  "qr": () => [tall, a].forEach((x) => differentiable(linalg.qr, [x])),
  "lu": () => [a, tall, wide].forEach((x) => differentiable(linalg.lu, [x])),
  "det and slogdet": () => differentiable((x) => [linalg.det(x), linalg.slogdet(x)[1]], [a]),
  "norm nuc": () => differentiable((x) => linalg.norm(x, { ord: "nuc" }), [tall]),
  "norm 2": () => differentiable((x) => linalg.norm(x, { ord: 2, axis: [0, 1] }), [tall]),
  "segmented_mm": () => {
    const segments = mx.array([[0, 2], [2, 5], [1, 4]], mx.uint32);
    differentiable((x, y) => mx.segmentedMm(x, y, segments), [draw(3, 5), draw(5, 2)]);
  },
  "at[].multiply with arrays": () => {
    const i = mx.array([2, 0, 2], mx.int32);
    differentiable((x, y) => x.at(i).multiply(y), [draw(4, 3), draw(3, 3)]);
  },
  "at[].divide with arrays": () => {
    const i = mx.array([1, 3], mx.int32);
    differentiable((x, y) => x.at(i).divide(y.square().add(1)), [draw(4, 3), draw(2, 3)]);
  },
  "convolutions": () => {
    const options = { stride: 2, padding: 1, dilation: 2 };
    differentiable((x, w) => mx.conv1d(x, w, options), [draw(2, 7, 4), draw(3, 3, 4)]);
    differentiable((x, w) => mx.conv2d(x, w, { ...options, groups: 2 }), [draw(2, 7, 6, 4), draw(6, 3, 2, 2)]);
    differentiable((x, w) => mx.conv3d(x, w, { stride: 2 }), [draw(1, 4, 4, 4, 2), draw(2, 2, 2, 2, 2)]);
  },
  "transposed convolutions": () => {
    differentiable((x, w) => mx.convTranspose2d(x, w, { stride: 2, padding: 1 }), [draw(1, 4, 3, 2), draw(3, 3, 3, 2)]);
  },
  "cumprod": () => {
    differentiable((x) => mx.cumprod(x, 1), [draw(3, 5)]);
    const [x, t] = [mx.array([[2, 0, 3, 0, 4]], WIDE), mx.array([[1, 1, 0, 0, 0]], WIDE)]; // exact with zeros
    assertEquals(values(mx.jvp((y) => mx.cumprod(y, 1), [x], [t])[1][0]!), [1, 2, 6, 0, 0]);
  },
  "cummax and cummin": () => differentiable((x) => [mx.cummax(x, 1), mx.cummin(x, 0, { reverse: true })], [draw(4, 5)]),
  "logcumsumexp": () => differentiable((x) => mx.logcumsumexp(x, 0), [draw(4, 3)]),
  "scatters of every mode": () => {
    const i = mx.array([2, 0], mx.int32), xs = [draw(4, 3), draw(2, 3)];
    for (const mode of ["set", "add", "subtract", "multiply", "maximum", "minimum"] as const) {
      differentiable((x, y) => x.at(i)[mode](y), xs, { second: mode !== "maximum" && mode !== "minimum" });
    }
    const along = mx.array([[0, 1], [3, 2]], mx.int32);
    differentiable((x, y) => mx.putAlongAxis(x, along, y, 0), [draw(4, 2), draw(2, 2)]);
  },
  "gather_mm": () => {
    const options = { lhsIndices: mx.array([0, 1, 1], mx.uint32), rhsIndices: mx.array([2, 0, 2], mx.uint32) };
    differentiable((x, y) => mx.gatherMm(x, y, options), [draw(2, 3, 4), draw(3, 4, 2)]);
  },
  "quantized_matmul: x, scales and biases": () => {
    const f32 = (x: NDArray) => x.astype(mx.float32), [w, scales, biases] = mx.quantize(f32(draw(4, 64)));
    const f = (x: NDArray, s: NDArray, b: NDArray) => mx.quantizedMatmul(x, w!, s, { biases: b });
    differentiable(f, [f32(draw(3, 64)), scales!, biases!], { single: true });
  },
  "attention": () => {
    const f = (q: NDArray, k: NDArray, v: NDArray) =>
      mx.fast.scaledDotProductAttention(q, k, v, { scale: 0.5, mask: "causal" });
    differentiable(f, [draw(1, 2, 3, 4), draw(1, 1, 5, 4), draw(1, 1, 5, 4)]);
  },
  "norms and rotary positions in double precision": () => {
    differentiable((x, w, b) => mx.fast.layerNorm(x, w, b, 1e-3), [draw(2, 5), draw(5), draw(5)]);
    differentiable((x, w) => mx.fast.rmsNorm(x, w, 1e-3), [draw(2, 5), draw(5)]);
    differentiable((x) => mx.fast.rope(x, 4, { traditional: true, base: 100 }), [draw(1, 1, 3, 4)]);
  },
  "fft": () => {
    const f = (x: NDArray) => mx.abs(mx.fft.fft2(x)).square();
    differentiable(f, [draw(3, 4).astype(mx.float32)], { single: true });
  },
  "addmm: jvp respects alpha and beta": () =>
    differentiable((c, x, y) => mx.addmm(c, x, y, { alpha: 0.7, beta: -2 }), [draw(3, 2), draw(3, 4), draw(4, 2)]),
  "vjp of one array returned twice": () => {
    differentiable((x) => {
      const y = x.square();
      return [y, y];
    }, [draw(3)]);
  },
};
for (const [name, test] of Object.entries(derivatives)) Deno.test(`derivatives beyond MLX: ${name}`, test);

const ints = (lists: readonly (readonly number[])[]): NDArray => mx.array(lists.map((l) => [...l]), mx.int32);
const batched: Readonly<Record<string, () => void>> = {
  "quantized_matmul": () => {
    const w = mx.stack([1, 2, 3].map(() => draw(8, 64).astype(mx.float32))), x = draw(3, 2, 64).astype(mx.float32);
    const [words, scales, biases] = mx.quantize(w),
      f = (x: NDArray, w: NDArray, s: NDArray, b: NDArray) => mx.quantizedMatmul(x, w, s, { biases: b });
    batches(f, [x, words!, scales!, biases!], [0, 0, 0, 0], 3);
    const [one, two, three] = [words!, scales!, biases!].map((y) => y.index(0));
    batches(f, [x, one!, two!, three!], [0, null, null, null], 3);
    batches(f, [x.index(0), words!, scales!, biases!], [null, 0, 0, 0], 3);
  },
  "gather_mm": () => {
    const f = (x: NDArray, y: NDArray, l: NDArray, r: NDArray) => mx.gatherMm(x, y, { lhsIndices: l, rhsIndices: r });
    const [l, r] = [ints([[0, 1, 1], [1, 1, 0]]), ints([[2, 0, 2], [0, 1, 2]])];
    batches(f, [draw(2, 2, 3, 4), draw(2, 3, 4, 2), l, r], [0, 0, 0, 0], 2);
    batches(f, [draw(2, 3, 4), draw(3, 4, 2), l, r], [null, null, 0, 0], 2);
    batches(f, [draw(2, 2, 3, 4), draw(3, 4, 2), l.index(0), r.index(0)], [0, null, null, null], 2);
  },
  "qr, solve and the other decompositions": () => {
    const xs = mx.stack([a, a.T, a.add(1)]), ys = draw(3, 4, 2);
    for (const f of [linalg.qr, linalg.inv, linalg.lu, linalg.det, linalg.svd, linalg.pinv]) {
      batches((x: NDArray) => f(x), [xs], [0], 3);
    }
    batches(linalg.solve, [xs, ys], [0, 0], 3);
    batches(linalg.solve, [a, ys], [null, 0], 3);
    batches(linalg.solve, [xs, b], [0, null], 3);
    batches((x: NDArray) => linalg.eigh(sym(x)), [xs], [0], 3);
    batches((x: NDArray) => linalg.cholesky(spd(x)), [xs], [0], 3);
  },
  "slices whose start is an array": () => {
    const starts = ints([[0, 1], [2, 0], [1, 2]]), f = (x: NDArray, s: NDArray) => mx.slice(x, s, [0, 1], [2, 3]);
    batches(f, [draw(3, 4, 5), starts], [0, 0], 3);
    batches(f, [draw(4, 5), starts], [null, 0], 3);
    batches(f, [draw(3, 4, 5), starts.index(1)], [0, null], 3);
    const write = (x: NDArray, u: NDArray, s: NDArray) => mx.sliceUpdate(x, u, s, [0, 1]);
    batches(write, [draw(4, 5), draw(3, 2, 3), starts], [null, 0, 0], 3);
  },
  "not_equal, bitwise and shifts with only the second operand mapped": () => {
    const x = mx.array([1, 6, 3], mx.int32), ys = ints([[1, 2, 3], [0, 6, 1]]);
    for (const f of [mx.notEqual, mx.bitwiseAnd, mx.bitwiseOr, mx.bitwiseXor, mx.leftShift, mx.rightShift]) {
      batches((x: NDArray, y: NDArray) => f(x, y), [x, ys], [null, 0], 2);
      batches((x: NDArray, y: NDArray) => f(x, y), [mx.array(5, mx.int32), ys], [null, 0], 2);
    }
  },
  "divmod": () => {
    const f = (x: NDArray, y: NDArray) => mx.divmod(x, y),
      xs = ints([[7, -7, 5], [9, 4, -1]]),
      y = mx.array([2, 3, 4], mx.int32);
    batches(f, [xs, xs.add(10)], [0, 0], 2);
    batches(f, [xs, y], [0, null], 2);
    batches(f, [y, xs.add(10)], [null, 0], 2);
  },
};
for (const [name, test] of Object.entries(batched)) Deno.test(`batches beyond MLX: ${name}`, test);
Deno.test("bugs of MLX: one array returned twice has the sum of its cotangents", () => {
  const f = (x: NDArray) => {
    const y = x.mul(3);
    return [y, y, x];
  };
  const [, [g]] = mx.vjp(f, [mx.array([1, 2])], [mx.array([1, 0]), mx.array([10, 5]), mx.array([100, 100])]);
  assertEquals(g!.tolist(), [133, 115]);
});
