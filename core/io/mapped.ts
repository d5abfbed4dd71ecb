/**
 * Files as arrays: a mapped file gives views, so loading copies nothing and nothing is read before it is used. A tensor
 * that does not lie at a multiple of its element size is copied.
 * @module
 */
import { runtime, type Submitted } from "../../ffi/runtime.ts";
import type { NDArray } from "../array.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { evaluatedNode } from "../graph.ts";
import { hostBytes } from "../lower.ts";
import { adopt } from "../memory.ts";
import { constant } from "../ops/operand.ts";
import { rowMajorStrides, sizeOf } from "../shape.ts";
import { failure } from "../status.ts";
import type { GgufValue } from "./gguf.ts";
import { loadGguf } from "./gguf_repack.ts";
import { loadNpy, loadNpz } from "./npy.ts";
import { loadTorch } from "./pytorch.ts";
import { loadSafetensors } from "./safetensors.ts";
import { type HostTensor, readRange, type TensorSource, withFile } from "./source.ts";

/** Releases the file's own handle once no tensor can be made from it any more; the tensors keep the mapping. */
const files = new FinalizationRegistry<number>((handle) => runtime().release([handle]));

/** Maps a file. */
export function openMapped(path: string): TensorSource {
  const file = runtime().map(path);
  if (file.failed) throw failure("load", file.failed);
  const source: TensorSource = {
    tensor(byteOffset, dtype, shape) {
      const nbytes = sizeOf(shape) * dtype.size;
      if (byteOffset < 0 || byteOffset + nbytes > file.nbytes) {
        fail(CheckpointError, "load", {
          cannot: `use ${path}`,
          expected: `${byteOffset + nbytes} bytes`,
          got: `${file.nbytes} bytes`,
          fix: "download the file again",
        });
      }
      if (nbytes === 0 || byteOffset % dtype.size !== 0) return copied(path, byteOffset, dtype, shape);
      const view = runtime().retain(file.handle);
      if (view.failed) throw failure("load", view.failed);
      return viewOf(view, byteOffset / dtype.size, dtype, shape, file.nbytes);
    },
  };
  files.register(source, file.handle);
  return source;
}
function viewOf(view: Submitted, offset: number, dtype: DType, shape: readonly number[], fileBytes: number): NDArray {
  const x = evaluatedNode({ shape, dtype });
  adopt(x, view, { offset, strides: rowMajorStrides(shape) }, fileBytes, false);
  return x;
}
function copied(path: string, byteOffset: number, dtype: DType, shape: readonly number[]): NDArray {
  const bytes = withFile(path, (file) => readRange(file, byteOffset, sizeOf(shape) * dtype.size));
  return uploadBytes(bytes, dtype, shape);
}
/** An array of bytes as the dtype stores them. */
export function uploadBytes(bytes: Uint8Array, dtype: DType, shape: readonly number[]): NDArray {
  const done = runtime().upload(bytes);
  if (done.failed) throw failure("load", done.failed);
  const x = evaluatedNode({ shape, dtype });
  adopt(x, done, null, bytes.byteLength);
  return x;
}
/** An array of repacked data, which is copied: its memory serves the next tensor. */
export function uploadTensor({ data, dtype, shape }: HostTensor): NDArray {
  return sizeOf(shape) === 1 ? constant(data.slice(), shape, dtype) : uploadBytes(hostBytes(data), dtype, shape);
}

/** Options of {@linkcode load}. */
export interface LoadOptions {
  /** Format of the file, if its name does not end in it: `safetensors`, `gguf`, `npz`, `npy` or `pytorch`. */
  readonly format?: string | null;
  /** Whether the metadata of the file comes with the arrays: safetensors and gguf. Default false. */
  readonly returnMetadata?: boolean;
}
/** What stands in a file besides its arrays. */
export type LoadedMetadata = Record<string, GgufValue>;
/** Readers of files with several arrays; the metadata where the format has any. */
const READERS: Readonly<Record<string, (path: string) => [Map<string, NDArray>, LoadedMetadata?]>> = {
  safetensors: (path) => {
    const { arrays, metadata } = loadSafetensors(path, openMapped);
    return [arrays, { ...metadata }];
  },
  gguf: (path) => {
    const { arrays, metadata } = loadGguf(path, openMapped, uploadTensor);
    return [arrays, Object.fromEntries(metadata)];
  },
  npz: (path) => [loadNpz(path, openMapped, uploadBytes)],
  pytorch: (path) => [loadTorch(path, openMapped)],
};
/** Other endings. */
const ALIASES: Readonly<Record<string, string>> = { bin: "pytorch", pt: "pytorch", pth: "pytorch" };
/**
 * The arrays of a file by name, as views of the mapped file (`mlx.core.load`): `.safetensors`, `.gguf`, `.npz`, and
 * PyTorch's `.bin`, `.pt` and `.pth`, of which only the tensors are read and nothing is run. A file whose name ends in
 * `.npy` gives the one array that it holds.
 *
 * @example
 * ```ts ignore
 * import * as mx from "@denim/ml";
 * const weights = mx.load("model.safetensors");
 * const x = mx.load("x.npy");
 * ```
 * @throws CheckpointError for a missing, broken or truncated file.
 */
export function load(path: `${string}.npy`, options?: LoadOptions & { readonly format?: "npy" | null }): NDArray;
/** As above, for a file of another name that holds one array. */
export function load(path: string, options: { readonly format: "npy" }): NDArray;
/** As above, with the metadata of the file. */
export function load(
  path: string,
  options: LoadOptions & { readonly returnMetadata: true },
): [Record<string, NDArray>, LoadedMetadata];
/** As above, for a file that holds several arrays. */
export function load(path: string, options?: LoadOptions): Record<string, NDArray>;
export function load(
  path: string,
  { format: given, returnMetadata = false }: LoadOptions = {},
): NDArray | Record<string, NDArray> | [Record<string, NDArray>, LoadedMetadata] {
  const end = given ?? path.split(".").at(-1) ?? "", format = ALIASES[end] ?? end;
  if (format === "npy" && !returnMetadata) return loadNpy(path, openMapped, uploadBytes);
  const [arrays, metadata] = Object.hasOwn(READERS, format) ? READERS[format]!(path) : [];
  if (arrays && !returnMetadata) return Object.fromEntries(arrays);
  if (arrays && metadata) return [Object.fromEntries(arrays), metadata];
  return fail(CheckpointError, "load", {
    cannot: returnMetadata ? `load ${path} with metadata` : `load ${path}`,
    expected: `a file named .safetensors${returnMetadata ? " or .gguf" : ", .gguf, .npy, .npz, .bin, .pt or .pth"}`,
    got: format,
    fix: returnMetadata ? "load it without returnMetadata" : "give { format }",
  });
}
