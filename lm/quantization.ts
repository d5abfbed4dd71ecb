/**
 * Quantized checkpoints: which layers are quantized and how, from the config and from the weights' shapes; and AWQ and
 * GPTQ files, whose packing differs from MLX's.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { isRecord, type JsonRecord } from "../core/io/json.ts";
import { type Module, quantize } from "../nn/mod.ts";
import type { Config } from "./config.ts";
import type { LanguageModel, Weights } from "./model.ts";

/** How one layer is quantized. */
interface LayerQuantization {
  readonly groupSize: number;
  readonly bits: number;
  readonly mode: mx.QuantizationMode;
}
function layerQuantization(c: Config): LayerQuantization {
  const name = c.text("mode", "affine"), mode = mx.QUANTIZATION_MODES.find((known) => known === name);
  return {
    groupSize: c.size("group_size"),
    bits: c.size("bits"),
    mode: mode ?? c.refuse("mode", mx.QUANTIZATION_MODES.join(", ")),
  };
}
/** What the shapes say: a row of `inputs` numbers has one scale per group and `bits / 32` words per number. */
function inferred(path: string, layer: Module, weights: Weights): LayerQuantization | null {
  const scales = weights.get(`${path}.scales`), packed = weights.get(`${path}.weight`);
  const plain: unknown = Reflect.get(layer, "weight");
  if (!scales || !packed || !(plain instanceof mx.NDArray)) return null;
  const inputs = plain.shape.at(-1) ?? 0;
  const groupSize = Math.floor(inputs / (scales.shape.at(-1) ?? 1));
  const bits = Math.floor((packed.shape.at(-1) ?? 0) * 32 / inputs);
  if (scales.dtype !== mx.uint8) return { groupSize, bits, mode: "affine" };
  const mode = FP_MODES.get(`${bits} ${groupSize}`);
  return mode ? { groupSize, bits, mode } : mx.fail(mx.CheckpointError, "load", {
    cannot: `infer how ${path} is quantized`,
    expected: "4 bits in groups of 16 or 32, or 8 bits in groups of 32",
    got: `${bits} bits in groups of ${groupSize}`,
    fix: "name the layer in quantization of config.json",
  });
}
/** Bits and group size tell the modes with eight-bit scales apart. */
const FP_MODES: ReadonlyMap<string, mx.QuantizationMode> = new Map([
  ["4 16", "nvfp4"],
  ["4 32", "mxfp4"],
  ["8 32", "mxfp8"],
]);

/**
 * Makes the layers quantized that are so in the checkpoint: those that `quantization` names, and those that have
 * scales.
 */
export function quantizeLike(model: LanguageModel, weights: Weights, quantization: Config): void {
  quantize(model, {
    ...layerQuantization(quantization),
    classPredicate: (path, layer) => {
      const entry = quantization.json[path];
      if (typeof entry === "boolean") return entry;
      return isRecord(entry) ? layerQuantization(quantization.object(path)) : inferred(path, layer, weights) ?? false;
    },
  });
}

