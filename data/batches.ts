/**
 * Batches of a data set or of a stream, epoch after epoch: their order, what happens to the last one, the batch that is
 * prepared while another is used, and the position, a plain object from which an equal loader goes on.
 * @module
 */
import { asyncEval, cpu, fail, newStream, type Stream, stream, ValueError } from "../core/mod.ts";
import type { Dataset } from "./dataset.ts";
import { Permutation } from "./permutation.ts";

/** Where a loader stands. It is plain data: save it as JSON. */
export interface DataState {
  /** How many epochs are over. */
  readonly epoch: number;
  /** How many batches of this epoch were handed out. */
  readonly batch: number;
  /** The seed of the order. */
  readonly seed: number;
  /** Rows of a batch; the position counts such batches. */
  readonly batchSize: number;
}
/**
 * Batches that a training loop can resume. One `for await` runs to the end of an epoch; the next one begins the next
 * epoch.
 */
export interface BatchSource<B> extends AsyncIterable<B> {
  /** Batches of an epoch, where that is known. */
  readonly batchesPerEpoch: number | null;
  /** How many rows of the batch handed out last are no padding. */
  readonly rows: number;
  /** Where it stands: what was handed out counts, what is prepared does not. */
  state(): DataState;
  /** Goes on from a position. */
  restore(state: DataState): void;
}
/** What becomes of a last batch that is not full: it stays short, is left out, or is filled up with its last row. */
export type LastBatch = "keep" | "drop" | "pad";
/** Options of {@linkcode batches} and {@linkcode fromStream}. */
export interface BatchesOptions {
  /** Rows of a batch. */
  readonly batchSize: number;
  /** What becomes of a last batch that is not full. Default "keep". */
  readonly last?: LastBatch;
  /** Batches that are prepared while another is used. Default 1. */
  readonly prefetch?: number;
}
/** Options of {@linkcode batches}. */
export interface ShuffleOptions extends BatchesOptions {
  /** Does each epoch have an order of its own? Default false. */
  readonly shuffle?: boolean;
  /** The seed of these orders. Default 0. */
  readonly seed?: number;
}

/** Refuses what is no count. */
function requireCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  fail(ValueError, "data.batches", {
    cannot: `use ${name} ${value}`,
    expected: `an integer of at least ${least}`,
    got: String(value),
    fix: `change ${name}`,
  });
}
/** Refuses a position of other batches. */
function requireSameBatches(state: DataState, batchSize: number, batchesPerEpoch: number | null): void {
  const fits = state.batchSize === batchSize && (batchesPerEpoch === null || state.batch <= batchesPerEpoch);
  if (fits) return;
  fail(ValueError, "data.restore", {
    cannot: `go on at batch ${state.batch} of size ${state.batchSize}`,
    expected: `batches of ${batchSize}${batchesPerEpoch === null ? "" : `, ${batchesPerEpoch} in an epoch`}`,
    got: `a position of batches of ${state.batchSize}`,
    fix: "use the batchSize and the data of the interrupted run",
  });
}
/** A stream of their own, on which batches are gathered while the default stream computes. */
let gathering: Stream | null = null;
/** Runs `make` and queues what it made. Data are gathered on the CPU, where the rows are. */
async function prepared<B>(make: () => B | Promise<B>): Promise<B> {
  const own = gathering ??= newStream(cpu);
  const batch = await stream(own, make);
  stream(own, () => void asyncEval(batch));
  return batch;
}
/** Hands out `next()` until it is null, with `ahead` of them under way. */
async function* ahead<T>(next: () => Promise<T | null>, count: number): AsyncGenerator<T, void, void> {
  const underway: Promise<T | null>[] = [];
  const start = (): void => {
    const promise = next();
    // Who awaits it gets the error; until then it is not unhandled.
    promise.catch(() => {});
    underway.push(promise);
  };
  for (let i = 0; i < count; i++) start();
  while (true) {
    start();
    const value = await underway.shift()!;
    if (value === null) return;
    yield value;
  }
}

/** {@linkcode BatchSource} over a data set. */
class Batches<B> implements BatchSource<B> {
  readonly batchesPerEpoch: number;
  rows = 0;
  readonly #dataset: Dataset<B>;
  readonly #options: Required<ShuffleOptions>;
  #epoch = 0;
  #batch = 0;
  #seed: number;

