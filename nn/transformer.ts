/**
 * Attention with several heads, and the encoder and decoder of "Attention Is All You Need"
 * (https://arxiv.org/abs/1706.03762). Sequences are [B, L, dims].
 * @module
 */
import { arange, type DType, fail, fast, finfo, float32, less, type NDArray, ValueError } from "../core/mod.ts";
import { relu } from "./activations.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { LayerNorm } from "./normalization.ts";
import { checkpoint as checkpointed } from "./value_and_grad.ts";

/** Added to attention scores: an array that broadcasts to [B, heads, queries, keys], or `"causal"`, or nothing. */
export type AttentionMask = NDArray | "causal" | null;
/** Options of {@linkcode MultiHeadAttention}. */
export interface MultiHeadAttentionOptions {
  /** Features of the queries. Default dims. */
  readonly queryInputDims?: number | null;
  /** Features of the keys. Default dims. */
  readonly keyInputDims?: number | null;
  /** Features of the values. Default keyInputDims. */
  readonly valueInputDims?: number | null;
  /** Features of the projected values. Default dims. */
  readonly valueDims?: number | null;
  /** Features of the result. Default dims. */
  readonly valueOutputDims?: number | null;
  /** Biases in the projections. Default false. */
  readonly bias?: boolean;
}
/**
 * `softmax(Q Kᵀ / √d + mask) V` in each of `numHeads` heads of d = dims / numHeads features, between linear projections
 * (`mlx.nn.MultiHeadAttention`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const attention = new nn.MultiHeadAttention(8, 2), x = mx.ones([1, 5, 8]);
 * attention.forward(x, x, x, nn.MultiHeadAttention.createAdditiveCausalMask(5)).shape; // [1, 5, 8]
 * ```
 */
export class MultiHeadAttention extends Module {
  /** Projects the queries. */
  query_proj: Linear;
  /** Projects the keys. */
  key_proj: Linear;
  /** Projects the values. */
  value_proj: Linear;
  /** Projects the result of all heads. */
  out_proj: Linear;
  /** Number of heads. */
  readonly numHeads: number;
  /** Draws the projections; dims is a multiple of numHeads. */
  constructor(dims: number, numHeads: number, options: MultiHeadAttentionOptions = {}) {
    super();
    if (dims % numHeads !== 0) {
      fail(ValueError, "nn.MultiHeadAttention", {
        cannot: `divide ${dims} features among ${numHeads} heads`,
        expected: "features that are a multiple of the heads",
        got: `${dims} and ${numHeads}`,
        fix: "change dims or numHeads",
      });
    }
    const bias = options.bias ?? false, keyDims = options.keyInputDims ?? dims, valueDims = options.valueDims ?? dims;
    this.numHeads = numHeads;
    this.query_proj = new Linear(options.queryInputDims ?? dims, dims, { bias });
    this.key_proj = new Linear(keyDims, dims, { bias });
    this.value_proj = new Linear(options.valueInputDims ?? keyDims, valueDims, { bias });
    this.out_proj = new Linear(valueDims, options.valueOutputDims ?? dims, { bias });
  }
  /** queries [B, L, D], keys and values [B, S, D] -> [B, L, valueOutputDims]. */
  forward(
    queries: NDArray,
    keys: NDArray,
    values: NDArray,
    mask: AttentionMask | { readonly mask?: AttentionMask } = null,
  ): NDArray {
    const split = (x: NDArray): NDArray => x.unflatten(-1, [this.numHeads, -1]).swapaxes(1, 2);
    const q = split(this.query_proj.forward(queries)), k = split(this.key_proj.forward(keys));
    const v = split(this.value_proj.forward(values));
    const y = fast.scaledDotProductAttention(q, k, v, { scale: Math.sqrt(1 / q.shape.at(-1)!), mask: maskOf(mask) });
    return this.out_proj.forward(y.swapaxes(1, 2).flatten({ startAxis: -2, endAxis: -1 }));
  }
  /** [n, n]: 0 where a query sees a key, the lowest finite number of the dtype after it. */
  static createAdditiveCausalMask(n: number, options: DType | { readonly dtype?: DType } = {}): NDArray {
    const dtype = "code" in options ? options : options.dtype ?? float32, at = arange(n);
    return less(at.expandDims(1), at.expandDims(0)).astype(dtype).mul(finfo(dtype).min);
  }
}
function maskOf(mask: AttentionMask | { readonly mask?: AttentionMask }): AttentionMask {
  return mask === null || typeof mask === "string" || "dtype" in mask ? mask : mask.mask ?? null;
}

