/**
 * Writes a corpus for the native fuzzer and the native stress driver: the programs that a run of typical work hands to
 * the runtime, each as its number of words and the words, all float64.
 *
 *     deno run -A scripts/record_programs.ts OUT
 * @module
 */
import * as mx from "../mod.ts";
import * as nn from "../nn/mod.ts";
import { Adam } from "../optimizers/mod.ts";
import { makeModel, makePromptCache } from "../lm/mod.ts";
import { Config } from "../lm/config.ts";
import { observePrograms } from "../ffi/runtime.ts";

type Unary = (x: mx.NDArray) => mx.NDArray;
type Binary = (a: mx.NDArray, b: mx.NDArray) => mx.NDArray;
const UNARY: readonly Unary[] = [
  mx.negative,
  mx.abs,
  mx.sign,
  mx.sqrt,
  mx.rsqrt,
  mx.square,
  mx.exp,
  mx.expm1,
  mx.log,
  mx.log1p,
  mx.log2,
  mx.log10,
  mx.sin,
  mx.cos,
  mx.tan,
  mx.arcsin,
  mx.arccos,
  mx.arctan,
  mx.sinh,
  mx.cosh,
  mx.tanh,
  mx.arcsinh,
  mx.arccosh,
  mx.arctanh,
  mx.erf,
  mx.erfinv,
  mx.sigmoid,
  mx.floor,
  mx.ceil,
  mx.round,
  mx.logicalNot,
  mx.bitwiseInvert,
  mx.real,
  mx.imag,
  mx.conjugate,
];
const BINARY: readonly Binary[] = [
  mx.add,
  mx.subtract,
  mx.multiply,
  mx.divide,
  mx.power,
  mx.maximum,
  mx.minimum,
  mx.remainder,
  mx.floorDivide,
  mx.logaddexp,
  mx.arctan2,
  mx.equal,
  mx.notEqual,
  mx.greater,
  mx.greaterEqual,
  mx.less,
  mx.lessEqual,
  mx.logicalAnd,
  mx.logicalOr,
  mx.bitwiseAnd,
  mx.bitwiseOr,
  mx.bitwiseXor,
  mx.leftShift,
  mx.rightShift,
];
const REDUCTIONS: readonly ((x: mx.NDArray, axis: number) => mx.NDArray)[] = [
  mx.sum,
  mx.prod,
  mx.max,
  mx.min,
  mx.all,
  mx.any,
  mx.argmax,
  mx.argmin,
  mx.cumsum,
  mx.cumprod,
  mx.cummax,
  mx.cummin,
  mx.logcumsumexp,
  mx.sort,
  mx.argsort,
  mx.softmax,
  mx.logsumexp,
];
/** The results of the calls that take their arguments: many ops refuse some dtypes. */
function accepted(calls: readonly (() => mx.NDArray)[]): mx.NDArray[] {
  return calls.flatMap((call) => {
    try {
      return [call()];
    } catch (error) {
      if (error instanceof mx.DTypeError || error instanceof mx.ValueError) return [];
      throw error;
    }
  });
}

