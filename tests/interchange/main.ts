/**
 * Checkpoints between MLX and Denim: MLX saves module trees and optimizers (`peer.py`). A seed gives the same parameters
 * here; those that were saved are loaded strictly, give the same outputs, take the same next step, are saved again, and
 * MLX finds every value equal:
 * `deno run -A tests/interchange/main.ts PYTHON`, where PYTHON is a Python with `mlx`.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";

type NDArray = mx.NDArray;
interface Case {
  readonly model: nn.Module;
  readonly optimizer: optim.Optimizer;
  readonly call: () => NDArray;
}
const count = (shape: readonly number[]): number => shape.reduce((n, length) => n * length, 1);
const floats = (...shape: number[]): NDArray => mx.sin(mx.arange(count(shape)).astype(mx.float32)).reshape(shape);
const tokens = (...shape: number[]): NDArray =>
  mx.arange(count(shape)).mul(3).remainder(7).reshape(shape).astype(mx.int32);

class Nested extends nn.Module {
  embed = new nn.Embedding(7, 8);
  blocks = [0, 1].map(() => ({
    norm: new nn.RMSNorm(8),
    mlp: new nn.Sequential(new nn.Linear(8, 16), new nn.GELU(), new nn.Linear(16, 8)),
  }));
  scale = mx.ones([8]);
  forward(x: NDArray): NDArray {
    const y = this.blocks.reduce((y, { norm, mlp }) => y.add(mlp.forward(norm.forward(y))), this.embed.forward(x));
    return y.mul(this.scale);
  }
}
/** A model that is called with these arrays. */
function of<A extends readonly unknown[]>(
  model: nn.Module & { forward(...args: A): NDArray | [NDArray, NDArray] },
  optimizer: optim.Optimizer,
  ...args: A
): Case {
  const first = (y: NDArray | [NDArray, NDArray]): NDArray => Array.isArray(y) ? y[0] : y;
  return { model, optimizer, call: () => first(model.forward(...args)) };
}
const QUANTIZED = { groupSize: 32, bits: 4 };
const CASES: Readonly<Record<string, () => Case>> = {
  linear: () => of(new nn.Linear(8, 4), new optim.SGD(0.1), floats(3, 8)),
  linear_without_bias: () =>
    of(new nn.Linear(8, 4, { bias: false }), new optim.SGD(0.1, { momentum: 0.9, nesterov: true }), floats(3, 8)),
  bilinear: () => of(new nn.Bilinear(4, 5, 3), new optim.Adam(0.01), floats(2, 4), floats(2, 5)),
  embedding: () => of(new nn.Embedding(7, 6), new optim.AdamW(0.01, { weightDecay: 0.1 }), tokens(2, 3)),
  conv1d: () => of(new nn.Conv1d(4, 6, 3), new optim.Adagrad(0.01), floats(2, 9, 4)),
  conv2d: () =>
    of(new nn.Conv2d(4, 6, 3, { stride: 2, padding: 1, groups: 2 }), new optim.RMSprop(0.01), floats(2, 7, 6, 4)),
  conv3d: () => of(new nn.Conv3d(2, 3, 2), new optim.AdaDelta(0.5), floats(1, 4, 4, 4, 2)),
  conv_transpose2d: () =>
    of(new nn.ConvTranspose2d(3, 4, 3, { stride: 2 }), new optim.Adamax(0.01), floats(1, 4, 4, 3)),
  conv_transpose1d: () => of(new nn.ConvTranspose1d(3, 4, 3, { bias: false }), new optim.Muon(0.02), floats(2, 5, 3)),
  conv_transpose3d: () =>
    of(new nn.ConvTranspose3d(2, 3, 2, { outputPadding: 1, stride: 2 }), new optim.Adafactor(), floats(1, 3, 3, 3, 2)),
  layer_norm_without_bias: () =>
    of(new nn.LayerNorm(8, { bias: false }), new optim.SGD(0.1, { weightDecay: 0.1 }), floats(3, 8)),
  layer_norm: () => of(new nn.LayerNorm(8), new optim.Lion(0.01), floats(3, 8)),
  rms_norm: () => of(new nn.RMSNorm(8), new optim.Adafactor(), floats(3, 8)),
  batch_norm: () => of(new nn.BatchNorm(6), new optim.Adam(0.01, { biasCorrection: true }), floats(5, 6)),
  group_norm: () => of(new nn.GroupNorm(2, 6), new optim.SGD(0.1, { momentum: 0.9 }), floats(2, 5, 6)),
  instance_norm: () => of(new nn.InstanceNorm(6, { affine: true }), new optim.RMSprop(0.01), floats(2, 5, 6)),
  batch_norm_without_statistics: () =>
    of(new nn.BatchNorm(6, { trackRunningStats: false }), new optim.Adam(0.01), floats(5, 6)),
  prelu: () => of(new nn.PReLU(), new optim.Adam(0.01), floats(3, 8)),
  rnn: () => of(new nn.RNN(4, 6), new optim.Adam(0.01), floats(2, 5, 4)),
  gru: () => of(new nn.GRU(4, 6), new optim.AdamW(0.01), floats(2, 5, 4)),
  lstm: () => of(new nn.LSTM(4, 6), new optim.Adamax(0.01), floats(2, 5, 4)),
  attention: () => {
    const x = floats(2, 5, 8);
    return of(new nn.MultiHeadAttention(8, 2, { bias: true }), new optim.Muon(0.02), x, x, x);
  },
  encoder: () =>
    of(
      new nn.TransformerEncoder(2, 8, 2, { mlpDims: 16 }),
      new optim.Adafactor({ learningRate: 0.01, relativeStep: false, beta1: 0.9 }),
      floats(2, 5, 8),
      null,
    ),
  decoder: () => {
    const optimizer = new optim.MultiOptimizer(
      [new optim.SGD(0.1, { momentum: 0.9 }), new optim.Lion(0.01), new optim.AdamW(0.01)],
      [(path) => path.includes("attention"), (_, g) => g.ndim === 1],
    );
    return of(new nn.TransformerDecoder(2, 8, 2), optimizer, floats(2, 5, 8), floats(2, 3, 8), null, null);
  },
  transformer: () => {
    const model = new nn.Transformer({ dims: 8, numHeads: 2, numEncoderLayers: 1, numDecoderLayers: 1, mlpDims: 16 });
    const optimizer = new optim.MultiOptimizer([new optim.Muon(0.02), new optim.AdamW(0.01)], [
      (path) => path.endsWith("weight"),
    ]);
    return of(model, optimizer, floats(2, 5, 8), floats(2, 3, 8), null, null, null);
  },
  projections: () => {
    const model = new nn.MultiHeadAttention(8, 2, {
      queryInputDims: 3,
      keyInputDims: 4,
      valueInputDims: 5,
      valueDims: 6,
      valueOutputDims: 7,
    });
    return of(model, new optim.AdaDelta(0.5), floats(2, 5, 3), floats(2, 4, 4), floats(2, 4, 5));
  },
  halves: () => {
    const model = new nn.Sequential(new nn.Linear(8, 8), new nn.Tanh(), new nn.Linear(8, 4));
    model.setDtype(mx.bfloat16);
    const optimizer = new optim.Adam(optim.linearSchedule(0.1, 0.01, 5), { biasCorrection: true });
    return { model, optimizer, call: () => model.forward(floats(3, 8).astype(mx.bfloat16)).astype(mx.float32) };
  },
  nvfp4: () =>
    of(new nn.Linear(64, 8, { bias: false }).toQuantized({ mode: "nvfp4" }), new optim.Adam(0.01), floats(3, 64)),
  mxfp8: () => of(new nn.Embedding(7, 64).toQuantized({ mode: "mxfp8" }), new optim.Adam(0.01), tokens(4)),
  quantized_sequence: () => {
    const model = new nn.Sequential(new nn.Linear(64, 64), new nn.RMSNorm(64), new nn.Linear(64, 8, { bias: false }));
    nn.quantize(model, { groupSize: 64, bits: 8, classPredicate: (path) => path === "layers.2" });
    return of(model, new optim.Adam(0.01), floats(3, 64));
  },
  quantized_linear: () =>
    of(new nn.Linear(64, 8, { bias: false }).toQuantized(QUANTIZED), new optim.Adam(0.01), floats(3, 64)),
  quantized_embedding: () => of(new nn.Embedding(7, 64).toQuantized(QUANTIZED), new optim.Adam(0.01), tokens(4)),
  nested: () => of(new Nested(), new optim.Adam(optim.cosineDecay(0.01, 10)), tokens(2, 3)),
};

