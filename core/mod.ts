/**
 * Everything that users call as `mx`.
 * @module
 */
import { tableHash, tableText } from "./table.ts";
import { expectTable } from "../ffi/runtime.ts";
import { allPrimitives } from "./graph.ts";
import "./primitives/mod.ts";

expectTable(tableHash(tableText(allPrimitives())));

export type { MediaBundle } from "./display.ts";
export { type ArrayData, type Item, NDArray, type NestedList, type Rest } from "./array.ts";
export * from "./constants.ts";
export { debug, leaks, type LiveArrays } from "./debug.ts";
export * from "./device.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export { asyncEval, evaluateTree as eval, type Pending } from "./evaluate.ts";
export { getPrintoptions, type PrintOptions, printoptions, setPrintoptions } from "./format.ts";
export { Holder, type StreamId } from "./graph.ts";
export type { GgufArray, GgufValue } from "./io/gguf.ts";
export { saveGguf } from "./io/gguf_write.ts";
export { nanGuard, type NanGuardOptions } from "./nan_guard.ts";
export { load, type LoadedMetadata, type LoadOptions } from "./io/mapped.ts";
export { save, type SaveableArrays, savez, savezCompressed } from "./io/npy.ts";
export { type Saveable, saveSafetensors } from "./io/safetensors.ts";
export * as metal from "./metal.ts";
export * from "./ops/binary.ts";
export * from "./ops/conv.ts";
export * from "./ops/create.ts";
export * from "./ops/einsum.ts";
export * as fast from "./ops/fast.ts";
export * as fft from "./ops/fft.ts";
export * from "./ops/hadamard.ts";
export * from "./ops/index.ts";
export { ArrayAt, type IndexItem, type MaskList, Slice, slice } from "./ops/indexing.ts";
export * as linalg from "./ops/linalg.ts";
export { norm as matrixNorm, type NormOptions, type NormOrder } from "./ops/linalg_basic.ts";
export * from "./ops/matmul.ts";
export type { Axes, Axis, Operand } from "./ops/operand.ts";
export { nonzero } from "./ops/nonzero.ts";
export * from "./ops/quantized.ts";
export {
  type GpuCounts,
  type KernelProfile,
  Profile,
  profile,
  type ProfileOptions,
  type SimulatorCounts,
  type Trace,
  type TraceEvent,
} from "./profile.ts";
export * as random from "./ops/random.ts";
export * from "./ops/reduce.ts";
export * from "./ops/scan.ts";
export * from "./ops/sort.ts";
export * from "./ops/statistics.ts";
export * from "./ops/ternary.ts";
export * from "./ops/unary.ts";
export * from "./ops/view.ts";
export { broadcastShapes } from "./shape.ts";
export { checkpoint } from "./transforms/checkpoint.ts";
export {
  type Compile,
  compile,
  type CompileOptions,
  compileStatistics,
  disableCompile,
  enableCompile,
} from "./transforms/compile.ts";
export { exportToDot } from "./transforms/dot.ts";
export {
  exporter,
  type ExporterOptions,
  exportFunction,
  FunctionExporter,
  type ImportedFunction,
  importFunction,
} from "./transforms/export.ts";
export type { CompileStatistics, CompileTrace, Explanation } from "./transforms/explain.ts";
export type { SignatureChange } from "./transforms/signature.ts";
export {
  type AxesOf,
  type CustomFunction,
  customFunction,
  type CustomRules,
  depends,
  type Primals,
  type RuleResult,
} from "./transforms/custom.ts";
export type {
  Argnums,
  ArgumentAt,
  ArgumentsAt,
  Gradient,
  GradOptions,
  LastArgument,
  NamedArguments,
} from "./transforms/arguments.ts";
export { type ArrayFunction, type ArraysLike, grad, jvp, valueAndGrad, vjp } from "./transforms/grad.ts";
export { type Hessian, hessian, hvp, jacfwd, type Jacobian, jacrev } from "./transforms/jacobian.ts";
export { type BatchAxes, vmap, type VmapOptions } from "./transforms/vmap.ts";
export * from "./tree.ts";
