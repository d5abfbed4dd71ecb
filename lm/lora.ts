/**
 * Low-rank adapters (https://arxiv.org/abs/2106.09685): layers that add `scale x A B` to a frozen layer, for linear
 * layers, experts and embeddings. Those that also learn the size of the weights are in `dora.ts`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Dropout, Embedding, Linear, Module, QuantizedEmbedding, QuantizedLinear } from "../nn/mod.ts";
import { QuantizedSwitchLinear, SwitchLinear } from "./moe.ts";

/** What an adapter has beside the layer it adapts. */
export interface LoraSettings {
  /** Rank of the added matrix. */
  readonly rank: number;
  /** Its factor. */
  readonly scale: number;
  /** How often inputs of the adapter are zero while training. */
  readonly dropout: number;
}
/** How adapters become ordinary layers. */
export interface FuseOptions {
  /** Leave weights that were quantized as floats. Default false. */
  readonly dequantize?: boolean;
}
type Quantized = QuantizedLinear | QuantizedEmbedding | QuantizedSwitchLinear;
/** A layer with quantized weights? */
export function isQuantized(layer: Module): layer is Quantized {
  return layer instanceof QuantizedLinear || layer instanceof QuantizedEmbedding ||
    layer instanceof QuantizedSwitchLinear;
}
/** The weights of a layer as floats. */
export function plainWeight(layer: Quantized | Linear | Embedding | SwitchLinear): NDArray {
  if (!isQuantized(layer)) return layer.weight;
  const { weight, scales, biases = null, groupSize, bits, mode } = layer;
  return mx.dequantize(weight, scales, { biases, groupSize, bits, mode });
}
/** Uniform numbers of ±1/√inputs. */
export function drawn(shape: readonly number[], inputs: number): NDArray {
  const bound = 1 / Math.sqrt(inputs);
  return mx.random.uniform(shape, { low: -bound, high: bound });
}
/** A linear layer with these weights, quantized as another one is unless floats are wanted. */
export function linearLike(
  layer: Linear | QuantizedLinear,
  weight: NDArray,
  { dequantize = false }: FuseOptions,
): Linear | QuantizedLinear {
  const fused = new Linear(1, 1, { bias: false });
  fused.weight = weight;
  if (layer.bias) fused.bias = layer.bias;
  return layer instanceof QuantizedLinear && !dequantize ? QuantizedLinear.fromLinear(fused, layer.options) : fused;
}

/**
 * `linear(x) + scale x A B` (`LoRALinear` of mlx-lm), A [inputs, rank], B [rank, outputs], which starts as zeros.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { LoRALinear } from "@denim/ml/lm";
 * import { Linear } from "@denim/ml/nn";
 * const linear = new Linear(8, 3), adapter = new LoRALinear(linear, { rank: 2, scale: 20, dropout: 0 });
 * [adapter.lora_a.shape, adapter.lora_b.shape]; // [[8, 2], [2, 3]]
 * adapter.lora_b = mx.ones([2, 3]);
 * const x = mx.random.normal([5, 8]);
 * mx.allclose(adapter.fuse().forward(x), adapter.forward(x), 1e-3, { atol: 1e-3 }).item(); // true
 * ```
 */
export class LoRALinear extends Module {
  /** The adapted layer. */
  linear: Linear | QuantizedLinear;
  /** Of the adapter's inputs, while training. */
  dropout: Dropout;
  /** A. */
  lora_a: NDArray;
  /** B. */
  lora_b: NDArray;
  /** Factor of the added matrix. */
  readonly scale: number;
  /** Adapts a layer, which is not changed. */
  constructor(linear: Linear | QuantizedLinear, { rank, scale, dropout }: LoraSettings) {
    super();
    const [outputs = 0, inputs = 0] = plainWeight(linear).shape;
    [this.linear, this.scale, this.dropout] = [linear, scale, new Dropout(dropout)];
    this.lora_a = drawn([inputs, rank], inputs);
    this.lora_b = mx.zeros([rank, outputs]);
  }
  /** x [..., inputs] -> [..., outputs]. */
  forward(x: NDArray): NDArray {
    const z = this.dropout.forward(x).matmul(this.lora_a).matmul(this.lora_b);
    return this.linear.forward(x).add(z.multiply(mx.float(this.scale)).astype(x.dtype));
  }
  /** One layer that computes the same. */
  fuse(options: FuseOptions = {}): Linear | QuantizedLinear {
    const weight = plainWeight(this.linear);
    const delta = this.lora_b.T.multiply(mx.float(this.scale)).matmul(this.lora_a.T);
    return linearLike(this.linear, weight.add(delta.astype(weight.dtype)), options);
  }
}

/**
 * {@linkcode LoRALinear} for the layers of experts (`LoRASwitchLinear` of mlx-lm): A [experts, rank, inputs], B
 * [experts, outputs, rank].
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { LoRASwitchLinear, SwitchLinear } from "@denim/ml/lm";
 * const adapter = new LoRASwitchLinear(new SwitchLinear(8, 3, 4), { rank: 2, scale: 20, dropout: 0 });
 * [adapter.lora_a.shape, adapter.lora_b.shape]; // [[4, 2, 8], [4, 3, 2]]
 * adapter.forward(mx.ones([5, 1, 1, 8]), mx.zeros([5, 2], mx.int32)).shape; // [5, 2, 1, 3]
 * ```
 */
