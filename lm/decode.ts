/**
 * The compiled decoding step. A model's program for one token is traced once for a kind of caches and a size of their
 * buffers, and kept with the model: positions are arrays in it, so it serves every position and later generations.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { CompileStatistics, NDArray } from "../core/mod.ts";
import { flattenParameters } from "../nn/mod.ts";
import { type Cache, Clock, type QuantizedCacheOptions } from "./cache.ts";
import type { LanguageModel } from "./model.ts";

/** Buffers get room for at most so many tokens at a time, and for so many if the number of tokens is not limited. */
const MAX_ROOM = 4096, ENDLESS_ROOM = 1024;

/** What a program reads and changes; the caches of whoever calls it are put in for the call. */
interface Slot {
  caches: readonly Cache[];
  clock: Clock | null;
}
/** What a step makes of the logits [1, vocabulary]; it is compiled with the step. */
export type Head = (logits: NDArray) => NDArray[];
/** A compiled step. */
interface Program {
  readonly slot: Slot;
  readonly head: Head;
  /** {@linkcode kindOf} its caches. */
  readonly kind: string;
  /** A token [1] to what the head makes of its logits. */
  readonly run: (token: NDArray) => NDArray[];
  /** The weights it was made with, which are constants in it. */
  readonly weights: readonly NDArray[];
}
const programs = new WeakMap<LanguageModel, Program[]>();

/** What a trace depends on besides the shapes of the arrays. */
function kindOf(caches: readonly Cache[]): string {
  return caches.map((c) => c.kind).join();
}
/** The program of the model for these caches; a new one where weights were replaced since. */
function programFor(model: LanguageModel, caches: readonly Cache[], head: Head): Program {
  const kind = kindOf(caches), weights = flattenParameters(model.parameters()).map(([, x]) => x);
  const isCurrent = (p: Program) => p.weights.length === weights.length && weights.every((x, i) => x === p.weights[i]);
  const known = (programs.get(model) ?? []).filter(isCurrent);
  programs.set(model, known);
  const found = known.find((p) => p.kind === kind && p.head === head);
  if (found) return found;
  const slot: Slot = { caches: [], clock: null };
  const run = mx.compile((token: NDArray): NDArray[] => {
    const logits = model.forward(token.reshape([1, 1]), { cache: slot.caches });
    slot.clock?.advance(1);
    return head(lastRow(logits));
  }, { inputs: slot, outputs: slot });
  const made: Program = { slot, head, kind, run, weights };
  known.push(made);
  return made;
}
/** Logits [1, L, vocabulary] of the last token, [1, vocabulary]. */
function lastRow(logits: NDArray): NDArray {
  return logits.index(mx.slice(null), -1);
}

/**
 * Calls, traces and programs of the model's compiled decoding steps so far.
 *
 * @example
 * ```ts
 * import { decodeStatistics, generateStep, load } from "@denim/ml/lm";
 * const { model } = await load("models/storyteller");
 * for (const _ of generateStep([1, 2, 3], model, { maxTokens: 20 }));
 * for (const _ of generateStep([4, 5], model, { maxTokens: 20 }));
 * const { calls, traces } = decodeStatistics(model); // { calls: 42, traces: 1 }
 * ```
 */
export function decodeStatistics(model: LanguageModel): CompileStatistics {
  const total = { calls: 0, traces: 0, replays: 0, programs: 0, evictions: 0 };
  for (const { run } of programs.get(model) ?? []) {
    const { calls, traces, replays, programs, evictions } = mx.compileStatistics(run);
    total.calls += calls;
    total.traces += traces;
    total.replays += replays;
    total.programs += programs;
    total.evictions += evictions;
  }
  return total;
}

/** Quantizes caches that hold so many tokens (`maybe_quantize_kv_cache` of mlx-lm). */
export class CacheQuantizer {
  /** From `start` tokens on. */
  constructor(
    private readonly start: number,
    private readonly options: Required<QuantizedCacheOptions>,
  ) {}
  /** Puts quantized caches in the place of those that hold enough. */
  apply(caches: Cache[]): void {
    caches.forEach((c, i) => {
      if (c.toQuantized && c.offset >= this.start) caches[i] = c.toQuantized(this.options);
    });
  }
  /** Tokens that the cache takes before it is replaced. */
  stepsUntil(cache: Cache): number {
    return cache.toQuantized && cache.offset < this.start ? this.start - cache.offset : Infinity;
  }
}

/** Runs single tokens through a model, compiled where its caches allow it. */
export class Decoder {
  #program: Program | null = null;
  #clock: Clock | null = null;
  /** Compiled steps that the buffers have room for. */
  #room = 0;
  /** How often the caches may refuse: they do so at least while they are empty. */
  #tries = 2;
  #stepsLeft: number;
  readonly #quantizer: CacheQuantizer | null;
  /** A decoder for at most `steps` tokens (-1: any number). The quantizer replaces caches in the list. */
  constructor(
    private readonly model: LanguageModel,
    private readonly caches: Cache[],
    private readonly head: Head,
    { steps, quantizer = null }: { readonly steps: number; readonly quantizer?: CacheQuantizer | null },
  ) {
    this.#stepsLeft = steps < 0 ? Infinity : steps;
    this.#quantizer = quantizer;
  }

  /** What the head makes of the logits after a token [1]; nothing is waited for. */
  step(token: NDArray): NDArray[] {
    if (this.#room === 0) this.#prepare();
    this.#stepsLeft--;
    if (!this.#program) {
      const made = this.head(lastRow(this.model.forward(token.reshape([1, 1]), { cache: this.caches })));
      this.#quantizer?.apply(this.caches);
      return made;
    }
    // Samplers give uint32; a prompt of another type would need a program of its own.
    const input = token.astype(mx.uint32);
    const { slot, run } = this.#program;
    [slot.caches, slot.clock] = [this.caches, this.#clock];
    try {
      return run(input);
    } finally {
      [slot.caches, slot.clock] = [[], null];
      for (const cache of this.caches) cache.advanced(1);
      this.#room--;
    }
  }
  /** Makes the caches follow a clock, with room for the steps to come; else steps are not compiled. */
  #prepare(): void {
    this.finish();
    this.#quantizer?.apply(this.caches);
    const limits = this.caches.map((c) =>
      Math.min(c.compiledSteps ?? Infinity, this.#quantizer?.stepsUntil(c) ?? Infinity)
    );
    const room = Math.min(this.#stepsLeft, this.#stepsLeft === Infinity ? ENDLESS_ROOM : MAX_ROOM, ...limits);
    if (this.#tries === 0 || room < 1) return;
    const clock = new Clock(Math.max(0, ...this.caches.map((c) => c.offset)));
    if (!this.caches.every((cache) => cache.follow(clock, room))) {
      this.#tries--;
      return this.finish();
    }
    this.#program = programFor(this.model, this.caches, this.head);
    [this.#clock, this.#room] = [clock, room];
  }
  /** The caches count by themselves again. */
  finish(): void {
    this.#program = null;
    for (const cache of this.caches) cache.unfollow();
  }
}
