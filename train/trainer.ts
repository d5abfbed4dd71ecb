/**
 * The training loop that most programs write anyway: steps over batches, rounds with validation, checkpoints to go on
 * from, and what there is to see of it. A run that was interrupted, by Ctrl-C, `kill -9` or a full disk, goes on from
 * its last checkpoint to the same bits as one that was not.
 * @module
 */
import {
  CheckpointError,
  compile,
  eval as evaluate,
  fail,
  NDArray,
  random,
  type Tree,
  treeFlatten,
  ValueError,
} from "../core/mod.ts";
import { writeAtomic } from "../core/io/atomic.ts";
import type { BatchSource } from "../data/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { Optimizer, StateTree } from "../optimizers/mod.ts";
import { type Checkpoint, Checkpoints, type RunState, writeCheckpoint } from "./checkpoint.ts";
import { INTERRUPTED, Interrupts, ownCommand } from "./interrupt.ts";
import { Metrics, type MetricsRow } from "./metrics.ts";
import { Progress, type ProgressOutput, shownLoss, standardError } from "./progress.ts";
import { commonFacts, reportText } from "./report.ts";
import { firstNonFinite, type LossResult, makeStep, type Scalars, type StepOptions, type StepResult } from "./step.ts";

/** What is trained, by a loss: the step (gradients, clipping, update) is made and compiled by the trainer. */
export interface Objective<B> {
  /** The model. */
  readonly model: Module;
  /** What updates its trainable parameters. */
  readonly optimizer: Optimizer;
  /** The loss of a batch by the model, a scalar, and other scalars to show. */
  readonly loss: (batch: B) => LossResult;
}
/** What is trained, by a step of one's own, which computes the gradients, updates the model and returns the loss. */
export interface CustomObjective<B> {
  /** The model. */
  readonly model: Module;
  /** The optimizer, so that its state is saved. */
  readonly optimizer: Optimizer;
  /** One update; compile it with `random.state` among its states if it draws. */
  readonly step: (batch: B) => LossResult;
}
/** Held-out data. */
export interface Validation<B> {
  /** The batches; each round reads one epoch of them. */
  readonly data: BatchSource<B>;
  /** What is measured, by the model in inference mode; means over the rows are shown. Default: the loss. */
  readonly measure?: (batch: B) => LossResult;
}
/** Options of {@linkcode Trainer}. */
export interface TrainerOptions<B> extends StepOptions {
  /** How many steps (updates). */
  readonly steps?: number;
  /** Or how many epochs. */
  readonly epochs?: number;
  /** Where checkpoints, metrics and the report go; a run that is found there goes on. Default: nowhere. */
  readonly folder?: string | null;
  /** The name of the run. Default: that of the folder. */
  readonly name?: string;
  /** Steps of a round, at whose end the model is validated and saved. Default: an epoch, or 1000 steps. */
  readonly every?: number;
  /** Steps between checkpoints. Default: `every`. */
  readonly checkpointEvery?: number;
  /** Held-out data, and what is measured on them. */
  readonly validation?: Validation<B>;
  /** What says which round is the best. Default "validation.loss", or "loss", its mean over the round, without validation. */
  readonly monitor?: string;
  /** Is less of it better, or more? Default "min". */
  readonly mode?: "min" | "max";
  /** The run ends after so many rounds that were no better than the best. Default: it does not. */
  readonly patience?: number;
  /** How much better a round has to be. Default 0. */
  readonly minDelta?: number;
  /** Batches of one update, by their mean gradient. Default 1. */
  readonly accumulate?: number;
  /** Steps between rows of the log. Default 1. */
  readonly logEvery?: number;
  /** Is `report.html` written? Default true. */
  readonly report?: boolean;
  /** Where progress is shown, or null. Default: standard error. */
  readonly progress?: ProgressOutput | null;
  /** Is told each row of the log. */
  readonly onLog?: (row: MetricsRow) => void;
}
/** What {@linkcode Trainer.run} returns. */
export interface TrainResult {
  /** Steps made, those of earlier sessions included. */
  readonly step: number;
  /** Did the run reach its end, or stop for want of progress? */
  readonly stopped: "end" | "patience";
  /** The best round. */
  readonly best: { readonly step: number; readonly value: number } | null;
  /** The rows of the log. */
  readonly rows: readonly MetricsRow[];
  /** Seconds, those of earlier sessions included. */
  readonly seconds: number;
}

