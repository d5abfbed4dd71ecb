/**
 * Cases that need no model: chains of sampling filters, random numbers, quantization.
 * @module
 */
import { Caller } from "../reference/calls.ts";
import { camel, isArray, isList, type Library } from "../reference/library.ts";
import { type HostArray, hostArray, readTensors } from "../reference/safetensors_reader.ts";
import { type LmCase, type LmResult, read32 } from "./cases.ts";

/**
 * Filters of the logarithms of probabilities: how many of their arguments stand by themselves, and names of the rest.
 */
const FILTERS: Readonly<Record<string, readonly string[]>> = {
  top_p: [],
  top_k: [],
  min_p: ["minTokensToKeep"],
  xtc: [],
};

/** Runs the model-free cases of one folder. */
export class Groups {
  private readonly caller: Caller;
  private inputs: ReturnType<typeof readTensors> | undefined;
  constructor(private readonly lib: Library, private readonly folder: string) {
    this.caller = new Caller(lib);
  }

  private input(name: unknown): unknown {
    this.inputs ??= readTensors(`${this.folder}/inputs.safetensors`);
    const raw = this.inputs.get(String(name));
    if (raw === undefined) throw new Error(`inputs.safetensors has no ${name}`);
    return this.lib.array(hostArray(raw));
  }
  private normalized(x: unknown): unknown {
    return this.caller.call("subtract", [x, this.caller.call("logsumexp", [x], { axis: -1, keepdims: true })]);
  }

  /** `logprobs`, `temperature`, `chain` and `processors`. */
  async sampling(c: LmCase): Promise<LmResult> {
    const x = this.input(c.input);
    return { json: {}, arrays: { out: await read32(this.lib, await this.sampled(c, x)) } };
  }
  private async sampled(c: LmCase, x: unknown): Promise<unknown> {
    if (c.op === "logprobs") return this.normalized(x);
    if (c.op === "temperature") return this.normalized(this.caller.call("multiply", [x, 1 / Number(c.temp)]));
    if (c.op === "processors") {
      const tokens = this.lib.call("mx.array", Int32Array.from(c.tokens ?? []));
      let y = x;
      const processors = await this.lib.call("lm.makeLogitsProcessors", processorOptions(c.args ?? {}));
      for (const f of isList(processors) ? processors : []) y = this.caller.function(f)(tokens, y);
      return y;
    }
    let y = this.normalized(x);
    for (const [op, args] of c.chain ?? []) {
      const names = FILTERS[op] ?? [], bare = op === "min_p" ? 1 : args.length;
      const options = Object.fromEntries(args.slice(bare).map((v, i) => [names[i] ?? "", v]));
      const last = Object.keys(options).length > 0 ? [options] : [];
      y = this.lib.call(`lm.${camel(`apply_${op}`)}`, y, ...args.slice(0, bare), ...last);
    }
    return y;
  }

  /** Draws from `mx.random`. */
  async random(c: LmCase): Promise<LmResult> {
    const call = (fn: string, args: readonly unknown[], kwargs: Readonly<Record<string, unknown>> = {}): unknown =>
      this.caller.call(`random.${fn}`, args, kwargs);
    call("seed", [c.seed]);
    const key = (): unknown => call("key", [c.seed]), fn = c.fn ?? "";
    const draws = (): Record<string, unknown> => {
      switch (fn) {
        case "key":
          return { a: key() };
        case "split":
          return { a: call("split", [key()], { num: c.num }) };
        case "seq":
          return { a: call("uniform", [], { shape: [5] }), b: call("uniform", [], { shape: [3] }) };
        case "categorical": {
          const logits = this.lib.call("mx.array", c.logits, this.lib.dtype("float32"));
          return { a: call("categorical", [logits], { num_samples: c.n, key: key() }) };
        }
        default:
          return { a: call(fn, [], { ...c.args, key: key() }) };
      }
    };
    return { json: {}, arrays: await this.readAll(draws()) };
  }

  /** Packed words, scales, biases, and what they expand to. */
  async quantize(c: LmCase): Promise<LmResult> {
    const w = this.lib.method(this.input(c.input), "astype", this.lib.dtype(String(c.dtype)));
    const how = { group_size: c.group_size, bits: c.bits, mode: c.mode };
    const packed = this.caller.call("quantize", [w], how), parts = isList(packed) ? packed : [];
    const named = Object.fromEntries(parts.map((x, i) => [["w", "scales", "biases"][i] ?? "", x]));
    return { json: {}, arrays: await this.readAll({ ...named, deq: this.caller.call("dequantize", parts, how) }) };
  }

  /** Arrays by name: integers as they are, floats as float32. */
  private async readAll(named: Readonly<Record<string, unknown>>): Promise<Record<string, HostArray>> {
    const out: Record<string, HostArray> = {};
    for (const [k, x] of Object.entries(named)) {
      out[k] = isArray(x) && x.dtype.kind !== "float" ? await this.lib.read(x) : await read32(this.lib, x);
    }
    return out;
  }
}

/** Options of `makeLogitsProcessors`; the keys of a logit bias are token ids already. */
export function processorOptions(args: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).map(([k, v]) => [camel(k), v]));
}