/** Every elementwise op, reduction and kernel along an axis in every dtype; casts between all of them. */
function dtypes(): void {
  for (const dtype of mx.dtypes) {
    const a = mx.arange(12).reshape([3, 4]).astype(dtype),
      b = mx.ones([3, 4], dtype),
      index = mx.array([[0, 2], [1, 1], [3, 0]], mx.int32);
    mx.eval(a, b, index);
    mx.eval(...accepted(UNARY.map((f) => () => f(a))));
    mx.eval(...accepted(BINARY.map((f) => () => f(a, b))));
    mx.eval(...accepted(REDUCTIONS.flatMap((f) => [() => f(a, 0), () => f(a, 1)])));
    mx.eval(
      ...mx.dtypes.map((to) => a.astype(to)),
      mx.where(mx.greater(a.abs(), 3), a, b),
      a.T.add(1),
      mx.concatenate([a, b], 0),
    );
    mx.eval(
      mx.takeAlongAxis(a, index, 1),
      mx.take(a, index, 1),
      a.at(0).set(1),
      a.at(index.index(0)).add(b.index(0)),
      a.index(mx.slice(null, null, -1)),
    );
  }
}
/** Products, quantized ones, convolutions, and what else has a kernel of its own. */
function kernels(): void {
  const key = mx.random.key(3);
  for (const dtype of [mx.float32, mx.float16, mx.bfloat16, mx.float64]) {
    const draw = (...shape: number[]) => mx.random.normal(shape, { key }).astype(dtype);
    const x = draw(6, 8), y = draw(8, 5), q = draw(1, 4, 9, 16), k = draw(1, 2, 12, 16);
    const i = mx.array([1, 0, 1], mx.uint32), step = mx.array([1, 2], mx.int32);
    mx.eval(
      mx.matmul(x, y),
      mx.matmul(draw(2, 3, 4), draw(2, 4, 3)),
      mx.matmul(draw(40, 64), draw(64, 70)),
      mx.matmul(draw(1, 64), draw(64, 70)),
    );
    mx.eval(
      mx.addmm(draw(6, 5), x, y, { alpha: 0.5, beta: 2 }),
      mx.gatherMm(draw(2, 3, 4), draw(2, 4, 5), { lhsIndices: i, rhsIndices: i }),
    );
    mx.eval(
      mx.fast.rmsNorm(x, draw(8), 1e-5),
      mx.fast.layerNorm(x, draw(8), draw(8), 1e-5),
      mx.fast.layerNorm(x, null, null, 1e-5),
    );
    mx.eval(mx.fast.rope(q, 16, { base: 10000 }), mx.fast.rope(q, 8, { base: 100, traditional: true, offset: 3 }));
    mx.eval(
      ...[{ mask: "causal" as const }, {}, { mask: draw(9, 12) }, {
        mask: mx.ones([4, 9, 12], mx.bool_),
        sinks: draw(4),
      }].map((o) => mx.fast.scaledDotProductAttention(q, k, k, { scale: 0.25, ...o })),
    );
    mx.eval(
      mx.conv1d(draw(2, 9, 4), draw(6, 3, 2), { padding: 1, groups: 2 }),
      mx.conv2d(draw(1, 7, 6, 2), draw(3, 3, 3, 2), { stride: 2, dilation: 2, padding: 2 }),
    );
    mx.eval(
      mx.conv3d(draw(1, 4, 4, 4, 2), draw(2, 2, 2, 2, 2)),
      mx.convTranspose2d(draw(1, 4, 4, 2), draw(3, 3, 3, 2), { stride: 2 }),
    );
    mx.eval(
      mx.slice(x, step, [0, 1], [2, 3]),
      mx.sliceUpdate(x, draw(2, 3), step, [0, 1]),
      mx.putAlongAxis(x, mx.argsort(x, 1), x, 1),
      x.pad(1),
    );
  }
  const signal = mx.random.normal([3, 60], { key }), spectrum = mx.multiply(signal, mx.complex(1, 2));
  for (const n of [1, 7, 12, 34]) {
    mx.eval(mx.fft.fft(spectrum, { n }), mx.fft.ifft(spectrum.T, { n, axis: 0 }));
    mx.eval(mx.fft.rfft(signal, { n }), mx.fft.irfft(spectrum, { n }));
  }
  mx.eval(mx.fft.rfft(mx.random.normal([2, 4096], { key })), mx.fft.fft(mx.random.normal([1031], { key })));
  const { linalg } = mx;
  for (const dtype of [mx.float32, mx.float64, mx.complex64]) {
    const a = mx.random.normal([2, 4, 4], { key }).astype(dtype), b = a.index("...", ":3");
    mx.eval(linalg.cholesky(a), ...linalg.lu(b), ...linalg.qr(b), ...linalg.eigh(a), linalg.eigvalsh(a, "U"));
    mx.eval(...linalg.svd(b), linalg.pinv(b), ...linalg.eig(a), linalg.expm(a), linalg.det(a), ...linalg.slogdet(a));
    mx.eval(
      linalg.solve(a, b),
      linalg.solveTriangular(a, b, { upper: true }),
      linalg.norm(b, { ord: "nuc", axis: [1, 2] }),
    );
  }
  mx.eval(
    mx.random.bits([7]),
    mx.random.bits([3, 5], { width: 1 }),
    mx.random.uniform([4]),
    mx.random.categorical(mx.ones([3, 5])),
    mx.random.permutation(9),
  );
}
/** Packed weights of every mode. */
function quantized(): void {
  const weights = mx.random.normal([32, 64]), experts = mx.random.normal([3, 32, 64]), x = mx.random.normal([4, 64]);
  const which = mx.array([2, 0, 1, 1], mx.uint32), rows = x.reshape([4, 1, 64]);
  const modes = [
    { bits: 2, groupSize: 32 },
    { bits: 3, groupSize: 64 },
    { bits: 4, groupSize: 32 },
    { bits: 5, groupSize: 32 },
    { bits: 6, groupSize: 64 },
    { bits: 8, groupSize: 64 },
    { mode: "mxfp4" as const },
    { mode: "mxfp8" as const },
    { mode: "nvfp4" as const },
  ];
  for (const mode of modes) {
    const [w, scales, biases = null] = mx.quantize(weights, mode), [ew, es, eb = null] = mx.quantize(experts, mode);
    if (!w || !scales || !ew || !es) continue;
    mx.eval(mx.dequantize(w, scales, { biases, ...mode }), mx.quantizedMatmul(x, w, scales, { biases, ...mode }));
    mx.eval(
      mx.quantizedMatmul(mx.random.normal([20, 64]), w, scales, { biases, ...mode }),
      mx.quantizedMatmul(mx.ones([2, 32]), w, scales, { biases, transpose: false, ...mode }),
    );
    mx.eval(mx.gatherQmm(rows, ew, es, { biases: eb, rhsIndices: which, ...mode }));
  }
}
/** Buffers given away, views of them, several results of one program. */
function states(): void {
  let state = mx.zeros([16, 8]);
  for (let i = 0; i < 4; i++) {
    state = mx.writeAt(state, mx.ones([2, 8]).mul(i), mx.array([2 * i], mx.int32), [0], { donate: true });
    mx.eval(state, state.sum(0), state.T.max(1));
  }
  const [a, b] = mx.split(mx.random.normal([8, 6]), 2, 0);
  if (a && b) mx.eval(a.add(b), a.mul(b).sum(), a.sub(b).exp().mean(0), a.max(1));
}
/** An MLP's training step, a transformer's layer with its gradient, a decode step of a language model. */
function models(): void {
  const mlp = new nn.Sequential(new nn.Linear(8, 16), nn.gelu, new nn.Linear(16, 4)), optimizer = new Adam(0.01);
  const x = mx.random.normal([12, 8]),
    loss = (input: mx.NDArray) =>
      nn.losses.crossEntropy(mlp.forward(input), mx.zeros([12], mx.int32), { reduction: "mean" });
  for (let i = 0; i < 3; i++) {
    const [value, gradients] = nn.valueAndGrad(mlp, loss)(x);
    optimizer.update(mlp, gradients);
    mx.eval(value, mlp.parameters(), optimizer.state);
  }
  const block = new nn.TransformerEncoderLayer(16, 2, { mlpDims: 32 });
  const ofBlock = nn.valueAndGrad(block, (input: mx.NDArray) => block.forward(input, null).square().mean());
  mx.eval(...ofBlock(mx.random.normal([2, 5, 16])));
  mx.eval(mx.vmap((v: mx.NDArray) => mx.matmul(v, v.T).softmax(-1))(mx.random.normal([3, 4, 5])));
  const compiled = mx.compile((a: mx.NDArray, b: mx.NDArray) => mx.matmul(a, b).tanh().sum(0));
  for (let i = 0; i < 3; i++) mx.eval(compiled(mx.ones([3, 4]), mx.ones([4, 2])));
  const model = makeModel(
    new Config({
      model_type: "llama",
      hidden_size: 32,
      num_hidden_layers: 2,
      intermediate_size: 48,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 8,
      rms_norm_eps: 0.01,
      vocab_size: 50,
      max_position_embeddings: 64,
      rope_theta: 100,
      tie_word_embeddings: false,
    }),
  );
  const cache = makePromptCache(model);
  for (const ids of [[1, 2, 3, 4, 5], [6], [7]]) mx.eval(model.forward(mx.array([ids], mx.int32), { cache }));
}

const [out] = Deno.args;
if (!out) {
  console.error("usage: record_programs.ts OUT");
  Deno.exit(2);
}
const parts: Float64Array[] = [];
observePrograms((words) => parts.push(Float64Array.of(words.length), words.slice()));
for (const work of [dtypes, kernels, quantized, states, models]) work();
const file = Deno.openSync(out, { write: true, create: true, truncate: true });
for (const p of parts) file.writeSync(new Uint8Array(p.buffer, p.byteOffset, p.byteLength));
file.close();
console.log(`${parts.length / 2} programs in ${out}`);
Deno.exit(0);