/** What the packed formats of compressed-tensors are here. */
const COMPRESSED: ReadonlyMap<string, JsonRecord> = new Map([
  ["nvfp4-pack-quantized", { group_size: 16, bits: 4, mode: "nvfp4" }],
  ["mxfp4-pack-quantized", { group_size: 32, bits: 4, mode: "mxfp4" }],
  ["pack-quantized", { group_size: 32, bits: 4, mode: "affine" }],
]);
/** Other tools' `quantization_config` as MLX's `quantization`; null where the model is not quantized. */
export function foreignQuantization(config: Config): JsonRecord | null {
  const given = config.object("quantization_config", null);
  if (!given) return null;
  const method = given.text("quant_method");
  switch (method) {
    case "mxfp4":
      return { group_size: 32, bits: 4, mode: "mxfp4" };
    case "mxfp8":
      return { group_size: 32, bits: 8, mode: "mxfp8" };
    case "fp8": {
      // Scales that are powers of two over 32 x 32 numbers are those of mxfp8; others the models expand themselves.
      const block = given.numbers("weight_block_size", null) ?? [], isMx = given.text("scale_fmt", null) === "ue8m0";
      return isMx && block.length === 2 && block.every((n) => n === 32)
        ? { group_size: 32, bits: 8, mode: "mxfp8" }
        : null;
    }
    case "compressed-tensors":
      return COMPRESSED.get(given.text("format")) ?? given.refuse("format", [...COMPRESSED.keys()].join(", "));
    case "awq":
    case "gptq":
      if (given.number("bits", 4) !== 4) given.refuse("bits", "4");
      return { group_size: given.size("group_size", 128), bits: 4, mode: "affine" };
    default:
      return given.refuse("quant_method", "awq, compressed-tensors, fp8, gptq, mxfp4 or mxfp8");
  }
}
/** Are the weights packed as AWQ packs them? GPTQ files are read the same way, as mlx-lm does. */
export function isAwq(config: Config): boolean {
  const method = config.object("quantization_config", null)?.text("quant_method", null);
  return method === "awq" || method === "gptq";
}

/** The place of each of the eight numbers of a word, in AWQ's order. */
const AWQ_SHIFTS = [0, 16, 4, 20, 8, 24, 12, 28];
/** uint32 [rows, words] to its numbers, [rows, 8 words]. */
function unpacked(words: NDArray): NDArray {
  const shifts = mx.array(Uint32Array.from(AWQ_SHIFTS));
  const nibbles = words.view(mx.uint32).index("...", null).rightShift(shifts).bitwiseAnd(15);
  return nibbles.reshape([words.shape[0] ?? 0, -1]);
}
/** Weights of AWQ's packing [inputs, outputs / 8] in MLX's [outputs, inputs / 8]; all floats get the scales' dtype. */
export function fromAwq(weights: Weights): Weights {
  const converted: Weights = new Map();
  let dtype: mx.DType | null = null;
  for (const [name, x] of weights) {
    if (name.endsWith(".g_idx")) {
      mx.fail(mx.CheckpointError, "load", {
        cannot: `use ${name}`,
        expected: "groups of neighbouring inputs",
        got: "groups in another order (act_order)",
        fix: "take a model without g_idx",
      });
    }
    if (name.endsWith(".qweight")) {
      const prefix = name.slice(0, -".qweight".length), scales = weights.get(`${prefix}.scales`);
      if (!scales) {
        return mx.fail(mx.CheckpointError, "load", {
          cannot: `use ${name}`,
          expected: `${prefix}.scales beside it`,
          got: "none",
          fix: "fetch the model again",
        });
      }
      dtype = scales.dtype;
      for (const [part, y] of repacked(x, scales, weights.get(`${prefix}.qzeros`) ?? null)) {
        converted.set(`${prefix}.${part}`, y);
      }
    } else if (!/\.(qzeros|scales)$/.test(name)) converted.set(name, x);
  }
  const target = dtype;
  return target
    ? new Map([...converted].map(([k, x]) => [k, x.dtype.kind === "float" ? x.astype(target) : x]))
    : converted;
}
/** `(q - zero) scale` as MLX's `q scale + bias`. */
function repacked(words: NDArray, scales: NDArray, zeros: NDArray | null): [string, NDArray][] {
  const numbers = unpacked(words).T, [outputs = 0, inputs = 0] = numbers.shape;
  const shifts = mx.arange(8).multiply(4).astype(mx.uint32);
  const weight = numbers.reshape([outputs, inputs / 8, 8]).leftShift(shifts).sum(-1).astype(mx.uint32);
  const scale = mx.contiguous(scales.T), zero = zeros ? unpacked(zeros).T.astype(mx.float32) : mx.float(8);
  const bias = scale.astype(mx.float32).multiply(zero).negative().astype(scale.dtype);
  return [["weight", weight], ["scales", scale], ["biases", bias]];
}
