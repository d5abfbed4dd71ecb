/**
 * What is asked of a real model: greedy continuation, perplexity of a text, and the residual stream layer by layer.
 * @module
 */
import { Caller } from "../reference/calls.ts";
import { isArray, isFunction, isList, type Library } from "../reference/library.ts";
import { read32 } from "../reference_lm/cases.ts";

/** The distribution after the prompt: its best tokens, and two sums over all logits. */
export interface Distribution {
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  readonly logsumexp: number;
}
/** A greedy continuation. */
export interface Greedy {
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
  readonly last: Distribution;
}

const BEST = 64;

/** log(sum(exp(x))) in float64. */
function logSumExp(x: Float64Array): number {
  const most = x.reduce((m, v) => Math.max(m, v), -Infinity);
  return most + Math.log(x.reduce((s, v) => s + Math.exp(v - most), 0));
}
/** The place of the first largest number. */
const argmax = (x: Float64Array): number => x.reduce((best, v, i) => v > (x[best] ?? -Infinity) ? i : best, 0);

/** A loaded model. */
export class RealModel {
  private readonly caller: Caller;
  private constructor(private readonly lib: Library, private readonly model: unknown, readonly tokenizer: unknown) {
    this.caller = new Caller(lib);
  }
  /** Loads a folder or a GGUF file; `float32` computes in float32 whatever the weights are. */
  static async load(lib: Library, path: string, float32: boolean): Promise<RealModel> {
    const pair = await lib.call("lm.load", path), model = lib.property(pair, "model");
    if (float32) lib.method(model, "setDtype", lib.dtype("float32"));
    return new RealModel(lib, model, lib.property(pair, "tokenizer"));
  }

  private tokens(ids: readonly number[]): unknown {
    return this.lib.method(this.lib.call("mx.array", Int32Array.from(ids)), "reshape", [1, ids.length]);
  }
  private async lastLogits(ids: readonly number[], cache: unknown): Promise<Float64Array> {
    const y = this.lib.method(this.model, "forward", this.tokens(ids), { cache });
    return Float64Array.from((await read32(this.lib, this.lib.method(y, "index", 0, -1))).data, Number);
  }

  /** The prompt in one piece, then one token at a time. End-of-text does not stop it. */
  async greedy(ids: readonly number[], count: number): Promise<Greedy> {
    const cache = await this.lib.call("lm.makePromptCache", this.model), tokens: number[] = [], logprobs: number[] = [];
    const first = await this.lastLogits(ids, cache);
    for (let x = first; tokens.length < count;) {
      const token = argmax(x);
      tokens.push(token);
      logprobs.push((x[token] ?? NaN) - logSumExp(x));
      if (tokens.length < count) x = await this.lastLogits([token], cache);
    }
    const order = Array.from(first.keys()).sort((a, b) => (first[b] ?? 0) - (first[a] ?? 0)).slice(0, BEST);
    return {
      tokens,
      logprobs,
      last: { ids: order, logits: order.map((i) => first[i] ?? NaN), logsumexp: logSumExp(first) },
    };
  }

  /** `-log p(ids[i + 1] | ids[..i])`, in one forward. */
  async surprisal(ids: readonly number[]): Promise<number[]> {
    const { caller, lib } = this, upTo = (stop: number): unknown => caller.slice(null, stop);
    const x = lib.method(
      lib.method(lib.method(this.model, "forward", this.tokens(ids)), "index", 0, upTo(-1)),
      "astype",
      lib.dtype("float32"),
    );
    const next = lib.method(lib.call("mx.array", Int32Array.from(ids.slice(1))), "reshape", [ids.length - 1, 1]);
    const chosen = lib.method(caller.call("take_along_axis", [x, next], { axis: -1 }), "reshape", [ids.length - 1]);
    return Array.from(
      (await read32(lib, caller.call("subtract", [caller.call("logsumexp", [x], { axis: -1 }), chosen]))).data,
      Number,
    );
  }

  /** The last position of the residual stream: after the embedding, after each layer, after the final norm. */
  async hidden(ids: readonly number[]): Promise<number[][]> {
    const { lib } = this,
      inner = lib.property(this.model, "model"),
      layers = lib.property(this.model, "layers"),
      seen: unknown[] = [];
    const watched = [lib.property(inner, "embed_tokens"), ...isList(layers) ? layers : [], lib.property(inner, "norm")];
    for (const module of watched) watch(module, seen);
    try {
      lib.method(this.model, "forward", this.tokens(ids));
    } finally {
      for (const module of watched) {
        if (module !== null && typeof module === "object") Reflect.deleteProperty(module, "forward");
      }
    }
    const rows: number[][] = [];
    for (const h of seen.filter(isArray)) {
      rows.push(Array.from((await read32(lib, lib.method(h, "index", 0, -1))).data, Number));
    }
    return rows;
  }
}

/** Records what a module's `forward` returns. */
function watch(module: unknown, seen: unknown[]): void {
  const forward: unknown = module !== null && typeof module === "object" ? Reflect.get(module, "forward") : undefined;
  if (module === null || typeof module !== "object" || !isFunction(forward)) {
    throw new Error("a module with forward was expected");
  }
  const recorded = (...args: readonly unknown[]): unknown => {
    const y: unknown = Reflect.apply(forward, module, args);
    seen.push(y);
    return y;
  };
  Object.defineProperty(module, "forward", { value: recorded, configurable: true, writable: true });
}
