/**
 * Data sets on a worker: what is slow in JavaScript (parsing, tokenizing, augmenting) runs beside the training loop. The
 * worker's module calls {@linkcode serveDataset}; the loop's side takes the worker through {@linkcode fromWorker}. The
 * elements of arrays change hands without a copy.
 * @module
 */
import { dtypeOf, fail, type NDArray, type Tree, treeFlatten, treeMap, ValueError } from "../core/mod.ts";
import { uploadBytes } from "../core/io/mapped.ts";
import { bytesOf } from "../core/io/safetensors.ts";
import type { Dataset } from "./dataset.ts";

/** An array on its way. */
interface Parcel {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}
/** Rows asked for. */
interface Request {
  readonly id: number;
  readonly rows: readonly number[];
}
/** What the worker says: how many rows there are, a batch (its tree has the numbers of parcels as leaves), or an error. */
type Reply =
  | { readonly length: number }
  | { readonly id: number; readonly tree: Tree<number>; readonly parcels: readonly Parcel[] }
  | { readonly id: number; readonly error: string };

/** One side of a channel of messages, as workers and their scopes are. */
interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}
/** The worker's own scope; elsewhere an error. */
function workerScope(): Port {
  const scope: Partial<Port> = globalThis, { postMessage, addEventListener } = scope;
  if (typeof postMessage === "function" && typeof addEventListener === "function" && !("window" in globalThis)) {
    return { postMessage: postMessage.bind(scope), addEventListener: addEventListener.bind(scope) };
  }
  return fail(ValueError, "data.serveDataset", {
    cannot: "serve rows",
    expected: "a module that runs as a worker",
    got: "the main program",
    fix: "put the call into a module of its own, and give new Worker(...) of it to fromWorker",
  });
}
const reason = (error: unknown): string => error instanceof Error ? error.message : String(error);

/** A batch as it travels. */
async function packed(batch: Tree<NDArray>): Promise<{ tree: Tree<number>; parcels: Parcel[] }> {
  const leaves = treeFlatten<NDArray>(batch).map(([, x]) => x);
  const parcels = await Promise.all(leaves.map(async (x, i): Promise<Parcel> => {
    const bytes = bytesOf(String(i), x, await x.data());
    return { dtype: x.dtype.name, shape: x.shape, bytes: new Uint8Array(bytes) };
  }));
  let next = 0;
  return { tree: treeMap((_x: NDArray): number => next++, batch), parcels };
}
/**
 * Answers the requests of {@linkcode fromWorker}; called by the module of a worker.
 *
 * @example
 * ```ts ignore
 * // words_worker.ts
 * import * as mx from "@denim/ml";
 * import { fromItems, lineFile, serveDataset } from "@denim/ml/data";
 * serveDataset(fromItems(lineFile("words.txt"), (words) => mx.array(words.map((word) => word.length))));
 * ```
 */
export function serveDataset(dataset: Dataset<Tree<NDArray>>): void {
  const scope = workerScope(),
    say = (reply: Reply, transfer: Transferable[] = []) => scope.postMessage(reply, transfer);
  scope.addEventListener("message", (event) => {
    const { id, rows }: Request = event.data;
    const answer = async (): Promise<void> => {
      const { tree, parcels } = await packed(await dataset.batch(rows));
      say({ id, tree, parcels }, parcels.map(({ bytes }) => bytes.buffer));
    };
    answer().catch((error: unknown) => say({ id, error: reason(error) }));
  });
  say({ length: dataset.length });
}

/** A data set that a worker serves; disposing of it ends the worker. */
export interface WorkerDataset<B> extends Dataset<B>, Disposable {}
/** A promise, and what settles it. */
type Waiting = PromiseWithResolvers<Tree<NDArray>>;
/**
 * The rows that a worker serves. Ask for several batches ahead (`prefetch` of `batches`) to keep it busy.
 *
 * @example
 * ```ts ignore
 * import { batches, fromWorker } from "@denim/ml/data";
 * const worker = new Worker(new URL("./words_worker.ts", import.meta.url), { type: "module" });
 * using rows = await fromWorker<mx.NDArray>(worker);
 * for await (const x of batches(rows, { batchSize: 32, shuffle: true, prefetch: 2 })) console.log(x.shape);
 * ```
 * @throws ValueError with the worker's reason, where it fails.
 */
export function fromWorker<B extends Tree<NDArray> = Tree<NDArray>>(worker: Worker): Promise<WorkerDataset<B>>;
export async function fromWorker(worker: Worker): Promise<WorkerDataset<Tree<NDArray>>> {
  const ready = Promise.withResolvers<number>(), waiting = new Map<number, Waiting>();
  let ended = false;
  const endAll = (got: string): void => {
    ended = true;
    const error = failure(got);
    ready.reject(error);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.addEventListener("message", (event) => {
    const reply: Reply = event.data;
    if ("length" in reply) return ready.resolve(reply.length);
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ("error" in reply) return asked?.reject(failure(reply.error));
    const arrays = reply.parcels.map(({ dtype, shape, bytes }) => uploadBytes(bytes, dtypeOf(dtype), shape));
    asked?.resolve(treeMap((i: number): NDArray => arrays[i]!, reply.tree));
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    endAll(event.message);
  });
  const length = await ready.promise;
  let id = 0;
  return {
    length,
    batch(rows) {
      if (ended) return Promise.reject(failure("a worker that has ended"));
      const asked = Promise.withResolvers<Tree<NDArray>>(), request: Request = { id: id++, rows };
      waiting.set(request.id, asked);
      worker.postMessage(request);
      return asked.promise;
    },
    [Symbol.dispose]() {
      worker.terminate();
      endAll("a worker that has ended");
    },
  };
}
/** The error that says what the worker reported. */
function failure(got: string): Error {
  return new ValueError("data.fromWorker", {
    cannot: "fetch rows from the worker",
    expected: "a batch",
    got,
    fix: "mend the worker's module; it has to call serveDataset",
  });
}