const DEFAULT_ROUND = 1000, REPORT_SECONDS = 20;
const parts = (x: LossResult): readonly [NDArray, Scalars] => x instanceof NDArray ? [x, {}] : x;
const value = (x: NDArray): number => Number(x.item());
const rowsOf = (batch: Tree<NDArray>): number => treeFlatten<NDArray>(batch)[0]?.[1].shape[0] ?? 1;
const message = (error: unknown): string => error instanceof Error ? error.message : String(error);

/**
 * Trains a model on batches. Each is optional and plain: a loop of one's own over `makeStep`'s kind of function does as
 * well.
 *
 * `folder` gets `checkpoints/` (the last two, and `best.safetensors`), `metrics.jsonl`, `metrics.csv` and `report.html`.
 * The same program, started again, goes on there. Ctrl-C ends the run after the step: it is saved, the command to go on
 * is printed, and the process exits with 130.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * import * as optim from "@denim/ml/optimizers";
 * import { batches, fromArrays } from "@denim/ml/data";
 * import { Trainer } from "@denim/ml/train";
 * const x = mx.random.normal([64, 3]), y = x.sum(1, { keepdims: true });
 * const model = new nn.Linear(3, 1), optimizer = new optim.Adam(0.05);
 * const data = batches(fromArrays({ x, y }), { batchSize: 16, shuffle: true });
 * const trainer = new Trainer(
 *   { model, optimizer, loss: ({ x, y }) => nn.losses.mseLoss(model.forward(x), y) },
 *   data,
 *   { epochs: 20, progress: null },
 * );
 * const { step } = await trainer.run(); // 80
 * ```
 */
export class Trainer<B extends Tree<NDArray>> {
  readonly #what: Objective<B> | CustomObjective<B>;
  readonly #data: BatchSource<B>;
  readonly #options: TrainerOptions<B>;
  readonly #progress: Progress | null;
  readonly #metrics: Metrics;
  readonly #checkpoints: Checkpoints | null;
  readonly #total: number | null;
  readonly #every: number;
  readonly #step: (...batches: readonly B[]) => StepResult;
  readonly #measure: ((batch: B) => Scalars) | null;
  #state: RunState;
  #startedAt = 0;
  #lastAt = 0;
  /** Items of a second, of late. */
  #speed = 0;
  #reportedAt = 0;

