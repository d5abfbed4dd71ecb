/**
 * Layers with quantized weights, and `quantize`, which puts them into a model.
 * @module
 */
import {
  dequantize,
  fail,
  isPlainObject,
  type NDArray,
  quantize as quantizeArray,
  quantizedMatmul,
  random,
  ValueError,
  zeros,
} from "../core/mod.ts";
import type { Embedding } from "./embedding.ts";
import type { Linear } from "./linear.ts";
import { Module, type ModuleTree } from "./module.ts";

/** Formats of quantized weights. */
export type QuantizationMode = "affine" | "mxfp4" | "mxfp8" | "nvfp4";
/** How weights are quantized. */
export interface QuantizeOptions {
  /** Elements that share a scale. Default: 64 for affine, 32 for mxfp4 and mxfp8, 16 for nvfp4. */
  readonly groupSize?: number | null;
  /** Bits of an element. Default: 4, or 8 for mxfp8. */
  readonly bits?: number | null;
  /** `affine`, `mxfp4`, `mxfp8` or `nvfp4`. Default affine. */
  readonly mode?: QuantizationMode;
}
/** The options with their defaults. */
export interface Quantization {
  /** Elements that share a scale. */
  readonly groupSize: number;
  /** Bits of an element. */
  readonly bits: number;
  /** How elements, scales and biases are stored. */
  readonly mode: QuantizationMode;
}
const DEFAULTS: Readonly<Record<QuantizationMode, readonly [groupSize: number, bits: number]>> = {
  affine: [64, 4],
  mxfp4: [32, 4],
  mxfp8: [32, 8],
  nvfp4: [16, 4],
};
/**
 * Fills in what the mode implies. A `ValueError` for an unknown mode.
 *
 * @example
 * ```ts
 * import * as nn from "@denim/ml/nn";
 * nn.quantizationOf({}); // { groupSize: 64, bits: 4, mode: "affine" }
 * nn.quantizationOf({ mode: "mxfp8" }); // { groupSize: 32, bits: 8, mode: "mxfp8" }
 * ```
 */
export function quantizationOf({ groupSize, bits, mode = "affine" }: QuantizeOptions): Quantization {
  const defaults = DEFAULTS[mode];
  if (!(mode in DEFAULTS)) {
    return fail(ValueError, "quantize", {
      cannot: `quantize in mode ${mode}`,
      expected: Object.keys(DEFAULTS).join(", "),
      got: mode,
      fix: "use one of these modes",
    });
  }
  return { groupSize: groupSize ?? defaults[0], bits: bits ?? defaults[1], mode };
}
/**
 * What quantize made of a matrix; there are no biases in the fp modes. Layers that are made around one draw weights all
 * the same, which nobody computes: as in MLX, what is drawn next does not depend on where the weights come from.
 */
type Packed = readonly [weight: NDArray, scales: NDArray, biases?: NDArray];
function packedOf(w: NDArray, q: Quantization): Packed {
  const [weight, scales, biases] = quantizeArray(w, q);
  return [weight!, scales!, biases];
}

/** Options of {@linkcode QuantizedLinear}. */
export interface QuantizedLinearOptions extends QuantizeOptions {
  /** Add a bias. Default true. */
  readonly bias?: boolean;
}
/**
 * `y = x Wᵀ + b` with W quantized by rows (`mlx.nn.QuantizedLinear`); frozen.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.QuantizedLinear.fromLinear(new nn.Linear(64, 8), { bits: 8 }).forward(mx.ones([1, 64])).shape; // [1, 8]
 * ```
 */
export class QuantizedLinear extends Module {
  /** Packed words, [outputDims, inputDims bits / 32]. */
  weight: NDArray;
  /** Scales of the groups. */
  scales: NDArray;
  /** Offsets of the groups, in mode affine. */
  biases?: NDArray;
  /** b, [outputDims], if there is one. */
  bias?: NDArray;
  /** Elements that share a scale. */
  readonly groupSize: number;
  /** Bits of an element. */
  readonly bits: number;
  /** `affine`, `mxfp4`, `mxfp8` or `nvfp4`. */
  readonly mode: QuantizationMode;
  /** Draws the weights uniformly from ±1/√inputDims and quantizes them, or takes packed ones. */
  constructor(inputDims: number, outputDims: number, options: QuantizedLinearOptions = {}, packed?: Packed) {
    super();
    ({ groupSize: this.groupSize, bits: this.bits, mode: this.mode } = quantizationOf(options));
    const scale = Math.sqrt(1 / inputDims),
      drawn = random.uniform([outputDims, inputDims], { low: -scale, high: scale });
    const [weight, scales, biases] = packed ?? packedOf(drawn, this.options);
    [this.weight, this.scales] = [weight, scales];
    if (biases) this.biases = biases;
    if (options.bias ?? true) this.bias = zeros([outputDims]);
    this.freeze();
  }
  /** How the weights are quantized. */
  get options(): Quantization {
    return { groupSize: this.groupSize, bits: this.bits, mode: this.mode };
  }
  /** x [..., inputDims] -> [..., outputDims]. */
  forward(x: NDArray): NDArray {
    const y = quantizedMatmul(x, this.weight, this.scales, {
      biases: this.biases ?? null,
      transpose: true,
      ...this.options,
    });
    return this.bias ? y.add(this.bias) : y;
  }
  /** Quantizes a linear layer. */
  static fromLinear(layer: Linear, options: QuantizeOptions = {}): QuantizedLinear {
    const q = quantizationOf(options), [outputDims, inputDims] = layer.weight.shape;
    const made = new QuantizedLinear(inputDims!, outputDims!, { ...q, bias: false }, packedOf(layer.weight, q));
    if (layer.bias) made.bias = layer.bias;
    return made.freeze();
  }
}
/**
 * Quantized vectors, one for each index (`mlx.nn.QuantizedEmbedding`); frozen.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * nn.QuantizedEmbedding.fromEmbedding(new nn.Embedding(10, 64)).forward(mx.array([3], mx.int32)).shape; // [1, 64]
 * ```
 */
