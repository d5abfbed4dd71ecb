/**
 * Adapters that learn direction and size apart (DoRA, https://arxiv.org/abs/2402.09353): the rows of `W + scale B A`
 * keep their direction and get the learned length `m`.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Dropout, Embedding, type Linear, Module, type QuantizedLinear } from "../nn/mod.ts";
import { drawn, type FuseOptions, linearLike, type LoraSettings, plainWeight } from "./lora.ts";

/** Lengths of the vectors along the last axis. */
const lengths = (x: NDArray): NDArray => mx.linalg.norm(x, { axis: -1 });

/**
 * A linear layer with adapted directions and learned lengths (`DoRALinear` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { DoRALinear } from "@denim/ml/lm";
 * import { Linear } from "@denim/ml/nn";
 * const linear = new Linear(8, 3), adapter = new DoRALinear(linear, { rank: 2, scale: 20, dropout: 0 });
 * const x = mx.random.normal([5, 8]);
 * mx.allclose(adapter.forward(x), linear.forward(x), 1e-4, { atol: 1e-5 }).item(); // true
 * adapter.m = adapter.m.multiply(2); // rows twice as long; the bias stays
 * mx.allclose(adapter.fuse().weight, linear.weight.multiply(2), 1e-4).item(); // true
 * ```
 */
export class DoRALinear extends Module {
  /** The adapted layer. */
  linear: Linear | QuantizedLinear;
  /** Of the adapter's inputs, while training. */
  dropout: Dropout;
  /** A. */
  lora_a: NDArray;
  /** B. */
  lora_b: NDArray;
  /** Lengths of the rows, [outputs]. */
  m: NDArray;
  /** Factor of the added matrix. */
  readonly scale: number;
  /** Adapts a layer, which is not changed. */
  constructor(linear: Linear | QuantizedLinear, { rank, scale, dropout }: LoraSettings) {
    super();
    const weight = plainWeight(linear), [outputs = 0, inputs = 0] = weight.shape;
    [this.linear, this.scale, this.dropout] = [linear, scale, new Dropout(dropout)];
    this.m = lengths(weight.astype(mx.float32));
    this.lora_a = drawn([inputs, rank], inputs);
    this.lora_b = mx.zeros([rank, outputs]);
  }
  #delta(): NDArray {
    return this.lora_b.T.multiply(mx.float(this.scale)).matmul(this.lora_a.T);
  }
  /** x [..., inputs] -> [..., outputs]. The lengths that are divided by have no gradient. */
  forward(x: NDArray): NDArray {
    const weight = plainWeight(this.linear), { bias } = this.linear;
    const z = this.dropout.forward(x).matmul(this.lora_a).matmul(this.lora_b);
    const y = x.matmul(weight.T).add(z.multiply(mx.float(this.scale)).astype(x.dtype));
    const sized = this.m.divide(mx.stopGradient(lengths(weight.add(this.#delta())))).astype(x.dtype).multiply(y);
    return bias ? sized.add(bias) : sized;
  }
  /** One layer that computes the same. */
  fuse(options: FuseOptions = {}): Linear | QuantizedLinear {
    const plain = plainWeight(this.linear), weight = plain.add(this.#delta().astype(plain.dtype));
    return linearLike(this.linear, this.m.divide(lengths(weight)).expandDims(-1).multiply(weight), options);
  }
}

/**
 * An embedding with adapted directions and learned lengths (`DoRAEmbedding` of mlx-lm).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { DoRAEmbedding } from "@denim/ml/lm";
 * import { Embedding } from "@denim/ml/nn";
 * const adapter = new DoRAEmbedding(new Embedding(10, 4), { rank: 2, scale: 20, dropout: 0 });
 * adapter.m = mx.arange(10).add(1); // the vectors' lengths
 * const vectors = adapter.forward(mx.array([0, 4], mx.int32)); // [2, 4]
 * mx.linalg.norm(vectors, { axis: -1 }).round(4).tolist(); // [1, 5]
 * ```
 */
export class DoRAEmbedding extends Module {
  /** The adapted layer. */
  embedding: Embedding;
  /** Of the adapter's inputs, while training. */
  dropout: Dropout;
  /** A. */
  lora_a: NDArray;
  /** B. */
  lora_b: NDArray;
  /** Lengths of the vectors, [vectors]. */
  m: NDArray;
  /** Factor of the added matrix. */
  readonly scale: number;
  /** Adapts a layer, which is not changed. */
  constructor(embedding: Embedding, { rank, scale, dropout }: LoraSettings) {
    super();
    const [vectors = 0, dims = 0] = embedding.weight.shape;
    [this.embedding, this.scale, this.dropout] = [embedding, scale, new Dropout(dropout)];
    this.m = lengths(embedding.weight);
    this.lora_a = drawn([vectors, rank], vectors);
    this.lora_b = mx.zeros([rank, dims]);
  }
  #adapted(): NDArray {
    const { weight } = this.embedding;
    return weight.add(this.lora_a.multiply(mx.float(this.scale)).matmul(this.lora_b).astype(weight.dtype));
  }
  /** Indices of any shape -> that shape ++ [dims]. */
  forward(x: NDArray): NDArray {
    const y = this.embedding.forward(x), z = this.lora_a.index(x).multiply(mx.float(this.scale)).matmul(this.lora_b);
    const size = this.m.index(x).divide(mx.stopGradient(lengths(y.add(z)))).expandDims(-1);
    return size.multiply(y.add(this.dropout.forward(z).astype(y.dtype)));
  }
  /** The transpose as a linear layer. */
  asLinear(x: NDArray): NDArray {
    const z = this.dropout.forward(x).matmul(this.lora_b.T).matmul(this.lora_a.T);
    const y = this.embedding.asLinear(x).add(z.multiply(mx.float(this.scale)).astype(x.dtype));
    return this.m.divide(mx.stopGradient(lengths(this.#adapted()))).multiply(y);
  }
  /** One layer that computes the same. */
  fuse(_options: FuseOptions = {}): Embedding {
    const fused = new Embedding(1, 1), weight = this.#adapted();
    fused.weight = this.m.divide(lengths(weight)).expandDims(-1).multiply(weight);
    return fused;
  }
}