/** Options of the layers of encoders and decoders. */
export interface TransformerLayerOptions {
  /** Features between the two linear layers. Default 4 dims. */
  readonly mlpDims?: number | null;
  /** Probability of dropout. Default 0. */
  readonly dropout?: number;
  /** Between the two linear layers. Default relu. */
  readonly activation?: (x: NDArray) => NDArray;
  /** Normalize before attention and before the linear layers, not after them. Default true. */
  readonly normFirst?: boolean;
}
/** Options of encoders and decoders. */
export interface TransformerStackOptions extends TransformerLayerOptions {
  /** Compute each layer again in the backward pass, which saves memory. Default false. */
  readonly checkpoint?: boolean;
}

/**
 * What the layers of encoders and decoders share.
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Transformer({ dims: 8, numHeads: 2, numEncoderLayers: 1, numDecoderLayers: 1, mlpDims: 16 });
 * const layers = model.modules().filter((m) => m instanceof nn.TransformerLayerBase);
 * layers.map((m) => m.linear1.weight.shape); // [[16, 8], [16, 8]]
 * ```
 */
export abstract class TransformerLayerBase extends Module {
  /** The first normalization. */
  ln1: LayerNorm;
  /** The second normalization. */
  ln2: LayerNorm;
  /** From dims to mlpDims. */
  linear1: Linear;
  /** From mlpDims to dims. */
  linear2: Linear;
  /** After the first block. */
  dropout1: Dropout;
  /** After the second block, or inside it. */
  dropout2: Dropout;
  /** Between the two linear layers. */
  readonly activation: (x: NDArray) => NDArray;
  /** Is the normalization before each block? */
  readonly normFirst: boolean;
  readonly #attentions: readonly MultiHeadAttention[];
  /** Draws the weights: those of `count` attentions first. */
  constructor(count: number, dims: number, numHeads: number, options: TransformerLayerOptions) {
    super();
    const { dropout = 0, activation = relu, normFirst = true } = options, mlpDims = options.mlpDims ?? 4 * dims;
    this.#attentions = Array.from({ length: count }, () => new MultiHeadAttention(dims, numHeads));
    this.ln1 = new LayerNorm(dims);
    this.ln2 = new LayerNorm(dims);
    this.linear1 = new Linear(dims, mlpDims);
    this.linear2 = new Linear(mlpDims, dims);
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.activation = activation;
    this.normFirst = normFirst;
  }
  /** The attention that was drawn as number i. */
  protected drawn(i: number): MultiHeadAttention {
    return this.#attentions[i]!;
  }
  /** `x + f(norm(x))`, or `norm(x + f(x))`. */
  protected block(x: NDArray, norm: LayerNorm, f: (x: NDArray) => NDArray): NDArray {
    return this.normFirst ? x.add(f(norm.forward(x))) : norm.forward(x.add(f(x)));
  }
  /** The two linear layers. */
  protected mlp(x: NDArray, dropout: Dropout): NDArray {
    return this.linear2.forward(dropout.forward(this.activation(this.linear1.forward(x))));
  }
}
/**
 * Self-attention and two linear layers, each with a normalization and a residual (`mlx.nn.TransformerEncoderLayer`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.TransformerEncoderLayer(8, 2, { activation: nn.gelu, normFirst: false }).eval();
 * const x = mx.random.normal([1, 4, 8]), start = mx.split(x, [3], 1)[0]!;
 * const some = mx.split(layer.forward(x, "causal"), [3], 1)[0]!; // does not see the fourth element
 * mx.allclose(some, layer.forward(start, "causal"), { atol: 1e-5 }).item(); // true
 * ```
 */
