/**
 * Layers: shapes, parameters and their names, refusals, and numbers that do not need a reference.
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertLess, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as nn from "../../nn/mod.ts";

type NDArray = mx.NDArray;
const names = (m: nn.Module): string[] => nn.flattenParameters(m.parameters()).map(([path]) => path).sort();
function assertClose(actual: NDArray, expected: NDArray, atol = 1e-5): void {
  assert(mx.allclose(actual, expected, { atol, rtol: 1e-4 }).item(), `${actual} is not ${expected}`);
}

Deno.test("shapes of convolutions and pooling", () => {
  const shapes: [NDArray, { forward(x: NDArray): NDArray }, number[]][] = [
    [mx.ones([2, 9, 4]), new nn.Conv1d(4, 6, 3, { stride: 2, groups: 2 }), [2, 4, 6]],
    [mx.ones([2, 9, 8, 3]), new nn.Conv2d(3, 5, [3, 2], { padding: [1, 0], dilation: [1, 2] }), [2, 9, 6, 5]],
    [mx.ones([1, 4, 4, 4, 2]), new nn.Conv3d(2, 3, 2, { bias: false }), [1, 3, 3, 3, 3]],
    [mx.ones([2, 5, 3]), new nn.ConvTranspose1d(3, 4, 3, { stride: 2, outputPadding: 1 }), [2, 12, 4]],
    [mx.ones([2, 5, 5, 3]), new nn.ConvTranspose2d(3, 4, 3, { stride: 2, padding: 1 }), [2, 9, 9, 4]],
    [mx.ones([1, 4, 3]), new nn.ConvTranspose1d(3, 2, 2, { padding: -1 }), [1, 7, 2]],
    [mx.ones([1, 2, 2, 2, 3]), new nn.ConvTranspose3d(3, 4, 2, { stride: 2 }), [1, 4, 4, 4, 4]],
    [mx.ones([2, 9, 3]), new nn.MaxPool1d(2), [2, 4, 3]],
    [mx.ones([2, 8, 9, 3]), new nn.MaxPool2d([2, 3]), [2, 4, 3, 3]],
    [mx.ones([2, 8, 9, 3]), new nn.AvgPool2d(3, { stride: 2, padding: 1 }), [2, 4, 5, 3]],
    [mx.ones([1, 4, 4, 4, 2]), new nn.AvgPool3d(2, 1), [1, 3, 3, 3, 2]],
  ];
  for (const [x, layer, shape] of shapes) assertEquals([...layer.forward(x).shape], shape, layer.constructor.name);
});

Deno.test("windows beside each other and any other windows agree", () => {
  const x = mx.random.normal([2, 6, 4, 3], { key: mx.random.key(1) });
  for (const pool of [nn.MaxPool2d, nn.AvgPool2d]) {
    const tiled = new pool(2).forward(x), sliding = new pool(2, 1).forward(x);
    assertClose(tiled, sliding.index("..., ::2, ::2, :"));
  }
});

Deno.test("ties of a maximum share the gradient", () => {
  const slope = mx.grad((x: NDArray) => new nn.MaxPool1d(2).forward(x).sum())(mx.ones([1, 4, 1]));
  assertEquals(slope.flatten().tolist(), [0.5, 0.5, 0.5, 0.5]);
});

Deno.test("what does not fit is refused", () => {
  const refusals: [() => unknown, string][] = [
    [() => new nn.Conv1d(3, 4, 3, { groups: 2 }), "[nn.Conv1d] cannot divide 3 input channels into 2 groups"],
    [
      () => new nn.Conv2d(3, 4, [3, 3, 3]),
      "[nn.Conv2d] cannot use kernelSize [3,3,3]: expected one integer, or 2 of them",
    ],
    [() => new nn.MaxPool2d(0), "[nn.MaxPool2d] cannot use kernelSize [0,0]: expected integers of at least 1"],
    [() => new nn.MaxPool2d(2).forward(mx.ones([4, 4, 3])), "[nn.MaxPool2d] cannot slide over float32[4,4,3]"],
    [() => new nn.AvgPool1d(5).forward(mx.ones([1, 4, 3])), "at least as long as the window, got [4]"],
    [() => new nn.Dropout(1), "[nn.Dropout] cannot drop with probability 1: expected 0 <= p < 1"],
    [() => new nn.Dropout2d().forward(mx.ones([2])), "[nn.Dropout2d] cannot drop channels of float32[2]"],
    [() => new nn.GroupNorm(3, 4), "[nn.GroupNorm] cannot divide 4 features into 3 groups"],
    [() => new nn.LayerNorm(3, { eps: 0 }), "[nn.LayerNorm] cannot use eps 0: expected a positive number"],
    [() => new nn.BatchNorm(3).forward(mx.ones([3])), "expected 2 to 4 axes [N, ..., C], got 1 axes"],
    [() => new nn.BatchNorm(3).forward(mx.ones([1, 3])), "expected more than one value per feature, got one"],
    [() => new nn.InstanceNorm(3).forward(mx.ones([2, 3])), "expected at least 3 axes"],
    [() => new nn.MultiHeadAttention(7, 2), "cannot divide 7 features among 2 heads"],
    [() => new nn.SinusoidalPositionalEncoding(3), "cannot encode into 3 features"],
    [() => new nn.Upsample(2, { mode: "linear", antialias: true, alignCorners: true }), "[nn.Upsample] cannot filter"],
    [() => new nn.Upsample([2, 2]).forward(mx.ones([1, 3, 1])), "got 1 spatial axes and 2 factors"],
  ];
  for (const [f, message] of refusals) assertThrows(f, mx.DenimError, message);
});

Deno.test("parameters have the names of checkpoints", () => {
  assertEquals(names(new nn.BatchNorm(2)), ["bias", "running_mean", "running_var", "weight"]);
  assertEquals(names(new nn.InstanceNorm(2)), []);
  assertEquals(names(new nn.GRU(2, 3)), ["Wh", "Wx", "b", "bhn"]);
  assertEquals(names(new nn.LSTM(2, 3, { bias: false })), ["Wh", "Wx"]);
  assertEquals(names(new nn.RNN(2, 3)), ["Whh", "Wxh", "bias"]);
  assertEquals(names(new nn.SinusoidalPositionalEncoding(4)), []);
  assertEquals(names(new nn.MultiHeadAttention(4, 2)), [
    "key_proj.weight",
    "out_proj.weight",
    "query_proj.weight",
    "value_proj.weight",
  ]);
  const encoder = new nn.TransformerEncoder(2, 4, 2, { mlpDims: 8 });
  assertEquals(names(encoder).filter((n) => n.startsWith("layers.1.l")), [
    "layers.1.linear1.bias",
    "layers.1.linear1.weight",
    "layers.1.linear2.bias",
    "layers.1.linear2.weight",
    "layers.1.ln1.bias",
    "layers.1.ln1.weight",
    "layers.1.ln2.bias",
    "layers.1.ln2.weight",
  ]);
});

Deno.test("normalized values have mean 0 and variance 1", () => {
  const x = mx.random.normal([6, 5, 4], { loc: 3, scale: 2, key: mx.random.key(2) });
  const layers: [{ forward(x: NDArray): NDArray }, number[]][] = [
    [new nn.BatchNorm(4), [0, 1]],
    [new nn.InstanceNorm(4), [1]],
    [new nn.LayerNorm(4), [2]],
    [new nn.GroupNorm(1, 4), [1, 2]],
  ];
  for (const [layer, axes] of layers) {
    const y = layer.forward(x);
    assertClose(y.mean(axes), mx.zerosLike(y.mean(axes)));
    assertClose(y.var(axes), mx.onesLike(y.mean(axes)), 1e-3);
  }
});

Deno.test("batch normalization moves its statistics in training alone, and they stay frozen", () => {
  const layer = new nn.BatchNorm(2), x = mx.array([[1, 2], [3, 6]]);
  layer.forward(x);
  assertClose(layer.running_mean!, mx.array([0.2, 0.4]));
  assertClose(layer.running_var!, mx.array([1.1, 1.7])); // 0.9 + 0.1 · (2 and 8, unbiased)
  layer.eval().forward(x);
  assertClose(layer.running_mean!, mx.array([0.2, 0.4]));
  assertClose(layer.forward(mx.array([[0.2, 0.4]])), mx.zeros([1, 2]));
  layer.freeze().unfreeze();
  assertEquals(Object.keys(layer.trainableParameters()).sort(), ["bias", "weight"]);
});

Deno.test("dropout keeps the mean, whole channels where it says so, and rests in eval", () => {
  mx.random.seed(3);
  const x = mx.ones([64, 64]), y = new nn.Dropout(0.25).forward(x);
  assertAlmostEquals(Number(y.mean().item()), 1, 0.05);
  assertEquals([...new Set([y.tolist()].flat(3).map((v) => Math.fround(Number(v)).toFixed(3)))].sort(), [
    "0.000",
    "1.333",
  ]);
  const z = new nn.Dropout2d(0.5).forward(mx.ones([2, 4, 4, 8])), first = z.index(":, :1, :1, :");
  assert(mx.arrayEqual(z, mx.broadcastTo(first, z.shape)).item());
  assert(mx.arrayEqual(new nn.Dropout3d().eval().forward(mx.ones([2, 2, 2, 3])), mx.ones([2, 2, 2, 3])).item());
});

Deno.test("a recurrent layer continues from its state", () => {
  const x = mx.random.normal([2, 6, 3], { key: mx.random.key(4) });
  const [head, tail] = mx.split(x, [2], 1);
  for (const layer of [new nn.RNN(3, 4), new nn.GRU(3, 4)]) {
    const all = layer.forward(x), state = layer.forward(head!).index(":, -1, :");
    assertClose(layer.forward(tail!, state), all.index(":, 2:, :"));
  }
  const lstm = new nn.LSTM(3, 4), [all] = lstm.forward(x), [h, c] = lstm.forward(head!);
  assertClose(
    lstm.forward(tail!, { hidden: h.index(":, -1, :"), cell: c.index(":, -1, :") })[0],
    all.index(":, 2:, :"),
  );
  assertClose(lstm.forward(tail!, h.index(":, -1, :"), c.index(":, -1, :"))[0], all.index(":, 2:, :"));
});

Deno.test("attention with a causal mask does not look ahead", () => {
  const layer = new nn.MultiHeadAttention(8, 2), x = mx.random.normal([1, 5, 8], { key: mx.random.key(5) });
  const masks = [nn.MultiHeadAttention.createAdditiveCausalMask(5), "causal"] as const;
  const [whole, named] = masks.map((mask) => layer.forward(x, x, x, mask));
  const start = x.index(":, :2, :");
  assertClose(whole!.index(":, :2, :"), layer.forward(start, start, start, "causal"));
  assertClose(whole!, named!);
});

Deno.test("a transformer with checkpoints has the same gradients", () => {
  const options = { dims: 8, numHeads: 2, numEncoderLayers: 2, numDecoderLayers: 1, mlpDims: 12 };
  const a = new nn.Transformer(options), b = new nn.Transformer({ ...options, checkpoint: true });
  b.update(a.parameters());
  const [source, target] = [mx.random.normal([1, 4, 8]), mx.random.normal([1, 3, 8])];
  const [la, ga] = nn.valueAndGrad(a, () => a.forward(source, target, null, "causal", null).square().mean())();
  const [lb, gb] = nn.valueAndGrad(b, () => b.forward(source, target, null, "causal", null).square().mean())();
  assertClose(la, lb);
  const expected = nn.flattenParameters(ga), actual = nn.flattenParameters(gb);
  assertEquals(actual.map(([path]) => path), expected.map(([path]) => path));
  actual.forEach(([, g], i) => assertClose(g, expected[i]![1]));
});

Deno.test("upsampling", () => {
  const x = mx.arange(1, 5).reshape([1, 2, 2, 1]);
  const rows = (options: nn.UpsampleOptions) => new nn.Upsample(2, options).forward(x).squeeze();
  assertEquals(rows({}).tolist(), [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]);
  assertEquals(rows({ mode: "linear" }).tolist(), [
    [1, 1.25, 1.75, 2],
    [1.5, 1.75, 2.25, 2.5],
    [2.5, 2.75, 3.25, 3.5],
    [3, 3.25, 3.75, 4],
  ]);
  assertClose(rows({ mode: "linear", alignCorners: true }).index(0), mx.array([1, 4 / 3, 5 / 3, 2]));
  const smooth = new nn.Upsample(0.5, { mode: "cubic", antialias: true }).forward(mx.ones([1, 8, 8, 2]));
  assertClose(smooth, mx.ones([1, 4, 4, 2]));
});

Deno.test("ALiBi and sinusoids", () => {
  const y = new nn.ALiBi().forward(mx.zeros([1, 8, 3, 3]));
  assertEquals(y.index("0, 0").tolist(), [[0, -0.5, -1], [-0.5, 0, -0.5], [-1, -0.5, 0]]);
  assertEquals(nn.ALiBi.createAlibiSlope(2).flatten().tolist(), [0.0625, 0.00390625]);
  const encoded = new nn.SinusoidalPositionalEncoding(4, { scale: 1, cosFirst: true }).forward(mx.array([0, 1]));
  assertEquals([...encoded.shape], [2, 4]);
  assertClose(encoded.index(1), mx.array([Math.cos(1), Math.cos(1e-4), Math.sin(1), Math.sin(1e-4)]));
});

Deno.test("a linear layer that quantizes its input stores floats in training only", () => {
  const dense = new nn.Linear(64, 32, { bias: false }), x = mx.random.normal([4, 64], { key: mx.random.key(6) });
  const layer = dense.toQuantized({ mode: "mxfp8", quantizeInput: true }), trained = layer.forward(x);
  assertEquals([layer.weight.dtype, names(layer)], [mx.float32, ["weight"]]);
  assertLess(Number(trained.subtract(dense.forward(x)).abs().max().item()), 0.1);
  const slope = mx.grad((w: NDArray) => mx.qqmm(x, w, { mode: "mxfp8" }).sum())(layer.weight);
  assertEquals([...slope.shape], [32, 64]);
  const model = new nn.Sequential(layer).eval();
  assertEquals([layer.weight.dtype, names(model)], [mx.uint32, ["layers.0.scales", "layers.0.weight"]]);
  assertClose(layer.forward(x), trained);
  model.train();
  assertEquals([layer.weight.dtype, names(layer)], [mx.float32, ["weight"]]);
  assertThrows(() => nn.QQLinear.fromLinear(new nn.Linear(64, 32)), mx.ValueError, "expected no bias, got a bias");
});

Deno.test("a quantized layer draws its weights as MLX does, also where it takes those of another layer", () => {
  mx.random.seed(7);
  const linear = new nn.QuantizedLinear(64, 2), embedding = new nn.QuantizedEmbedding(3, 64);
  assertClose(linear.forward(mx.ones([1, 64])), mx.array([[0.165417, 0.139738]]));
  assertClose(embedding.forward(mx.array([2], mx.int32)).sum(), mx.array(0.348357));
  assertClose(mx.random.uniform(), mx.array(0.271507));
  mx.random.seed(7);
  new nn.Linear(64, 2, { bias: false }).toQuantized();
  assertClose(mx.random.uniform(), mx.array(0.271507));
});

Deno.test("what a module holds is found, frozen and set by the names of its fields, in containers too", () => {
  class Model extends nn.Module {
    inner = new nn.Linear(2, 2, { bias: false });
    list: [NDArray, nn.PReLU] = [mx.zeros([1]), new nn.PReLU()];
    table = { scale: mx.ones([2]) };
    _hidden = new nn.Linear(2, 2);
    _cache = [mx.zeros([1])];
  }
  const model = new Model(), all = ["inner.weight", "list.0", "list.1.weight", "table.scale"];
  const trained = (): string[] => nn.flattenParameters(model.trainableParameters()).map(([path]) => path).sort();
  assertEquals(names(model), all);
  model.freeze({ keys: ["inner", "list"] });
  assertEquals(trained(), ["table.scale"]);
  model.unfreeze({ keys: "list" }).freeze({ keys: "list.0" });
  assertEquals(trained(), ["list.1.weight", "table.scale"]);
  assertEquals([model.unfreeze(), trained()], [model, all]);
  model.freeze({ recurse: false });
  assertEquals(trained(), ["inner.weight", "list.1.weight"]);
  assertThrows(() => model.freeze({ keys: "bias", recurse: false, strict: true }), mx.ValueError);
  assertThrows(() => model.inner.update({ bias: mx.ones([2]) }), mx.ValueError, "cannot set bias of Linear");
  assertThrows(() => model.update({ inner: mx.ones([2]) }), mx.ValueError, "cannot set inner of Model");
  assertThrows(() => model.update({ table: { other: mx.ones([2]) } }), mx.ValueError, "cannot set table.other");
  assertThrows(() => model.update({ list: [{}, {}, mx.ones([2])] }), mx.ValueError, "cannot set list.2");
  model.inner.update({ bias: mx.ones([2]) }, { strict: false });
  model.update({ inner: mx.ones([2]), table: { other: mx.ones([2]), scale: mx.zeros([2]) } }, { strict: false });
  assertEquals([names(model), model.table.scale.tolist()], [all, [0, 0]]);
  const other = new nn.Linear(2, 2),
    unfit: Record<string, nn.ModuleTree>[] = [
      { table: other },
      { table: { scale: other } },
      { list: [other] },
      { inner: { x: other } },
    ];
  for (const tree of unfit) {
    assertThrows(() => model.updateModules(tree), mx.ValueError, "[module] cannot set");
    model.updateModules(tree, { strict: false });
  }
  model.updateModules({ list: [{}, other], inner: other });
  assertEquals(names(model), ["inner.bias", "inner.weight", "list.0", "list.1.bias", "list.1.weight", "table.scale"]);
});

Deno.test("freeze with strict wants a name somewhere in the model; updateModules and loadWeights want what fits", () => {
  const model = new nn.Sequential(new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2));
  model.freeze({ keys: "bias", strict: true });
  assertEquals(nn.flattenParameters(model.trainableParameters()).map(([k]) => k), [
    "layers.0.weight",
    "layers.1.weight",
  ]);
  assertThrows(() => model.freeze({ keys: "bais", strict: true }), mx.DenimError, "got bais");
  const odd: Record<string, never> = JSON.parse('{ "layers": [0, 1] }');
  assertThrows(() => model.updateModules(odd), mx.DenimError);
  const weights: [string, never][] = JSON.parse('[["weight", 3]]');
  assertThrows(() => new nn.Linear(2, 2, { bias: false }).loadWeights(weights), mx.CheckpointError, "got number");
});
