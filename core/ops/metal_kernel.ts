/**
 * Kernels that users write in Metal's language (`mlx.core.fast.metal_kernel`): the function around their source is made
 * here. All results lie one after another in one buffer of bytes, and are views of it.
 * @module
 */
import type { NDArray } from "../array.ts";
import { type DType, uint8 } from "../dtype.ts";
import { defaultDevice } from "../device.ts";
import { fail, ValueError } from "../errors.ts";
import { bind } from "../graph.ts";
import { describeShape, sizeOf } from "../shape.ts";
import type { Shape } from "../primitive.ts";
import { full } from "./create.ts";
import { concatenate } from "./index.ts";
import { type Operand, toArray } from "./operand.ts";
import { contiguous, reshape, sliceOf, view } from "./view.ts";

/** What a kernel is made of, beside its source. */
export interface MetalKernelOptions {
  /** Source before the function: helpers, constants. */
  readonly header?: string;
  /** Copy inputs that are no row-major arrays first. True if absent. */
  readonly ensureRowContiguous?: boolean;
  /** Outputs are `device atomic<T>*`. */
  readonly atomicOutputs?: boolean;
}
/** One call of a kernel. */
export interface MetalKernelCall {
  /** Shape of each output. */
  readonly outputShapes: readonly Shape[];
  /** Dtype of each output. */
  readonly outputDtypes: readonly DType[];
  /** Threads in all, along x, y and z. */
  readonly grid: readonly number[];
  /** Threads of a threadgroup, along x, y and z; cut to the grid. */
  readonly threadgroup: readonly number[];
  /** What the source leaves open, by name: types, integers, booleans. */
  readonly template?: Readonly<Record<string, DType | number | boolean>>;
  /** What the outputs hold before the kernel runs; anything if absent. */
  readonly initValue?: number;
  /** Print the function that was made. */
  readonly verbose?: boolean;
}
/** A kernel: takes arrays and the facts of a call, and returns the outputs. */
export type MetalKernel = (inputs: readonly Operand[], call: MetalKernelCall) => NDArray[];

/** Built-in values that a source may name, with their types. */
const BUILT_IN: Readonly<Record<string, string>> = {
  dispatch_quadgroups_per_threadgroup: "uint",
  dispatch_simdgroups_per_threadgroup: "uint",
  dispatch_threads_per_threadgroup: "uint3",
  grid_origin: "uint3",
  grid_size: "uint3",
  quadgroup_index_in_threadgroup: "uint",
  quadgroups_per_threadgroup: "uint",
  simdgroup_index_in_threadgroup: "uint",
  simdgroups_per_threadgroup: "uint",
  thread_execution_width: "uint",
  thread_index_in_quadgroup: "uint",
  thread_index_in_simdgroup: "uint",
  thread_index_in_threadgroup: "uint",
  thread_position_in_grid: "uint3",
  thread_position_in_threadgroup: "uint3",
  threadgroup_position_in_grid: "uint3",
  threadgroups_per_grid: "uint3",
  threads_per_grid: "uint3",
  threads_per_simdgroup: "uint",
  threads_per_threadgroup: "uint3",
};
const TYPES: Readonly<Record<string, string>> = {
  bool: "bool",
  uint8: "uint8_t",
  uint16: "uint16_t",
  uint32: "uint32_t",
  uint64: "uint64_t",
  int8: "int8_t",
  int16: "int16_t",
  int32: "int32_t",
  int64: "int64_t",
  float16: "float16_t",
  bfloat16: "bfloat16_t",
  float32: "float",
  complex64: "complex64_t",
};
/** Arrays with fewer elements are constants to the kernel, as in MLX. */
const CONSTANT = 8;
/** What is bound at a buffer index: an array, or facts about it; `runtime/cpu/custom.cc` has the same numbers. */
const BIND = { data: 0, shape: 1, strides: 2, ndim: 3, output: 4 } as const;
/** Outputs begin at multiples of this, in bytes. */
const ALIGNED = 16;
/** Bytes of the source in one number of a program. */
const PACKED = 6;

function typeOf(dtype: DType): string {
  return TYPES[dtype.name] ?? fail(ValueError, "metalKernel", {
    cannot: `use ${dtype} in a kernel`,
    expected: `one of ${Object.keys(TYPES).join(", ")}`,
    got: dtype.name,
    fix: "cast with astype(mx.float32)",
  });
}
const names = (source: string, word: string) => new RegExp(`\\b${word}\\b`).test(source);