export class LoRASwitchLinear extends Module {
  /** The adapted layer. */
  linear: SwitchLinear | QuantizedSwitchLinear;
  /** Of the adapter's inputs, while training. */
  dropout: Dropout;
  /** A. */
  lora_a: NDArray;
  /** B. */
  lora_b: NDArray;
  /** Factor of the added matrix. */
  readonly scale: number;
  /** Adapts a layer, which is not changed. */
  constructor(linear: SwitchLinear | QuantizedSwitchLinear, { rank, scale, dropout }: LoraSettings) {
    super();
    const [experts = 0, outputs = 0, inputs = 0] = plainWeight(linear).shape;
    [this.linear, this.scale, this.dropout] = [linear, scale, new Dropout(dropout)];
    this.lora_a = drawn([experts, rank, inputs], inputs);
    this.lora_b = mx.zeros([experts, outputs, rank]);
  }
  /** As `SwitchLinear`. */
  forward(x: NDArray, indices: NDArray): NDArray {
    const through = (y: NDArray, w: NDArray) => mx.gatherMm(y, w.swapaxes(-1, -2), { rhsIndices: indices });
    // Between the two products there is one row per chosen expert: the second takes each with its own matrix.
    const z = through(through(this.dropout.forward(x), this.lora_a), this.lora_b);
    return this.linear.forward(x, indices).add(z.multiply(mx.float(this.scale)).astype(x.dtype));
  }
  /** One layer that computes the same. */
  fuse({ dequantize = false }: FuseOptions = {}): SwitchLinear | QuantizedSwitchLinear {
    const { linear } = this,
      weight = plainWeight(linear),
      delta = this.lora_b.multiply(mx.float(this.scale)).matmul(this.lora_a);
    const fused = new SwitchLinear(1, 1, 1, { bias: false });
    fused.weight = weight.add(delta.astype(weight.dtype));
    if (linear.bias) fused.bias = linear.bias;
    if (!isQuantized(linear) || dequantize) return fused;
    const { groupSize, bits, mode } = linear;
    return fused.toQuantized({ groupSize, bits, mode });
  }
}

/**
 * `embedding(i) + scale A[i] B` (`LoRAEmbedding` of mlx-lm), A [vectors, rank], B [rank, dims], which starts as zeros.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { LoRAEmbedding } from "@denim/ml/lm";
 * import { Embedding } from "@denim/ml/nn";
 * const embedding = new Embedding(10, 4), adapter = new LoRAEmbedding(embedding, { rank: 2, scale: 20, dropout: 0 });
 * adapter.forward(mx.array([[1, 2, 3]], mx.int32)).shape; // [1, 3, 4]
 * adapter.asLinear(mx.ones([1, 4])).shape; // [1, 10]
 * ```
 */
export class LoRAEmbedding extends Module {
  /** The adapted layer. */
  embedding: Embedding | QuantizedEmbedding;
  /** Of the adapter's inputs, while training. */
  dropout: Dropout;
  /** A. */
  lora_a: NDArray;
  /** B. */
  lora_b: NDArray;
  /** Factor of the added matrix. */
  readonly scale: number;
  /** Adapts a layer, which is not changed. */
  constructor(embedding: Embedding | QuantizedEmbedding, { rank, scale, dropout }: LoraSettings) {
    super();
    const [vectors = 0, dims = 0] = plainWeight(embedding).shape;
    [this.embedding, this.scale, this.dropout] = [embedding, scale, new Dropout(dropout)];
    this.lora_a = drawn([vectors, rank], vectors);
    this.lora_b = mx.zeros([rank, dims]);
  }
  /** Indices of any shape -> that shape ++ [dims]. */
  forward(x: NDArray): NDArray {
    const y = this.embedding.forward(x), z = this.dropout.forward(this.lora_a.index(x).matmul(this.lora_b));
    return y.add(z.multiply(mx.float(this.scale)).astype(y.dtype));
  }
  /** The transpose as a linear layer. */
  asLinear(x: NDArray): NDArray {
    const z = this.dropout.forward(x).matmul(this.lora_b.T).matmul(this.lora_a.T);
    return this.embedding.asLinear(x).add(z.multiply(mx.float(this.scale)).astype(x.dtype));
  }
  /** One layer that computes the same. */
  fuse({ dequantize = false }: FuseOptions = {}): Embedding | QuantizedEmbedding {
    const { embedding } = this, weight = plainWeight(embedding), fused = new Embedding(1, 1);
    const delta = this.lora_a.multiply(mx.float(this.scale)).matmul(this.lora_b);
    fused.weight = weight.add(delta.astype(weight.dtype));
    return isQuantized(embedding) && !dequantize ? QuantizedEmbedding.fromEmbedding(fused, embedding.options) : fused;
  }
}
