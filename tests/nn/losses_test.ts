/**
 * Losses and initialisers: recorded numbers of MLX, reductions, refusals.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as nn from "../../nn/mod.ts";

type NDArray = mx.NDArray;
const { losses, init } = nn;
function assertClose(actual: NDArray, expected: readonly number[]): void {
  assert(mx.allclose(actual, mx.array([...expected]), { rtol: 1e-5 }).item(), `${actual} is not ${expected}`);
}
const scalar = (x: NDArray): number => Number(x.item());

Deno.test("numbers recorded from MLX", () => {
  const logits = mx.array([[2, -1], [-1, 2]]);
  assertClose(losses.crossEntropy(logits, mx.array([0, 1], mx.int32)), [0.0485873, 0.0485873]);
  assertClose(losses.crossEntropy(logits, mx.array([[0.9, 0.1], [0.1, 0.9]])), [0.348587, 0.348587]);
  const scores = mx.array([0.105361, 0.223144, 1.20397, 0.916291]), labels = mx.array([0, 0, 1, 1]);
  assertAlmostEquals(scalar(losses.binaryCrossEntropy(scores, labels)), 0.539245, 1e-5);
  const probabilities = mx.array([0.1, 0.1, 0.4, 0.4]);
  assertAlmostEquals(
    scalar(losses.binaryCrossEntropy(probabilities, labels, { withLogits: false })),
    0.510826,
    1e-5,
  );
  const one = mx.array([-0.573409, -0.765166, -0.0638]), two = mx.array([0.75596, 0.225763, 0.256995]);
  assertClose(losses.marginRankingLoss(one, two, mx.array([1, 1, -1])), [1.32937, 0.990929, 0]);
});

Deno.test("label smoothing is the loss of smoothed probabilities", () => {
  const logits = mx.random.normal([3, 4], { key: mx.random.key(0) }), targets = mx.array([0, 3, 1], mx.int32);
  const smoothed = mx.eye(4).index(targets).mul(0.8).add(0.05);
  const expected = losses.crossEntropy(logits, smoothed, { reduction: "sum" });
  const actual = losses.crossEntropy(logits, targets, { labelSmoothing: 0.2, reduction: "sum" });
  assertAlmostEquals(scalar(actual), scalar(expected), 1e-5);
});

Deno.test("reductions", () => {
  const x = mx.array([1, 2, 3]), y = mx.array([1, 1, 1]);
  assertEquals(losses.mseLoss(x, y, { reduction: "none" }).tolist(), [0, 1, 4]);
  assertEquals(scalar(losses.mseLoss(x, y, { reduction: "sum" })), 5);
  assertEquals(scalar(losses.l1Loss(x, y)), 1);
  assertEquals(losses.huberLoss(x, y).tolist(), [0, 0.5, 1.5]);
  assertEquals(losses.smoothL1Loss(x, y, { beta: 2, reduction: "none" }).tolist(), [0, 0.25, 1]);
  assertEquals(losses.hingeLoss(mx.array([0.5, 2]), mx.array([1, 1])).tolist(), [0.5, 0]);
});

Deno.test("the gradient of a cross entropy is softmax minus target", () => {
  const logits = mx.random.normal([2, 5], { key: mx.random.key(1) }), targets = mx.array([4, 0], mx.int32);
  const slope = mx.grad((x: NDArray) => losses.crossEntropy(x, targets, { reduction: "sum" }))(logits);
  const expected = logits.softmax(-1).subtract(mx.eye(5).index(targets));
  assert(mx.allclose(slope, expected, { atol: 1e-6 }).item());
});

Deno.test("losses of what does not fit are refused", () => {
  const x = mx.ones([2, 3]), y = mx.ones([3]);
  const refusals: [() => unknown, string][] = [
    [() => losses.mseLoss(x, y), "[losses.mseLoss] cannot compare float32[2,3] with float32[3]: expected equal shapes"],
    [() => losses.crossEntropy(x, y), "expected targets [2], got float32[3]"],
    [() => losses.crossEntropy(x, x, { labelSmoothing: 1 }), "expected 0 <= labelSmoothing < 1, got 1"],
    [() => losses.crossEntropy(x, x, { weights: y }), "cannot compare float32[2] with float32[3]"],
    [() => init.glorotUniform()(y), "[init.glorotUniform] cannot initialize float32[3]: expected at least 2 axes"],
    [() => init.identity()(x), "expected a square matrix, got 2 rows and 3 columns"],
  ];
  for (const [f, message] of refusals) assertThrows(f, mx.DenimError, message);
});

Deno.test("initialisers", () => {
  const shape = mx.zeros([64, 3, 3, 16]), fan = 9 * 16;
  mx.random.seed(0);
  const spread = (x: NDArray): number => scalar(x.std());
  assertAlmostEquals(spread(init.heNormal()(shape, "fan_in")), 1 / Math.sqrt(fan), 0.003);
  assertAlmostEquals(spread(init.heUniform()(shape, { mode: "fan_out", gain: 2 })), 2 / Math.sqrt(9 * 64), 0.003);
  assertAlmostEquals(spread(init.glorotNormal()(shape)), Math.sqrt(2 / (9 * 80)), 0.002);
  assertEquals(init.constant(0.5, mx.float16)(mx.zeros([2])).dtype, mx.float16);
  const q = init.orthogonal(2)(mx.zeros([6, 4]));
  assert(mx.allclose(mx.matmul(q.T, q), mx.eye(4).mul(4), { atol: 1e-5 }).item());
  assertEquals(init.sparse(0.5)(mx.zeros([4, 6])).equal(0).sum(1).tolist(), [3, 3, 3, 3]);
});