type Arrays = Readonly<Record<string, NDArray>>;
const flat = (tree: mx.Tree<NDArray>): Arrays => Object.fromEntries(mx.treeFlatten<NDArray>(tree));
/** Fails unless both have the same arrays: to the bit, or within a relative error. */
function requireEqual(what: string, got: Arrays, expected: Arrays, tolerance = 0): void {
  const keys = Object.keys(expected).sort();
  if (Object.keys(got).sort().join() !== keys.join()) {
    throw new Error(`${what}: ${Object.keys(got)} instead of ${keys}`);
  }
  for (const key of keys) {
    const x = got[key]!, y = expected[key]!;
    const same = x.dtype === y.dtype && x.shape.join() === y.shape.join() &&
      (tolerance ? mx.allclose(x, y, { rtol: tolerance, atol: tolerance }) : mx.arrayEqual(x, y)).item();
    if (!same) throw new Error(`${what} ${key}: ${x} instead of ${y}`);
  }
}
function update({ model, optimizer }: Case): void {
  const gradients = mx.treeMap((p: NDArray) => mx.sin(p.mul(100)), model.trainableParameters());
  optimizer.update(model, gradients as nn.Parameters);
  mx.eval(model.parameters(), optimizer.state);
}
async function save(path: string, tree: mx.Tree<NDArray>): Promise<void> {
  await mx.saveSafetensors(path, flat(tree));
}
/** One case: what MLX saved, here and back. */
async function exchange(folder: string, name: string, seed: number, make: () => Case): Promise<void> {
  const at = (part: string): string => `${folder}/${name}.${part}.safetensors`;
  mx.random.seed(seed);
  const made = make(), { model, optimizer } = made;
  requireEqual(`${name} drawn`, flat(model.parameters()), mx.load(at("initial")), 1e-6);
  model.eval();
  model.loadWeights(at("model"), { strict: true });
  requireEqual(`${name} parameters`, flat(model.parameters()), mx.load(at("model")));
  optimizer.init(model.trainableParameters());
  const state = mx.load(at("optimizer")),
    missing = Object.keys(flat(optimizer.state)).filter((path) => !(path in state));
  // MLX keeps a velocity for SGD without momentum, too: more than what is needed may come.
  if (missing.length) throw new Error(`${name}: MLX saves no ${missing}`);
  optimizer.state = mx.treeUnflatten(state) as optim.OptimizerState;
  requireEqual(`${name} output`, { y: made.call() }, mx.load(at("output")), 1e-5);
  await save(at("model.back"), model.parameters());
  await save(at("optimizer.back"), optimizer.state);
  update(made);
  requireEqual(`${name} next step`, flat(model.parameters()), mx.load(at("second")), 1e-5);
}

const [python] = Deno.args;
if (!python) throw new Error("give a Python that has mlx: deno run -A tests/interchange/main.ts PYTHON");
const folder = await Deno.makeTempDir();
async function peer(mode: string): Promise<string> {
  const args = [new URL("./peer.py", import.meta.url).pathname, mode, folder];
  const { stdout, stderr, success } = await new Deno.Command(python!, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}
const names = (await peer("save")).split("\n");
if (names.sort().join() !== Object.keys(CASES).sort().join()) throw new Error(`peer.py has other cases: ${names}`);
for (const [name, make] of Object.entries(CASES)) await exchange(folder, name, names.indexOf(name), make);
const answer = await peer("check");
console.log(`${names.length} module trees and optimizers, from MLX to Denim and back: ${answer}`);
await Deno.remove(folder, { recursive: true });
