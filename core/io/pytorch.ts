/**
 * PyTorch's checkpoints: a zip file with a pickle that says which tensors there are, and a file of bytes per storage.
 * Nothing in it is run (`pickle.ts`); tensors are views of the mapped file.
 * @module
 */
import type { NDArray } from "../array.ts";
import * as dt from "../dtype.ts";
import type { DType } from "../dtype.ts";
import { CheckpointError, fail } from "../errors.ts";
import { asStrided } from "../ops/view.ts";
import { rowMajorStrides, sameShape } from "../shape.ts";
import { readingFile } from "./npy.ts";
import { readPickle, tensorsOf, type TensorView } from "./pickle.ts";
import { elementCount, type OpenSource } from "./source.ts";
import { type ByteSource, entryBytes, readZip } from "./zip.ts";

/** A tensor, and where its storage lies in the file. */
export interface TorchTensor {
  /** Type of the elements. */
  readonly dtype: DType;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** From one element of an axis to the next, in elements. */
  readonly strides: readonly number[];
  /** Its first element in the storage. */
  readonly offset: number;
  /** First byte of the storage. */
  readonly begin: number;
  /** Elements of the storage. */
  readonly length: number;
}

const DTYPES: Readonly<Record<string, DType>> = {
  FloatStorage: dt.float32,
  HalfStorage: dt.float16,
  BFloat16Storage: dt.bfloat16,
  DoubleStorage: dt.float64,
  LongStorage: dt.int64,
  IntStorage: dt.int32,
  ShortStorage: dt.int16,
  CharStorage: dt.int8,
  ByteStorage: dt.uint8,
  BoolStorage: dt.bool_,
  ComplexFloatStorage: dt.complex64,
};

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the checkpoint of PyTorch",
    expected,
    got,
    fix: "save it again with torch.save, or convert it to safetensors",
  });

/** Checks a view against its storage, and says where that is. */
function placed(name: string, view: TensorView, file: { begin: number; size: number }): TorchTensor {
  const { storage, shape, strides, offset } = view, type = storage.type.replace(/^torch\./, "");
  const dtype = Object.hasOwn(DTYPES, type) ? DTYPES[type] : undefined, shown = name.slice(0, 80);
  if (!dtype) return broken(`a storage of ${Object.keys(DTYPES).join(", ")} for ${shown}`, storage.type.slice(0, 80));
  const count = elementCount(shape), bytes = storage.length * dtype.size;
  if (count === null) return broken(`sizes that fit in memory for ${shown}`, `[${shape.join()}]`);
  if (file.size !== bytes) return broken(`${bytes} bytes in the storage of ${shown}`, String(file.size));
  const last = offset + shape.reduce((sum, n, i) => sum + (n - 1) * strides[i]!, 0);
  if (count > 0 && !(last < storage.length)) {
    return broken(`${shown} inside its storage of ${storage.length}`, `${last}`);
  }
  if (strides.some((stride, i) => stride === 0 && shape[i]! > 1) && count > storage.length) {
    return broken(`at most as many elements of ${shown} as its storage has`, String(count));
  }
  return { dtype, shape, strides, offset, begin: file.begin, length: storage.length };
}
/**
 * The tensors of a checkpoint by name: those in nested dictionaries and lists under the path of their keys, joined by
 * dots. What else it holds is left out.
 * @throws CheckpointError for everything that is no checkpoint of tensors.
 */
export function parseTorch(from: ByteSource): Map<string, TorchTensor> {
  const entries = readZip(from), pickle = [...entries.values()].find(({ name }) => /(^|\/)data\.pkl$/.test(name));
  if (!pickle) return broken("data.pkl in the zip file, as torch.save has written since version 1.6", "none");
  const folder = pickle.name.slice(0, -"data.pkl".length), order = entries.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(entryBytes(from, order)) !== "little") broken("little-endian data", "another");
  const tensors = new Map<string, TorchTensor>();
  for (const [name, view] of tensorsOf(readPickle(entryBytes(from, pickle)))) {
    const entry = entries.get(`${folder}data/${view.storage.key}`);
    if (!entry || entry.deflated) {
      return broken(`the storage of ${name.slice(0, 80)}, stored`, entry ? "deflated" : "none");
    }
    tensors.set(name, placed(name, view, entry));
  }
  return tensors;
}
/** The tensors of the checkpoint `path` as arrays, by name: views of the file that `open` maps. */
export function loadTorch(path: string, open: OpenSource): Map<string, NDArray> {
  const tensors = readingFile(path, "a checkpoint of PyTorch", parseTorch), source = open(path);
  const array = ({ dtype, shape, strides, offset, begin, length }: TorchTensor): NDArray => {
    if (sameShape(strides, rowMajorStrides(shape)) || elementCount(shape) === 0) {
      return source.tensor(begin + offset * dtype.size, dtype, shape);
    }
    return asStrided(source.tensor(begin, dtype, [length]), { shape, strides, offset });
  };
  return new Map([...tensors].map(([name, tensor]) => [name, array(tensor)]));
}
