/**
 * Data sets: rows that are fetched by their numbers, a batch at a time. They are made of arrays (in memory, or views of
 * mapped files, of which only the rows that are asked for are read), of files of tokens, of lists, and of lines of text.
 * @module
 */
import {
  arange,
  array,
  type DType,
  expandDims,
  fail,
  int32,
  int64,
  load,
  NDArray,
  ShapeError,
  slice,
  take,
  type Tree,
  treeFlatten,
  treeMap,
  uint16,
  ValueError,
} from "../core/mod.ts";
import { openMapped } from "../core/io/mapped.ts";
import { Permutation } from "./permutation.ts";

/** Rows that can be fetched by their numbers, in any order. */
export interface Dataset<B> {
  /** How many rows there are. */
  readonly length: number;
  /** The rows of these numbers as one batch. */
  batch(rows: readonly number[]): B | Promise<B>;
}

const INT32_MAX = 2 ** 31 - 1;
/** Row numbers as an array. */
function rowNumbers(rows: readonly number[], length: number): NDArray {
  return length <= INT32_MAX
    ? array(Int32Array.from(rows), int32)
    : array(BigInt64Array.from(rows, (row) => BigInt(row)), int64);
}

/**
 * The rows of arrays whose first axes are equally long: a batch is the same tree with the rows that were asked for.
 * Arrays that {@linkcode load} maps from `.npy` and `.safetensors` stay on the disk: a batch reads its rows only.
 * @throws ShapeError where the first axes differ.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { fromArrays } from "@denim/ml/data";
 * const digits = fromArrays([mx.arange(6).reshape([3, 2]), mx.array([7, 8, 9])]);
 * digits.length; // 3
 * const [x, y] = await digits.batch([2, 0]);
 * x!.tolist(); // [[4, 5], [0, 1]]
 * y!.tolist(); // [9, 7]
 * ```
 */
export function fromArrays<T extends Tree<NDArray>>(arrays: T): Dataset<T>;
export function fromArrays(arrays: Tree<NDArray>): Dataset<Tree<NDArray>> {
  const leaves = treeFlatten(arrays), length = leaves[0]?.[1].shape[0] ?? 0;
  for (const [path, x] of leaves) {
    if (x.shape[0] === length) continue;
    fail(ShapeError, "data.fromArrays", {
      cannot: "take rows of these arrays",
      expected: `first axes of ${length}`,
      got: `[${x.shape.join()}]${path ? ` at ${path}` : ""}`,
      fix: "give arrays with one row for each example",
    });
  }
  return {
    length,
    batch(rows) {
      const at = rowNumbers(rows, length);
      return treeMap((x: NDArray) => take(x, at, 0), arrays);
    },
  };
}

/** Options of {@linkcode fromTokens}. */
export interface TokenOptions {
  /** How many tokens a row has. */
  readonly length: number;
  /** How many tokens lie between the starts of two rows. Default `length`. */
  readonly stride?: number;
  /** What a file without a header holds. Default uint16. */
  readonly dtype?: DType;
}
/** A batch of token rows, [rows, length], and what follows each token. */
export type TokenBatch = readonly [inputs: NDArray, targets: NDArray];
/** Tokens of an array, of `.npy` or a mapped file of bare integers. */
function tokensOf(source: string | NDArray, dtype: DType): NDArray {
  if (source instanceof NDArray) return source.flatten();
  if (source.endsWith(".npy")) return load(source, { format: "npy" }).flatten();
  const bytes = Deno.statSync(source).size;
  return openMapped(source).tensor(0, dtype, [Math.floor(bytes / dtype.size)]);
}
/**
 * Rows of a long text of tokens: inputs, and the tokens one place further as targets, both int32. A path is a `.npy`
 * file or one of bare integers, as data preparation scripts write them; it is mapped, and a batch reads its rows only.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { fromTokens } from "@denim/ml/data";
 * const [inputs, targets] = await fromTokens(mx.arange(9), { length: 4 }).batch([1]);
 * inputs.tolist(); // [[4, 5, 6, 7]]
 * targets.tolist(); // [[5, 6, 7, 8]]
 * ```
 */
export function fromTokens(source: string | NDArray, options: TokenOptions): Dataset<TokenBatch> {
  const { length, stride = length, dtype = uint16 } = options;
  const tokens = tokensOf(source, dtype), count = tokens.size;
  if (!(length >= 1) || !(stride >= 1) || count <= length) {
    fail(ValueError, "data.fromTokens", {
      cannot: `make rows of ${length} tokens, ${stride} apart`,
      expected: "positive lengths, and more tokens than one row has",
      got: `${count} tokens`,
      fix: "give a longer text, or a smaller length",
    });
  }
  const within = arange(length + 1).astype(count <= INT32_MAX ? int32 : int64);
  return {
    length: Math.floor((count - 1 - length) / stride) + 1,
    batch(rows) {
      const starts = rowNumbers(rows.map((row) => row * stride), count);
      const both = take(tokens, expandDims(starts, 1).add(within)).astype(int32);
      return [both.index("...", slice(0, -1)), both.index("...", slice(1, null))];
    },
  };
}

/** What {@linkcode fromItems} reads: a list, or something that fetches its items. */
export interface Items<T> {
  /** How many there are. */
  readonly length: number;
  /** The item of a number. */
  at(index: number): T | Promise<T> | undefined;
}
/**
 * Items that are fetched one by one, several at a time, and made a batch by `collate`: lists of files, lines of JSON,
 * pictures.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { fromItems } from "@denim/ml/data";
 * const words = fromItems(["an", "example"], (batch: string[]) => mx.array(batch.map((word) => word.length)));
 * (await words.batch([1, 0])).tolist(); // [7, 2]
 * ```
 */
export function fromItems<T, B>(items: Items<T>, collate: (items: T[]) => B | Promise<B>): Dataset<B> {
  const fetch = async (row: number): Promise<T> => {
    const item = await items.at(row);
    if (item !== undefined) return item;
    return fail(ValueError, "data.fromItems", {
      cannot: `fetch row ${row}`,
      expected: `an item below ${items.length}`,
      got: "nothing",
      fix: "check what at() returns",
    });
  };
  return { length: items.length, batch: async (rows) => await collate(await Promise.all(rows.map(fetch))) };
}

/**
 * Two parts of a data set that share no row: what is learned from, and a share that is held out. The seed says which
 * rows; the same seed gives the same parts in every run.
 * @param share How much is held out, between 0 and 1.
 * @throws ValueError where a part would be empty.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { fromArrays, split } from "@denim/ml/data";
 * const [train, heldOut] = split(fromArrays(mx.arange(10)), 0.2);
 * [train.length, heldOut.length]; // [8, 2]
 * ```
 */
export function split<B>(
  dataset: Dataset<B>,
  share: number,
  { seed = 0 }: { readonly seed?: number } = {},
): [rest: Dataset<B>, heldOut: Dataset<B>] {
  const { length } = dataset, count = Math.round(length * share), order = new Permutation(length, seed);
  if (!(count >= 1 && count < length)) {
    fail(ValueError, "data.split", {
      cannot: `hold out ${share} of ${length} rows`,
      expected: "a share between 0 and 1 that leaves both parts a row",
      got: `${count} rows`,
      fix: "change the share",
    });
  }
  const part = (start: number, end: number): Dataset<B> => ({
    length: end - start,
    batch: (rows) => dataset.batch(rows.map((row) => order.at(start + row))),
  });
  return [part(count, length), part(0, count)];
}