/** A kernel as the user described it. */
interface Description {
  readonly name: string;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly source: string;
  readonly options: MetalKernelOptions;
}
/** The function and what its buffers are. */
interface Made {
  readonly text: string;
  readonly bindings: number[];
}
/** `offsets`: where each output begins. */
function make(d: Description, inputs: readonly NDArray[], call: MetalKernelCall, offsets: readonly number[]): Made {
  const parameters: string[] = [], bindings: number[] = [];
  const buffer = (declaration: string, ...binding: [number, number, number]) => {
    parameters.push(`${declaration} [[buffer(${bindings.length / 3})]]`);
    bindings.push(...binding);
  };
  inputs.forEach((x, i) => {
    const name = d.inputNames[i]!, space = sizeOf(x.shape) < CONSTANT ? "constant" : "device";
    buffer(`const ${space} ${typeOf(x.dtype)}${x.shape.length ? "*" : "&"} ${name}`, BIND.data, i, 0);
    if (!x.shape.length) return;
    if (names(d.source, `${name}_shape`)) buffer(`const constant int* ${name}_shape`, BIND.shape, i, 0);
    if (names(d.source, `${name}_strides`)) buffer(`const constant int64_t* ${name}_strides`, BIND.strides, i, 0);
    if (names(d.source, `${name}_ndim`)) buffer(`const constant int& ${name}_ndim`, BIND.ndim, i, 0);
  });
  d.outputNames.forEach((name, i) => {
    const type = typeOf(call.outputDtypes[i]!), bytes = byteLength(call, i);
    const element = d.options.atomicOutputs ? `atomic<${type}>` : type;
    buffer(`device ${element}* ${name}`, BIND.output, offsets[i]!, bytes);
  });
  for (const [name, type] of Object.entries(BUILT_IN)) {
    if (names(d.source, name)) parameters.push(`${type} ${name} [[${name}]]`);
  }
  const template = Object.entries(call.template ?? {});
  const kinds = template.map(([name, value]) =>
    `${typeof value === "number" ? "int" : typeof value === "boolean" ? "bool" : "typename"} ${name}`
  );
  const values = template.map(([, value]) => typeof value === "object" ? typeOf(value) : `${value}`).join(", ");
  const [prefix, own] = template.length
    ? [`template <${kinds.join(", ")}>\n`, "custom_template"]
    : ["", "custom_kernel"];
  const body = `${prefix}[[kernel]] void ${own}(\n    ${parameters.join(",\n    ")}) {\n${d.source}\n}\n`;
  const instance = template.length
    ? `template [[host_name("custom_kernel")]] [[kernel]] decltype(${own}<${values}>) ${own}<${values}>;\n`
    : "";
  return { text: `// ${d.name}\n#include "custom.metal"\n${d.options.header ?? ""}\n${body}${instance}`, bindings };
}
function byteLength(call: MetalKernelCall, i: number): number {
  return sizeOf(call.outputShapes[i]!) * call.outputDtypes[i]!.size;
}
function pack(text: string): number[] {
  const bytes = new TextEncoder().encode(text), words: number[] = [];
  for (let at = 0; at < bytes.length; at += PACKED) {
    words.push(bytes.subarray(at, at + PACKED).reduceRight((word, byte) => word * 256 + byte, 0));
  }
  return words;
}
function three(d: Description, what: string, size: readonly number[]): number[] {
  if (size.length < 1 || size.length > 3 || size.some((n) => !Number.isInteger(n) || n < 1 || n > 2 ** 31)) {
    fail(ValueError, "metalKernel", {
      cannot: `run ${d.name}`,
      expected: `one to three positive lengths as its ${what}`,
      got: describeShape(size),
      fix: "count threads along x, y and z",
    });
  }
  return [...size, 1, 1].slice(0, 3);
}
function checkCall(d: Description, inputs: readonly NDArray[], call: MetalKernelCall): void {
  const counts = [inputs.length, call.outputShapes.length, call.outputDtypes.length];
  const expected = [d.inputNames.length, d.outputNames.length, d.outputNames.length];
  if (counts.some((n, i) => n !== expected[i])) {
    fail(ValueError, "metalKernel", {
      cannot: `run ${d.name}`,
      expected: `${expected[0]} inputs, and ${expected[1]} shapes and dtypes of outputs`,
      got: `${counts[0]} inputs, ${counts[1]} shapes and ${counts[2]} dtypes`,
      fix: "give one for each name",
    });
  }
  if (defaultDevice().type === "cpu") {
    fail(ValueError, "metalKernel", {
      cannot: `run ${d.name} on the CPU`,
      expected: "a stream of the GPU",
      got: "Device(cpu, 0)",
      fix: "call it in mx.stream(mx.gpu, () => ...), or after mx.setDefaultDevice(mx.gpu)",
    });
  }
}
/** The outputs before the kernel runs, as they lie in its buffer. */
function initial(call: MetalKernelCall, value: number, offsets: readonly number[], bytes: number): NDArray {
  const parts: NDArray[] = [];
  call.outputShapes.forEach((shape, i) => {
    parts.push(view(full([sizeOf(shape)], value, call.outputDtypes[i]!), uint8));
    const gap = (offsets[i + 1] ?? bytes) - offsets[i]! - byteLength(call, i);
    if (gap) parts.push(full([gap], 0, uint8));
  });
  return concatenate(parts);
}
function run(d: Description, operands: readonly Operand[], call: MetalKernelCall): NDArray[] {
  const arrays = operands.map((x) => toArray("metalKernel", x));
  checkCall(d, arrays, call);
  const inputs = d.options.ensureRowContiguous === false ? arrays : arrays.map((x) => contiguous(x));
  const offsets: number[] = [];
  let bytes = 0;
  call.outputShapes.forEach((_, i) => {
    offsets.push(bytes);
    bytes += Math.ceil(byteLength(call, i) / ALIGNED) * ALIGNED;
  });
  const { text, bindings } = make(d, inputs, call, offsets);
  if (call.verbose) console.info(text);
  const init = call.initValue === undefined ? [] : [initial(call, call.initValue, offsets, bytes)];
  const y = bind("metalKernel", [...inputs, ...init], {
    source: pack(text),
    bindings,
    grid: three(d, "grid", call.grid),
    threadgroup: three(d, "threadgroup", call.threadgroup),
    bytes,
    init: init.length > 0,
  });
  return call.outputShapes.map((shape, i) => {
    const flat = sliceOf(y, [offsets[i]!], [offsets[i]! + byteLength(call, i)]);
    return reshape(view(flat, call.outputDtypes[i]!), shape);
  });
}
/**
 * A kernel in Metal's language, for the GPU (`mlx.core.fast.metal_kernel`). `source` is the body of the function; its
 * parameters are made from the names: `name` is the array, and `name_shape`, `name_strides`, `name_ndim` are there if
 * the source uses them, as are Metal's built-in values such as `thread_position_in_grid`. `elem_to_loc(i, shape, strides,
 * ndim)` gives the place of an element.
 *
 * The result takes the inputs, and per call the shapes and dtypes of the outputs, the grid (threads in all) and the
 * threadgroup. It has no derivative: give it one with `mx.customFunction`. A `ValueError` on the CPU; a `KernelError`
 * with the compiler's words where the source is wrong, raised when it runs.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * const source = "uint i = thread_position_in_grid.x; out[i] = metal::exp(inp[i]);";
 * const exp = mx.fast.metalKernel("my_exp", ["inp"], ["out"], source);
 * const x = mx.array([0, 1]), facts = { outputShapes: [[2]], outputDtypes: [mx.float32], grid: [2], threadgroup: [2] };
 * if (mx.isAvailable(mx.gpu)) mx.stream(mx.gpu, () => exp([x], facts)[0]); // [1, 2.71828]
 * ```
 */
export function metalKernel(
  name: string,
  inputNames: readonly string[],
  outputNames: readonly string[],
  source: string,
  options: MetalKernelOptions = {},
): MetalKernel {
  const d = { name, inputNames, outputNames, source, options };
  const odd = [...inputNames, ...outputNames].find((n) => !/^[A-Za-z_]\w*$/.test(n));
  if (odd !== undefined || outputNames.length === 0) {
    fail(ValueError, "metalKernel", {
      cannot: `make ${name}`,
      expected: "names of Metal's language, and at least one output",
      got: odd === undefined ? "no output" : odd,
      fix: "use letters, digits and underscores",
    });
  }
  return (inputs, call) => run(d, inputs, call);
}