export class TransformerEncoderLayer extends TransformerLayerBase {
  /** Of the sequence to itself. */
  attention: MultiHeadAttention;
  /** Draws the weights. */
  constructor(dims: number, numHeads: number, options: TransformerLayerOptions = {}) {
    super(1, dims, numHeads, options);
    this.attention = this.drawn(0);
  }
  /** x [B, L, dims] -> the same shape. */
  forward(x: NDArray, mask: AttentionMask): NDArray {
    const seen = this.block(x, this.ln1, (y) => this.dropout1.forward(this.attention.forward(y, y, y, mask)));
    return this.block(seen, this.ln2, (y) => this.mlp(y, this.dropout2));
  }
}
/**
 * As {@linkcode TransformerEncoderLayer}, with attention to the encoder's result between
 * (`mlx.nn.TransformerDecoderLayer`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.TransformerDecoderLayer(8, 2);
 * const target = mx.ones([1, 3, 8]), memory = mx.ones([1, 5, 8]);
 * layer.forward(target, memory, "causal", null).shape; // [1, 3, 8]
 * ```
 */
export class TransformerDecoderLayer extends TransformerLayerBase {
  /** Of the sequence to itself. */
  self_attention: MultiHeadAttention;
  /** To the encoder's result. */
  cross_attention: MultiHeadAttention;
  /** The third normalization. */
  ln3: LayerNorm;
  /** Inside the third block. */
  dropout3: Dropout;
  /** Draws the weights. */
  constructor(dims: number, numHeads: number, options: TransformerLayerOptions = {}) {
    super(2, dims, numHeads, options);
    this.self_attention = this.drawn(0);
    this.cross_attention = this.drawn(1);
    this.ln3 = new LayerNorm(dims);
    this.dropout3 = new Dropout(options.dropout ?? 0);
  }
  /** x [B, L, dims], memory [B, S, dims] -> the shape of x. */
  forward(x: NDArray, memory: NDArray, xMask: AttentionMask, memoryMask: AttentionMask): NDArray {
    const own = this.block(x, this.ln1, (y) => this.dropout1.forward(this.self_attention.forward(y, y, y, xMask)));
    const both = this.block(
      own,
      this.ln2,
      (y) => this.dropout2.forward(this.cross_attention.forward(y, memory, memory, memoryMask)),
    );
    return this.block(both, this.ln3, (y) => this.mlp(y, this.dropout3));
  }
}

/**
 * A stack of {@linkcode TransformerEncoderLayer} and a normalization (`mlx.nn.TransformerEncoder`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.TransformerEncoder(1, 8, 2).forward(mx.ones([1, 3, 8]), null).shape; // [1, 3, 8]
 * ```
 */
export class TransformerEncoder extends Module {
  /** In order. */
  layers: TransformerEncoderLayer[];
  /** After the last layer. */
  ln: LayerNorm;
  /** Is each layer computed again in the backward pass? */
  readonly checkpoint: boolean;
  /** Draws the weights. */
  constructor(numLayers: number, dims: number, numHeads: number, options: TransformerStackOptions = {}) {
    super();
    this.layers = Array.from({ length: numLayers }, () => new TransformerEncoderLayer(dims, numHeads, options));
    this.ln = new LayerNorm(dims);
    this.checkpoint = options.checkpoint ?? false;
  }
  /** x [B, L, dims] -> the same shape. */
  forward(x: NDArray, mask: AttentionMask): NDArray {
    const applied = (y: NDArray, layer: TransformerEncoderLayer): NDArray =>
      this.checkpoint ? checkpointed(layer)(y, mask) : layer.forward(y, mask);
    return this.ln.forward(this.layers.reduce(applied, x));
  }
}
/**
 * A stack of {@linkcode TransformerDecoderLayer} and a normalization (`mlx.nn.TransformerDecoder`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const decoder = new nn.TransformerDecoder(2, 8, 2, { dropout: 0.1, checkpoint: true });
 * const memory = new nn.TransformerEncoder(1, 8, 2).forward(mx.ones([2, 5, 8]), null);
 * decoder.forward(mx.ones([2, 3, 8]), memory, "causal", null).shape; // [2, 3, 8]
 * ```
 */
