/**
 * Checkpoints: one safetensors file with the parameters, the optimizer's state and the random state, and in its metadata
 * the position of the run and a SHA-256 over all. A file appears whole or not at all; the last two are kept, so one that
 * was damaged afterwards costs no more than the steps since the one before.
 * @module
 */
import { createHash } from "node:crypto";
import { CheckpointError, type DType, eval as evaluate, fail, type NDArray } from "../core/mod.ts";
import { uploadBytes } from "../core/io/mapped.ts";
import { bytesOf, readSafetensorsHeader, saveSafetensors } from "../core/io/safetensors.ts";
import { readRange, withFile } from "../core/io/source.ts";
import type { DataState } from "../data/mod.ts";

/** What a run is, besides its arrays. */
export interface RunState {
  /** Version of this record. */
  readonly version: 1;
  /** Steps made. */
  readonly step: number;
  /** Seconds that they took. */
  readonly seconds: number;
  /** Where the data stand. */
  readonly data: DataState;
  /** The best round so far. */
  readonly best: { readonly step: number; readonly value: number } | null;
  /** Rounds since then. */
  readonly roundsSinceBest: number;
  /** Sum and count of the losses of this round. */
  readonly round: readonly [sum: number, count: number];
}
/** A checkpoint that was read and found whole. */
export interface Checkpoint {
  /** Its file. */
  readonly path: string;
  /** The run's position. */
  readonly state: RunState;
  /** All arrays by name. */
  readonly arrays: ReadonlyMap<string, NDArray>;
}

const FORMAT = "denim-checkpoint", NAME = /^step-(\d+)\.safetensors$/;
const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

/** The SHA-256 of the state's text and of the arrays in order of their names. */
class Digest {
  readonly #hash = createHash("sha256");
  constructor(state: string) {
    this.#hash.update(state);
  }
  add(name: string, dtype: DType, shape: readonly number[], bytes: Uint8Array): void {
    this.#hash.update(`\n${name} ${dtype}[${shape.join()}]\n`).update(bytes);
  }
  hex(): string {
    return this.#hash.digest("hex");
  }
}
/** Writes a checkpoint; whatever fails, what was at `path` before stays. */
export async function writeCheckpoint(
  path: string,
  arrays: ReadonlyMap<string, NDArray>,
  state: RunState,
): Promise<void> {
  evaluate([...arrays.values()]);
  const text = JSON.stringify(state), digest = new Digest(text);
  for (const [name, x] of [...arrays].sort(([a], [b]) => a < b ? -1 : 1)) {
    digest.add(name, x.dtype, x.shape, bytesOf(name, x, x.dataSync()));
  }
  await saveSafetensors(path, arrays, { format: FORMAT, state: text, sha256: digest.hex() });
}
function damaged(path: string, expected: string, got: string): never {
  return fail(CheckpointError, "train", {
    cannot: `use the checkpoint ${path}`,
    expected,
    got,
    fix: "go on from the one before, or remove the folder to begin anew",
  });
}
/**
 * Reads a checkpoint and checks all of it.
 * @throws CheckpointError where it is damaged.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * import { batches, fromArrays } from "@denim/ml/data";
 * import { readCheckpoint, Trainer } from "@denim/ml/train";
 * const folder = Deno.makeTempDirSync(), model = new nn.Linear(2, 1), optimizer = new optim.SGD(0.1);
 * const loss = ({ x }: { x: mx.NDArray }) => model.forward(x).square().mean();
 * const data = batches(fromArrays({ x: mx.ones([8, 2]) }), { batchSize: 4 });
 * await new Trainer({ model, optimizer, loss }, data, { steps: 3, folder, report: false, progress: null }).run();
 * const { state, arrays } = readCheckpoint(`${folder}/checkpoints/step-00000003.safetensors`);
 * state.step; // 3
 * [...arrays.keys()].filter((name) => name.endsWith("weight")); // ["model.weight"]
 * ```
 */
export function readCheckpoint(path: string): Checkpoint {
  const { metadata, tensors } = readSafetensorsHeader(path), { format, state: text = "", sha256 } = metadata;
  if (format !== FORMAT) return damaged(path, "a checkpoint of a training run", `the format ${format}`);
  const digest = new Digest(text);
  const arrays = withFile(
    path,
    (file) =>
      tensors.toSorted(byName).map(({ name, dtype, shape, begin, end }): [string, NDArray] => {
        const bytes = readRange(file, begin, end - begin);
        digest.add(name, dtype, shape, bytes);
        return [name, uploadBytes(bytes, dtype, shape)];
      }),
  );
  const found = digest.hex();
  if (found !== sha256) return damaged(path, `bytes with the SHA-256 ${sha256}`, found);
  const state: RunState = JSON.parse(text);
  if (state.version !== 1) return damaged(path, "version 1", String(state.version));
  return { path, state, arrays: new Map(arrays) };
}

/** The checkpoints of a run's folder. */
export class Checkpoints {
  /** Where they are. */
  readonly folder: string;
  /** Opens the folder of a run, which is made where it is missing. */
  constructor(folder: string, readonly keep: number = 2) {
    this.folder = `${folder}/checkpoints`;
    Deno.mkdirSync(this.folder, { recursive: true });
  }
  /** Steps of which there are files, the last one first. */
  steps(): number[] {
    const names = [...Deno.readDirSync(this.folder)].map(({ name }) => NAME.exec(name)?.[1]);
    return names.flatMap((step) => step === undefined ? [] : [Number(step)]).sort((a, b) => b - a);
  }
  /** The file of a step. */
  path(step: number): string {
    return `${this.folder}/step-${String(step).padStart(8, "0")}.safetensors`;
  }
  /** The file of the best round. */
  get best(): string {
    return `${this.folder}/best.safetensors`;
  }
  /** Writes the checkpoint of a step, then removes all but the last ones. */
  async save(arrays: ReadonlyMap<string, NDArray>, state: RunState): Promise<string> {
    const path = this.path(state.step);
    await writeCheckpoint(path, arrays, state);
    for (const step of this.steps().filter((step) => step <= state.step).slice(this.keep)) {
      await Deno.remove(this.path(step));
    }
    return path;
  }
  /**
   * The last checkpoint that is whole, or null where there is none. `warn` hears of damaged ones, which are renamed to
   * `*.damaged`, and of what is used in their place. What a killed process left half written is removed.
   * @throws CheckpointError where all are damaged.
   */
  latest(warn: (line: string) => void): Checkpoint | null {
    for (const { name } of Deno.readDirSync(this.folder)) {
      if (/\.safetensors\.\w+\.tmp$/.test(name)) Deno.removeSync(`${this.folder}/${name}`);
    }
    const steps = this.steps();
    for (const [i, step] of steps.entries()) {
      const path = this.path(step), before = steps[i + 1];
      try {
        return readCheckpoint(path);
      } catch (error) {
        if (!(error instanceof CheckpointError) || before === undefined) throw error;
        Deno.renameSync(path, `${path}.damaged`);
        warn(
          `The checkpoint of step ${step} is damaged (expected ${error.expected}, got ${error.got}); ` +
            `it is kept as ${path}.damaged, and the run goes on from step ${before}.`,
        );
      }
    }
    return null;
  }
}