export class QuantizedEmbedding extends Module {
  /** Packed words, [numEmbeddings, dims bits / 32]. */
  weight: NDArray;
  /** Scales of the groups. */
  scales: NDArray;
  /** Offsets of the groups, in mode affine. */
  biases?: NDArray;
  /** Elements that share a scale. */
  readonly groupSize: number;
  /** Bits of an element. */
  readonly bits: number;
  /** `affine`, `mxfp4`, `mxfp8` or `nvfp4`. */
  readonly mode: QuantizationMode;
  /** Draws the vectors from a normal distribution of deviation 1/√dims and quantizes them, or takes packed ones. */
  constructor(numEmbeddings: number, dims: number, options: QuantizeOptions = {}, packed?: Packed) {
    super();
    ({ groupSize: this.groupSize, bits: this.bits, mode: this.mode } = quantizationOf(options));
    const drawn = random.normal([numEmbeddings, dims], { scale: Math.sqrt(1 / dims) });
    const [weight, scales, biases] = packed ?? packedOf(drawn, this.options);
    [this.weight, this.scales] = [weight, scales];
    if (biases) this.biases = biases;
    this.freeze();
  }
  /** How the vectors are quantized. */
  get options(): Quantization {
    return { groupSize: this.groupSize, bits: this.bits, mode: this.mode };
  }
  /** Indices of any shape -> that shape ++ [dims]. */
  forward(x: NDArray): NDArray {
    return dequantize(this.weight.index(x), this.scales.index(x), {
      biases: this.biases?.index(x) ?? null,
      ...this.options,
    });
  }
  /** The transpose as a linear layer. */
  asLinear(x: NDArray): NDArray {
    return quantizedMatmul(x, this.weight, this.scales, {
      biases: this.biases ?? null,
      transpose: true,
      ...this.options,
    });
  }
  /** Quantizes an embedding. */
  static fromEmbedding(layer: Embedding, options: QuantizeOptions = {}): QuantizedEmbedding {
    const q = quantizationOf(options), [n, dims] = layer.weight.shape;
    return new QuantizedEmbedding(n!, dims!, q, packedOf(layer.weight, q));
  }
}

/** A layer that knows how to become quantized. */
interface Quantizable extends Module {
  toQuantized(options?: QuantizeOptions): Module;
}
function isQuantizable(m: Module): m is Quantizable {
  return "toQuantized" in m && typeof m.toQuantized === "function";
}
/** Options of {@linkcode quantize}. */
export interface QuantizeModelOptions extends QuantizeOptions {
  /** Linear layers quantize their input too: see {@linkcode QQLinear}. Default false. */
  readonly quantizeInput?: boolean;
  /** Whether, and perhaps how, the layer at a path is quantized. Default: all that can be. */
  readonly classPredicate?: ((path: string, module: Module) => boolean | QuantizeOptions) | null;
}
/**
 * Puts quantized layers in the place of those that can be quantized (`mlx.nn.quantize`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const model = new nn.Sequential(new nn.Linear(64, 8));
 * nn.quantize(model, { bits: 8 });
 * model.forward(mx.ones([1, 64])).shape; // [1, 8]
 * ```
 */
export function quantize(
  model: Module,
  groupSize?: number | QuantizeModelOptions | null,
  options: QuantizeModelOptions = {},
): void {
  const all: QuantizeModelOptions = typeof groupSize === "object" && groupSize !== null
    ? groupSize
    : { ...options, groupSize };
  const pick = all.classPredicate ?? isQuantizableAt;
  const visit = (x: unknown, path: string): ModuleTree | undefined => {
    if (x instanceof Module && isQuantizable(x)) {
      const chosen = pick(path, x);
      return chosen === false ? undefined : x.toQuantized(chosen === true ? all : { ...chosen });
    }
    return undefined;
  };
  for (const [path, module] of model.namedModules()) {
    for (const [key, value] of Object.entries(module)) {
      replace(module, key, value, path ? `${path}.${key}` : key, visit);
    }
  }
}
function isQuantizableAt(_path: string, m: Module): boolean {
  return isQuantizable(m);
}
function replace(
  owner: object,
  key: string,
  value: unknown,
  path: string,
  visit: (x: unknown, path: string) => ModuleTree | undefined,
): void {
  if (value instanceof Module) {
    const made = visit(value, path);
    if (made) Reflect.set(owner, key, made);
  } else if (Array.isArray(value) || isPlainObject(value)) {
    for (const [k, v] of Object.entries(value)) replace(value, k, v, `${path}.${k}`, visit);
  }
}
