/**
 * Data for training: rows of arrays, token files, lists, lines and workers, in batches with an order, a position and the
 * next batch under way; readers of IDX, CSV, JSON lines, text and pictures.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { batches, fromArrays } from "@denim/ml/data";
 * const x = mx.random.normal([10, 3]), y = mx.arange(10);
 * const data = batches(fromArrays([x, y]), { batchSize: 5, shuffle: true, last: "drop" });
 * for await (const [inputs, targets] of data) mx.eval(inputs, targets);
 * ```
 * @module
 */
export {
  batches,
  type BatchesOptions,
  type BatchSource,
  type DataState,
  fromStream,
  type LastBatch,
  type ShuffleOptions,
} from "./batches.ts";
export {
  type Dataset,
  fromArrays,
  fromItems,
  fromTokens,
  type Items,
  split,
  type TokenBatch,
  type TokenOptions,
} from "./dataset.ts";
export { type ImageOptions, loadImage, saveImage } from "./image.ts";
export { Permutation } from "./permutation.ts";
export {
  type CsvOptions,
  type JsonValue,
  LineFile,
  lineFile,
  loadClasses,
  loadCsv,
  loadIdx,
  readCsv,
  readJsonl,
  readLines,
} from "./readers.ts";
export { fromWorker, serveDataset, type WorkerDataset } from "./worker.ts";
