/**
 * Matrix products: dense ones in three dtypes, and with quantized matrices in every format.
 * @module
 */
import * as mx from "../../mod.ts";
import type { Task, Work } from "../work.ts";
import { normal, size } from "./inputs.ts";

type Half = "float32" | "bfloat16" | "float16";
function product(name: string, m: number, k: number, n: number, dtype: Half = "float32"): Work {
  return {
    name,
    group: m === 1 ? "matvec" : "matmul",
    prepare(tiny) {
      const [rows, inner, columns] = [size(m, tiny), size(k, tiny), size(n, tiny)], type = mx.dtypeOf(dtype);
      const a = normal([rows, inner], 0, type), b = normal([inner, columns], 1, type);
      const read = type.size * inner * (rows + columns), written = type.size * rows * columns;
      return { run: () => mx.eval(mx.matmul(a, b)), cost: { flops: 2 * rows * inner * columns, read, written, dtype } };
    },
  };
}
/** The same with b as layers have it, [N, K], read through its transpose. */
function linear(name: string, m: number, k: number, n: number, dtype: Half = "float32"): Work {
  return {
    name,
    group: m === 1 ? "matvec" : "matmul",
    prepare(tiny) {
      const [rows, inner, columns] = [size(m, tiny), size(k, tiny), size(n, tiny)], type = mx.dtypeOf(dtype);
      const a = normal([rows, inner], 0, type), w = normal([columns, inner], 1, type);
      const read = type.size * inner * (rows + columns), written = type.size * rows * columns;
      const cost = { flops: 2 * rows * inner * columns, read, written, dtype };
      return { run: () => mx.eval(mx.matmul(a, w.transpose())), cost };
    },
  };
}

interface Format {
  readonly name: string;
  readonly bits: number;
  readonly groupSize: number;
  readonly mode: "affine" | "mxfp4" | "mxfp8" | "nvfp4";
}
const FORMATS: readonly Format[] = [
  ...[2, 3, 4, 5, 6, 8].map((bits): Format => ({ name: `q${bits}`, bits, groupSize: 64, mode: "affine" })),
  { name: "mxfp4", bits: 4, groupSize: 32, mode: "mxfp4" },
  { name: "mxfp8", bits: 8, groupSize: 32, mode: "mxfp8" },
  { name: "nvfp4", bits: 4, groupSize: 16, mode: "nvfp4" },
];
/** Matrices that are read in turn, so that they come from memory as in a model, and not from a cache. */
const STREAMED_BYTES = 128 * 2 ** 20;
/**
 * x [rows, K] times random quantized matrices [N, K]. Scales are 1 or about it: any other would cost the same. Streamed
 * ones are all multiplied in one evaluation, as the layers of a model are, and the report has the time of one.
 */
function quantizedTask(rows: number, k: number, n: number, format: Format, dtype: mx.DType, streamed: number): Task {
  const { bits, groupSize, mode } = format, x = normal([rows, k], 0, dtype);
  const groups = [n, k / groupSize], bytes = n * k * bits / 8;
  const exact = mode === "nvfp4" ? 0x38 : 127; // 1 as float8 e4m3, and as a power of two
  const scales = mode === "affine" ? mx.full(groups, 0.01, dtype) : mx.full(groups, exact, mx.uint8);
  const biases = mode === "affine" ? mx.full(groups, -0.02, dtype) : null;
  const matrices = Array.from({ length: Math.max(1, Math.ceil(streamed / bytes)) }, (_, i) => {
    return mx.random.bits([n, k * bits / 32], { key: mx.random.key(i) });
  });
  mx.eval(matrices, scales, biases);
  const options = { biases, groupSize, bits, mode }, read = bytes + scales.nbytes + (biases?.nbytes ?? 0) + x.nbytes;
  const cost = { flops: 2 * rows * n * k, read, written: rows * n * dtype.size, footprint: matrices.length * bytes };
  const run = () => mx.eval(matrices.map((words) => mx.quantizedMatmul(x, words, scales, options)));
  return { run, cost, count: { n: matrices.length, of: "product" } };
}
function quantized(rows: number, format: Format, dtype: Half): Work {
  const suffix = dtype === "float32" ? "" : dtype === "bfloat16" ? "_bf16" : "_f16";
  return {
    name: rows === 1 ? `qmv_${format.name}${suffix}_4096` : `qmm_${format.name}${suffix}_${rows}x4096x4096`,
    group: rows === 1 ? "quantized matvec" : "quantized matmul",
    prepare(tiny) {
      const edge = size(4096, tiny), streamed = rows === 1 && !tiny ? STREAMED_BYTES : 0;
      return quantizedTask(size(rows, tiny), edge, edge, format, mx.dtypeOf(dtype), streamed);
    },
  };
}
const q4 = FORMATS.filter((format) => format.name === "q4");

/** The works of this file. */
export const matrixWorks: readonly Work[] = [
  ...[256, 512, 1024, 2048].map((s) => product(`gemm_f32_${s}`, s, s, s)),
  product("gemm_bf16_1024", 1024, 1024, 1024, "bfloat16"),
  product("gemm_f16_1024", 1024, 1024, 1024, "float16"),
  product("gemm_f32_skinny_16x4096x4096", 16, 4096, 4096),
  linear("linear_f32_1024", 1024, 1024, 1024),
  linear("linear_bf16_256x2048x2048", 256, 2048, 2048, "bfloat16"),
  product("matvec_f32_4096", 1, 4096, 4096),
  product("matvec_bf16_4096", 1, 4096, 4096, "bfloat16"),
  product("matvec_f16_4096", 1, 4096, 4096, "float16"),
  linear("linear_matvec_f32_4096", 1, 4096, 4096),
  linear("linear_matvec_bf16_4096", 1, 4096, 4096, "bfloat16"),
  ...FORMATS.map((format) => quantized(1, format, "float32")),
  ...q4.flatMap((format) => [quantized(1, format, "bfloat16"), quantized(1, format, "float16")]),
  ...FORMATS.map((format) => quantized(64, format, "float32")),
  ...q4.flatMap((format) => [quantized(4, format, "float32"), quantized(512, format, "float32")]),
];