  constructor(dataset: Dataset<B>, options: ShuffleOptions) {
    const { batchSize, last = "keep", prefetch = 1, shuffle = false, seed = 0 } = options;
    requireCount("batchSize", batchSize, 1);
    requireCount("prefetch", prefetch, 0);
    this.#dataset = dataset;
    this.#options = { batchSize, last, prefetch, shuffle, seed };
    this.#seed = seed;
    this.batchesPerEpoch = last === "drop"
      ? Math.floor(dataset.length / batchSize)
      : Math.ceil(dataset.length / batchSize);
    requireCount("batchesPerEpoch", this.batchesPerEpoch, 1);
  }
  state(): DataState {
    return { epoch: this.#epoch, batch: this.#batch, seed: this.#seed, batchSize: this.#options.batchSize };
  }
  restore(state: DataState): void {
    requireSameBatches(state, this.#options.batchSize, this.batchesPerEpoch);
    this.#epoch = state.epoch;
    this.#batch = state.batch;
    this.#seed = state.seed;
  }
  /** The row numbers of a batch of this epoch, and how many of them are no padding. */
  #rowsOf(batch: number, order: Permutation | null): { rows: number[]; real: number } {
    const { batchSize, last } = this.#options, start = batch * batchSize;
    const real = Math.min(batchSize, this.#dataset.length - start);
    const length = last === "pad" ? batchSize : real;
    const rows = Array.from({ length }, (_, i) => {
      const place = start + Math.min(i, real - 1);
      return order ? order.at(place) : place;
    });
    return { rows, real };
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, void> {
    if (this.#batch >= this.batchesPerEpoch) this.#nextEpoch();
    const { shuffle, prefetch } = this.#options;
    const order = shuffle ? new Permutation(this.#dataset.length, this.#seed, this.#epoch) : null;
    let next = this.#batch;
    const fetch = async (): Promise<{ batch: B; real: number } | null> => {
      if (next >= this.batchesPerEpoch) return null;
      const { rows, real } = this.#rowsOf(next++, order);
      return { batch: await prepared(() => this.#dataset.batch(rows)), real };
    };
    for await (const { batch, real } of ahead(fetch, prefetch)) {
      this.#batch++;
      this.rows = real;
      yield batch;
    }
    this.#nextEpoch();
  }
  #nextEpoch(): void {
    this.#epoch++;
    this.#batch = 0;
  }
}
/**
 * The batches of a data set (of arrays, tokens, items, a worker). With `shuffle` each epoch has an order of its own,
 * which the seed and the number of the epoch give; going on from a position costs nothing.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { batches, fromArrays } from "@denim/ml/data";
 * const data = batches(fromArrays(mx.arange(10)), { batchSize: 4, shuffle: true, seed: 1 });
 * for await (const x of data) x.shape; // [4], [4], [2]
 * data.state(); // { epoch: 1, batch: 0, seed: 1, batchSize: 4 }
 * ```
 */
export function batches<B>(dataset: Dataset<B>, options: ShuffleOptions): BatchSource<B> {
  return new Batches(dataset, options);
}

/** {@linkcode BatchSource} over a stream of items. */
class StreamBatches<T, B> implements BatchSource<B> {
  readonly batchesPerEpoch = null;
  rows = 0;
  #epoch = 0;
  #batch = 0;

  constructor(
    readonly open: (epoch: number) => AsyncIterable<T> | Iterable<T>,
    readonly collate: (items: T[]) => B | Promise<B>,
    readonly options: BatchesOptions,
  ) {
    requireCount("batchSize", options.batchSize, 1);
    requireCount("prefetch", options.prefetch ?? 1, 0);
  }
  state(): DataState {
    return { epoch: this.#epoch, batch: this.#batch, seed: 0, batchSize: this.options.batchSize };
  }
  restore(state: DataState): void {
    requireSameBatches(state, this.options.batchSize, null);
    this.#epoch = state.epoch;
    this.#batch = state.batch;
  }
  /** Groups of items from the position on. */
  async *#groups(): AsyncGenerator<T[], void, void> {
    const { batchSize, last = "keep" } = this.options;
    let skipped = this.#batch * batchSize, group: T[] = [];
    for await (const item of this.open(this.#epoch)) {
      if (skipped-- > 0) continue;
      group.push(item);
      if (group.length < batchSize) continue;
      yield group;
      group = [];
    }
    if (group.length && last !== "drop") yield group;
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, void> {
    const { batchSize, last = "keep", prefetch = 1 } = this.options, groups = this.#groups();
    const fetch = async (): Promise<{ batch: B; real: number } | null> => {
      const { value: group } = await groups.next();
      if (!group) return null;
      const real = group.length;
      if (last === "pad") group.push(...Array<T>(batchSize - real).fill(group[real - 1]!));
      return { batch: await prepared(() => this.collate(group)), real };
    };
    try {
      for await (const { batch, real } of ahead(fetch, prefetch)) {
        this.#batch++;
        this.rows = real;
        yield batch;
      }
    } finally {
      await groups.return();
    }
    this.#epoch++;
    this.#batch = 0;
  }
}
/**
 * Batches of items that come one after another: lines of a file, rows of a table, what a network sends. `open` begins
 * the stream of an epoch. A stream has no places to jump to, so going on from a position reads past the items before it.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { fromStream } from "@denim/ml/data";
 * const data = fromStream(() => [1, 2, 3], (items) => mx.array(items), { batchSize: 2 });
 * for await (const x of data) x.tolist(); // [1, 2], [3]
 * ```
 */
export function fromStream<T, B>(
  open: (epoch: number) => AsyncIterable<T> | Iterable<T>,
  collate: (items: T[]) => B | Promise<B>,
  options: BatchesOptions,
): BatchSource<B> {
  return new StreamBatches(open, collate, options);
}