  /** Takes what is trained, the batches, and how. Nothing runs yet. */
  constructor(what: Objective<B> | CustomObjective<B>, data: BatchSource<B>, options: TrainerOptions<B>) {
    const { folder = null, accumulate = 1, progress = standardError() } = options;
    checkOptions(what, options, data);
    this.#what = what;
    this.#data = data;
    this.#options = options;
    this.#progress = progress && new Progress(progress);
    this.#checkpoints = folder === null ? null : new Checkpoints(folder);
    this.#metrics = new Metrics(folder);
    const perEpoch = data.batchesPerEpoch === null ? null : data.batchesPerEpoch / accumulate;
    const ofEpochs = options.epochs && perEpoch !== null ? Math.ceil(options.epochs * perEpoch) : null;
    this.#total = options.steps ?? ofEpochs;
    this.#every = options.every ?? (perEpoch === null ? DEFAULT_ROUND : Math.max(1, Math.floor(perEpoch)));
    this.#step = "loss" in what
      ? makeStep(what.model, what.optimizer, what.loss, options)
      : customStep(what.model, what.optimizer, what.step);
    this.#measure = options.validation ? measureOf(what, options.validation) : null;
    this.#state = {
      version: 1,
      step: 0,
      seconds: 0,
      data: data.state(),
      best: null,
      roundsSinceBest: 0,
      round: [0, 0],
    };
  }

  /**
   * Trains to the end, or goes on where the run in the folder stands.
   * @throws ValueError by the guard, where a loss or a gradient is not finite.
   * @throws CheckpointError where the run in the folder is of another model, or the last checkpoint cannot be written.
   */
  async run(): Promise<TrainResult> {
    const { model, optimizer } = this.#what;
    model.train();
    optimizer.init(model.trainableParameters());
    const found = this.#checkpoints?.latest((line) => this.#line(line)) ?? null;
    if (found) await this.#resume(found);
    evaluate(model.parameters(), optimizer.state);
    this.#startedAt = performance.now() - 1000 * this.#state.seconds;
    this.#lastAt = performance.now();
    using interrupts = new Interrupts();
    let stopped = this.#isExhausted() ? "patience" as const : "end" as const;
    if (stopped === "end" && !this.#isDone()) {
      for await (const group of this.#groups()) {
        await this.#advance(group);
        if (this.#isExhausted()) stopped = "patience";
        if (stopped === "patience" || this.#isDone()) break;
        if (await interrupts.requested()) await this.#leave();
      }
      await this.#finish();
    }
    const { step, best, seconds } = this.#state;
    return { step, stopped, best, rows: this.#metrics.rows, seconds };
  }

  // ---- steps ----

  #line(text: string): void {
    this.#progress?.line(text);
  }
  #isDone(): boolean {
    const { epochs } = this.#options, { step, data } = this.#state;
    if (this.#total !== null) return step >= this.#total;
    return epochs !== undefined && data.epoch >= epochs;
  }
  #isExhausted(): boolean {
    return this.#state.roundsSinceBest >= (this.#options.patience ?? Infinity);
  }
  /** The batches of one update after another, epoch after epoch; what is left at the end of the last epoch is one, too. */
  async *#groups(): AsyncGenerator<B[], void, void> {
    const { accumulate = 1, epochs = Infinity } = this.#options;
    let group: B[] = [], empty = 0;
    while (this.#data.state().epoch < epochs && empty < 2) {
      empty++;
      for await (const batch of this.#data) {
        empty = 0;
        group.push(batch);
        if (group.length < accumulate) continue;
        yield group;
        group = [];
      }
    }
    if (group.length) yield group;
    else if (empty === 2) {
      fail(ValueError, "train", {
        cannot: "go on",
        expected: "batches",
        got: "an epoch without any",
        fix: "check that the stream can be opened again for each epoch",
      });
    }
  }
  /** One update, and what is due after it. */
  async #advance(group: readonly B[]): Promise<void> {
    const result = this.#step(...group);
    const scalars = Object.fromEntries(Object.entries(result.scalars).map(([name, x]) => [name, value(x)]));
    const loss = scalars.loss ?? NaN, step = this.#state.step + 1, [sum, count] = this.#state.round;
    this.#requireFinite(result, step, group);
    const now = performance.now(), items = group.reduce((n, batch) => n + rowsOf(batch), 0);
    const itemsPerSecond = 1000 * items / (now - this.#lastAt), seconds = (now - this.#startedAt) / 1000;
    const data = this.#data.state();
    this.#state = { ...this.#state, step, seconds, data, round: [sum + loss, count + 1] };
    const secondsLeft = this.#total === null ? null : seconds / step * (this.#total - step);
    this.#speed = this.#speed === 0 ? itemsPerSecond : 0.95 * this.#speed + 0.05 * itemsPerSecond;
    const shown = { label: this.#name, step, total: this.#total, loss, itemsPerSecond: this.#speed, secondsLeft };
    this.#progress?.show(shown);
    const ends = step % this.#every === 0 || this.#isDone();
    const round = ends ? await this.#round() : {};
    if (ends || step % (this.#options.logEvery ?? 1) === 0) {
      this.#log({
        step,
        epoch: data.epoch,
        ...scalars,
        ...rateOf(this.#what.optimizer),
        itemsPerSecond,
        seconds,
        ...round,
      });
    }
    if (ends || step % (this.#options.checkpointEvery ?? this.#every) === 0) {
      await this.#save(ends, this.#isDone() || this.#isExhausted());
    }
    this.#lastAt = performance.now();
  }
  #log(row: MetricsRow): void {
    this.#metrics.add(row);
    this.#options.onLog?.(row);
  }
  #requireFinite({ finite }: StepResult, step: number, group: readonly B[]): void {
    const flags = finite[0]?.tolist();
    if (!Array.isArray(flags) || flags.every(Boolean)) return;
    const names = treeFlatten<NDArray>(this.#what.model.trainableParameters()).map(([path]) => path);
    const bad = names.filter((_, i) => !flags[i + 1]), some = bad.slice(0, 3).join(", ");
    const what = [
      flags[0] ? "" : "the loss",
      bad.length ? `the gradients of ${some}${bad.length > 3 ? ", ..." : ""}` : "",
    ];
    this.#progress?.end();
    const first = firstNonFinite(() => this.#step(...group));
    const why = first ? ` ${first.cannot.replace("go on ", "")}: ${first.got}` : "";
    fail(ValueError, "train", {
      cannot: `take step ${step}`,
      expected: "finite numbers",
      got: `none in ${what.filter((text) => text !== "").join(" and ")}${why}`,
      fix: "use a smaller learning rate or clipNorm, or look at the batch; the parameters are those before the step",
      madeAt: first?.madeAt ?? "",
    });
  }

  // ---- rounds ----

  /** Measures, compares with the best round, and begins another. Returns what was measured. */
  async #round(): Promise<Record<string, number>> {
    const { monitor = this.#measure ? "validation.loss" : "loss", mode = "min", minDelta = 0 } = this.#options;
    const { step, round: [sum, count], best, roundsSinceBest } = this.#state, loss = sum / count;
    const measured = await this.#validate(), monitored = monitor === "loss" ? loss : measured[monitor];
    if (monitored === undefined) {
      return fail(ValueError, "train", {
        cannot: `monitor ${monitor}`,
        expected: ["loss", ...Object.keys(measured)].join(", "),
        got: monitor,
        fix: "measure it on validation data, or monitor another value",
      });
    }
    const sign = mode === "min" ? 1 : -1;
    const isBest = best === null ? !Number.isNaN(monitored) : sign * (best.value - monitored) > minDelta;
    this.#state = {
      ...this.#state,
      best: isBest ? { step, value: monitored } : best,
      roundsSinceBest: isBest ? 0 : roundsSinceBest + 1,
      round: [0, 0],
    };
    const shown = Object.entries(measured).map(([name, x]) => `, ${name} ${shownLoss(x)}`).join("");
    this.#line(`${this.#name} step ${step}: loss ${shownLoss(loss)}${shown}${isBest ? " (best)" : ""}`);
    return measured;
  }
  async #validate(): Promise<Record<string, number>> {
    const { validation } = this.#options, measure = this.#measure, totals = new Map<string, number>();
    if (!validation || !measure) return {};
    const { data } = validation, { model } = this.#what;
    let rows = 0;
    model.eval();
    data.restore({ ...data.state(), epoch: 0, batch: 0 });
    for await (const batch of data) {
      rows += data.rows;
      for (const [name, x] of Object.entries(measure(batch))) {
        totals.set(name, (totals.get(name) ?? 0) + data.rows * value(x));
      }
    }
    model.train();
    return Object.fromEntries([...totals].map(([name, total]) => [`validation.${name}`, total / rows]));
  }

  // ---- files ----

  get #name(): string {
    return this.#options.name ?? this.#options.folder?.replace(/\/+$/, "").split("/").at(-1) ?? "training";
  }
  #arrays(): Map<string, NDArray> {
    const { model, optimizer } = this.#what;
    const named = (prefix: string, tree: Tree<NDArray>): [string, NDArray][] =>
      treeFlatten<NDArray>(tree).map(([path, x]) => [`${prefix}.${path}`, x]);
    return new Map([
      ...named("model", model.parameters()),
      ...named("optimizer", optimizer.state),
      ["random.key", random.state.key],
    ]);
  }
  /** Goes on from a checkpoint. */
  async #resume({ path, state, arrays }: Checkpoint): Promise<void> {
    const { model, optimizer } = this.#what, own = this.#arrays();
    for (const name of new Set([...own.keys(), ...arrays.keys()])) {
      const wanted = describe(own.get(name)), got = describe(arrays.get(name));
      if (wanted === got) continue;
      fail(CheckpointError, "train", {
        cannot: `go on from ${path}`,
        expected: `${wanted} as ${name}`,
        got,
        fix: "use the model and the optimizer of that run, or another folder",
      });
    }
    const under = (prefix: string): [string, NDArray][] =>
      [...arrays].filter(([name]) => name.startsWith(prefix)).map(([name, x]) => [name.slice(prefix.length), x]);
    model.loadWeights(under("model."), { strict: false });
    replaceArrays(optimizer.state, new Map(under("optimizer.")));
    random.state.key = arrays.get("random.key") ?? random.state.key;
    this.#data.restore(state.data);
    this.#state = state;
    await this.#metrics.resume(state.step);
    this.#line(`Going on from step ${state.step} in ${this.#options.folder}.`);
  }
  /**
   * Writes checkpoint and log. A disk that is full costs the checkpoint and not the run, for the one before is still
   * there; only at the end it is an error.
   */
  async #save(roundEnds: boolean, runEnds: boolean): Promise<void> {
    const checkpoints = this.#checkpoints;
    if (!checkpoints) return;
    try {
      await this.#saveNow(checkpoints, roundEnds, runEnds);
    } catch (error) {
      if (runEnds || !(error instanceof CheckpointError)) throw error;
      const [before] = checkpoints.steps();
      const kept = before === undefined ? "nothing is saved yet" : `the last checkpoint is that of step ${before}`;
      this.#line(`${error.message}\nThe run goes on; ${kept}.`);
    }
  }
  async #saveNow(checkpoints: Checkpoints, roundEnds: boolean, runEnds: boolean): Promise<void> {
    await this.#metrics.flush();
    const arrays = this.#arrays(), { step, best } = this.#state;
    await checkpoints.save(arrays, this.#state);
    if (!roundEnds) return;
    if (best?.step === step) await writeCheckpoint(checkpoints.best, arrays, this.#state);
    await this.#metrics.writeCsv();
    const now = performance.now();
    if (now - this.#reportedAt < 1000 * REPORT_SECONDS && !runEnds) return;
    await this.#report();
    this.#reportedAt = performance.now();
  }
  async #report(): Promise<void> {
    const { folder = null, report = true, monitor = this.#measure ? "validation.loss" : "loss" } = this.#options;
    if (folder === null || !report) return;
    const { best, seconds } = this.#state, { rows } = this.#metrics, size = [...this.#arrays()];
    const parameters = size.filter(([name]) => name.startsWith("model.")).reduce((n, [, x]) => n + x.size, 0);
    const facts = commonFacts(rows, seconds);
    facts.push(["Model", `${this.#what.model.constructor.name}, ${parameters.toLocaleString("en")} parameters`]);
    facts.push(["Optimizer", this.#what.optimizer.constructor.name]);
    if (best) facts.push(["Best round", `${monitor} ${shownLoss(best.value)} at step ${best.step}`]);
    try {
      const bytes = new TextEncoder().encode(await reportText({ title: this.#name, facts }, rows));
      await writeAtomic(`${folder}/report.html`, (sink) => sink.write(bytes), "train");
    } catch (error) {
      // Pictures are no reason to end a run: the packages that draw them may be out of reach.
      this.#line(`report.html is not written: ${message(error)}`);
    }
  }
  /** Ends the process after a signal. */
  async #leave(): Promise<never> {
    this.#progress?.end();
    const { step } = this.#state, checkpoints = this.#checkpoints;
    if (!checkpoints) {
      this.#line(`Interrupted after step ${step}. Nothing is saved: give the trainer a folder.`);
      return Deno.exit(INTERRUPTED);
    }
    try {
      await this.#saveNow(checkpoints, true, true);
      this.#line(`Interrupted. Step ${step} is saved in ${this.#options.folder}. To go on:\n  ${ownCommand()}`);
    } catch (error) {
      const before = checkpoints.steps()[0];
      this.#line(
        `${message(error)}\nInterrupted. ${
          before === undefined ? "Nothing is saved" : `Step ${before} is saved. To go on from there`
        }:\n  ${ownCommand()}`,
      );
    }
    return Deno.exit(INTERRUPTED);
  }
  /** Ends the run; data that say no length beforehand may have ended it within a round. */
  async #finish(): Promise<void> {
    this.#progress?.end();
    if (this.#state.round[1] === 0) return;
    this.#log({ step: this.#state.step, ...await this.#round() });
    await this.#save(true, true);
  }
}

/** The learning rate of an optimizer, or of the first of several, if it has one. */
function rateOf({ state }: Optimizer): { readonly [name: string]: number } {
  const { learning_rate: own, states } = state, [first] = Array.isArray(states) ? states : [];
  const isObject = typeof first === "object" && !Array.isArray(first) && !(first instanceof NDArray);
  const rate = own ?? (isObject ? first.learning_rate : undefined);
  return rate instanceof NDArray ? { learningRate: value(rate) } : {};
}
const describe = (x: NDArray | undefined): string => x ? `${x.dtype}[${x.shape.join()}]` : "nothing";
/** Puts arrays by their paths into a state. */
function replaceArrays(state: StateTree, arrays: ReadonlyMap<string, NDArray>): void {
  const walk = (node: { [key: string]: StateTree } | StateTree[], path: string): void => {
    for (const [key, old] of Object.entries(node)) {
      const at = path ? `${path}.${key}` : key, x = arrays.get(at);
      if (!(old instanceof NDArray)) walk(old, at);
      else if (x) Reflect.set(node, key, x);
    }
  };
  if (!(state instanceof NDArray)) walk(state, "");
}
function checkOptions<B>(
  what: Objective<B> | CustomObjective<B>,
  options: TrainerOptions<B>,
  data: BatchSource<B>,
): void {
  const { steps, epochs, every, checkpointEvery, accumulate, logEvery, patience } = options;
  for (const [name, x] of Object.entries({ steps, epochs, every, checkpointEvery, accumulate, logEvery, patience })) {
    if (x === undefined || Number.isSafeInteger(x) && x >= 1) continue;
    fail(ValueError, "train", {
      cannot: `use ${name} ${x}`,
      expected: "an integer of at least 1",
      got: String(x),
      fix: `change ${name}`,
    });
  }
  if (accumulate !== undefined && accumulate > 1 && !("loss" in what)) {
    fail(ValueError, "train", {
      cannot: "accumulate gradients",
      expected: "a loss",
      got: "a step of your own",
      fix: "give { model, optimizer, loss }, or accumulate in your step",
    });
  }
  if (options.validation?.data === data) {
    fail(ValueError, "train", {
      cannot: "validate on the batches that are trained on",
      expected: "batches of their own",
      got: "the same ones, whose position is that of the run",
      fix: "call batches(...) a second time",
    });
  }
  if (steps === undefined && epochs === undefined) {
    fail(ValueError, "train", {
      cannot: "train without an end",
      expected: "steps or epochs",
      got: `neither, and data of ${data.batchesPerEpoch ?? "an unknown number of"} batches`,
      fix: "give { epochs: 10 }, say",
    });
  }
}
/** A step of the user's, with all that it changed computed. */
function customStep<B>(model: Module, optimizer: Optimizer, step: (batch: B) => LossResult) {
  return (...batches: readonly B[]): StepResult => {
    const results = batches.map((batch) => {
      const [loss, metrics] = parts(step(batch));
      evaluate(loss, metrics, model.parameters(), optimizer.state);
      return { loss, ...metrics };
    });
    return { scalars: results.at(-1) ?? {}, finite: [] };
  };
}
function measureOf<B extends Tree<NDArray>>(
  what: Objective<B> | CustomObjective<B>,
  { measure }: Validation<B>,
): (batch: B) => Scalars {
  const f = measure ?? ("loss" in what ? what.loss : null);
  if (!f) {
    return fail(ValueError, "train", {
      cannot: "validate",
      expected: "validation.measure, since the step is one of your own",
      got: "none",
      fix: "give what to measure on a batch",
    });
  }
  return compile((batch: B): Scalars => {
    const [loss, metrics] = parts(f(batch));
    return { loss, ...metrics };
  }, { inputs: [what.model] });
}