export class TransformerDecoder extends Module {
  /** In order. */
  layers: TransformerDecoderLayer[];
  /** After the last layer. */
  ln: LayerNorm;
  /** Is each layer computed again in the backward pass? */
  readonly checkpoint: boolean;
  /** Draws the weights. */
  constructor(numLayers: number, dims: number, numHeads: number, options: TransformerStackOptions = {}) {
    super();
    this.layers = Array.from({ length: numLayers }, () => new TransformerDecoderLayer(dims, numHeads, options));
    this.ln = new LayerNorm(dims);
    this.checkpoint = options.checkpoint ?? false;
  }
  /** x [B, L, dims], memory [B, S, dims] -> the shape of x. */
  forward(x: NDArray, memory: NDArray, xMask: AttentionMask, memoryMask: AttentionMask): NDArray {
    const applied = (y: NDArray, layer: TransformerDecoderLayer): NDArray =>
      this.checkpoint ? checkpointed(layer)(y, memory, xMask, memoryMask) : layer.forward(y, memory, xMask, memoryMask);
    return this.ln.forward(this.layers.reduce(applied, x));
  }
}

/** What {@linkcode Transformer} takes in place of its encoder. */
export interface Encoder extends Module {
  /** Source -> memory. */
  forward(x: NDArray, mask: AttentionMask): NDArray;
}
/** What {@linkcode Transformer} takes in place of its decoder. */
export interface Decoder extends Module {
  /** Target and memory -> result. */
  forward(x: NDArray, memory: NDArray, xMask: AttentionMask, memoryMask: AttentionMask): NDArray;
}
/** Options of {@linkcode Transformer}. */
export interface TransformerOptions extends TransformerStackOptions {
  /** Features. Default 512. */
  readonly dims?: number;
  /** Heads. Default 8. */
  readonly numHeads?: number;
  /** Layers of the encoder. Default 6. */
  readonly numEncoderLayers?: number;
  /** Layers of the decoder. Default 6. */
  readonly numDecoderLayers?: number;
  /** In place of the encoder. */
  readonly customEncoder?: Encoder | null;
  /** In place of the decoder. */
  readonly customDecoder?: Decoder | null;
}
/**
 * An encoder and a decoder that attends to its result (`mlx.nn.Transformer`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Transformer({ dims: 8, numHeads: 2, numEncoderLayers: 1, numDecoderLayers: 1 });
 * model.forward(mx.ones([1, 5, 8]), mx.ones([1, 3, 8]), null, "causal", null).shape; // [1, 3, 8]
 * ```
 */
export class Transformer extends Module {
  /** Reads the source. */
  encoder: Encoder;
  /** Writes the target. */
  decoder: Decoder;
  /** Draws the weights. */
  constructor(options: number | TransformerOptions = {}) {
    super();
    const o = typeof options === "number" ? { dims: options } : options;
    const { dims = 512, numHeads = 8, numEncoderLayers = 6, numDecoderLayers = 6 } = o;
    this.encoder = o.customEncoder ?? new TransformerEncoder(numEncoderLayers, dims, numHeads, o);
    this.decoder = o.customDecoder ?? new TransformerDecoder(numDecoderLayers, dims, numHeads, o);
  }
  /** Source [B, S, dims] and target [B, L, dims] -> [B, L, dims]. */
  forward(
    source: NDArray,
    target: NDArray,
    sourceMask: AttentionMask,
    targetMask: AttentionMask,
    memoryMask: AttentionMask,
  ): NDArray {
    return this.decoder.forward(target, this.encoder.forward(source, sourceMask), targetMask, memoryMask);
  }
}
