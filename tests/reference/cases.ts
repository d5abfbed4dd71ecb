/**
 * Runs one recorded case: evaluates the call, or differentiates or batches it, and gives its outputs on the host.
 * @module
 */
import { Caller } from "./calls.ts";
import type { Post, Value } from "./compare.ts";
import { callCustom } from "./custom.ts";
import { isArray, isList, isPlain, type Library } from "./library.ts";
import { callFunction, callInit, callLayer, clipGradNorm, runOptimizer, runSchedule } from "./nn.ts";
import type { RawTensor } from "./safetensors_reader.ts";
import { Decoder, type Dict, type Json } from "./values.ts";

/** A recorded case. */
export interface Case {
  readonly id: string;
  readonly fn: string;
  readonly transform: "eval" | "error" | "grad" | "jvp" | "vmap";
  readonly args: readonly Json[];
  readonly kwargs: Dict<Json>;
  readonly out: readonly Json[];
  readonly rtol: number;
  readonly atol: number;
  readonly post?: Post | readonly Post[];
  readonly post_per_output?: boolean;
  readonly error_type?: string;
  readonly message?: string;
  readonly seed?: number;
  readonly params?: Dict<Json>;
  readonly mode?: "train" | "eval";
  readonly method?: string;
  readonly call_kwargs?: Dict<Json>;
  readonly state_out?: readonly string[];
  readonly grads?: readonly Dict<Json>[];
  readonly steps?: readonly number[];
  readonly argnums?: readonly number[];
  readonly argnames?: readonly string[];
  readonly wrt_params?: readonly string[];
  readonly cotangents?: readonly Json[];
  readonly tangents?: readonly Json[];
  readonly in_axes?: readonly (number | null | readonly (number | null)[])[];
  readonly out_axes?: number | readonly number[];
}

/** Arguments of a call, replaceable one by one. */
interface Arguments {
  readonly args: unknown[];
  readonly kwargs: Record<string, unknown>;
  readonly params: Record<string, unknown>;
}
/** A place of an argument: where, which, and which item if it is a list. */
interface Slot {
  readonly kind: keyof Arguments;
  readonly key: string | number;
  readonly item: number | null;
}

/** The arrays of nested lists of arrays, in order; anything else is one output. */
function outputs(r: unknown): unknown[] {
  const nested = isList(r) && r.length > 0 && r.every((x) => isArray(x) || isList(x)) && r.some(isArray);
  return nested ? r.flatMap(outputs) : [r];
}
const isPost = (p: Case["post"]): p is Post =>
  p === null || typeof p === "string" || !isList(p) || p.every((x) => !isList(x));

/** The post-processing of each output. */
export function postsOf(c: Case): readonly Post[] {
  const { post = null } = c;
  if (c.post_per_output !== true) return c.out.map(() => isPost(post) ? post : null);
  return isList(post) ? post.map((p) => typeof p === "number" ? null : p) : [];
}

/** Runs the cases of one directory. */
export class Engine {
  private readonly caller: Caller;
  private readonly decoder: Decoder;
  constructor(private readonly lib: Library, tensors: ReadonlyMap<string, RawTensor>) {
    this.caller = new Caller(lib);
    this.decoder = new Decoder(lib, tensors);
  }

  /** The expected outputs. */
  wanted(c: Case): Value[] {
    return c.out.map((v) => this.decoder.wanted(v));
  }
  /** The outputs, evaluated. */
  async run(c: Case): Promise<Value[]> {
    const given: Arguments = {
      args: c.args.map((v) => this.decoder.value(v)),
      kwargs: { ...this.decoder.dict(c.kwargs) },
      params: { ...this.decoder.dict(c.params ?? {}) },
    };
    const host = await this.lib.toHost(this.transformed(c, given));
    return isList(host) ? [...host] : [host];
  }
  private transformed(c: Case, given: Arguments): unknown {
    switch (c.transform) {
      case "grad":
        return this.grad(c, given);
      case "jvp":
        return this.jvp(c, given);
      case "vmap":
        return this.vmap(c, given);
      default:
        return this.call(c, given);
    }
  }

  /** One call: a list of outputs. */
  private call(c: Case, { args, kwargs, params }: Arguments): unknown[] {
    if (c.seed !== undefined) this.caller.call("random.seed", [c.seed]);
    const dot = c.fn.indexOf("."), group = dot < 0 ? "" : c.fn.slice(0, dot), name = c.fn.slice(dot + 1);
    const callKwargs = (): Dict<unknown> => this.decoder.dict(c.call_kwargs ?? {});
    switch (group) {
      case "nn":
        return /^[a-z]/.test(name)
          ? outputs(callFunction(this.caller, group, name, args, kwargs))
          : this.layer(c, name, args, kwargs, params);
      case "losses":
      case "utils":
        return outputs(callFunction(this.caller, group, name, args, kwargs));
      case "init":
        return outputs(callInit(this.caller, name, args, kwargs, callKwargs()));
      case "optim":
        return name === "clip_grad_norm"
          ? clipGradNorm(this.caller, args)
          : runOptimizer(this.caller, name, kwargs, params, (c.grads ?? []).map((g) => this.decoder.dict(g)));
      case "schedule":
        return [runSchedule(this.caller, name, args, kwargs, c.steps ?? [])];
      case "custom":
        return outputs(callCustom(this.caller, name, args, kwargs));
      default:
        return outputs(this.caller.call(c.fn, args, kwargs));
    }
  }
  private layer(
    c: Case,
    name: string,
    args: readonly unknown[],
    kwargs: Dict<unknown>,
    params: Dict<unknown>,
  ): unknown[] {
    const [result, ...state] = callLayer(this.caller, name, args, kwargs, {
      params,
      training: c.mode !== "eval",
      method: c.method ?? "__call__",
      callKwargs: this.decoder.dict(c.call_kwargs ?? {}),
      stateOut: c.state_out ?? [],
      seed: c.seed ?? null,
    });
    return [...outputs(result), ...state];
  }

  /** The differentiated inputs, and where they go. */
  private inputs(c: Case, given: Arguments): { slots: Slot[]; primals: unknown[] } {
    const slots: Slot[] = [], primals: unknown[] = [];
    const take = (kind: keyof Arguments, key: string | number, value: unknown): void => {
      const items: [number | null, unknown][] = isList(value)
        ? value.map((v, i): [number, unknown] => [i, v])
        : [[null, value]];
      for (const [item, v] of items) {
        if (item !== null && !isArray(v)) continue;
        slots.push({ kind, key, item });
        primals.push(v);
      }
    };
    for (const i of c.argnums ?? []) take("args", i, given.args[i]);
    for (const k of c.argnames ?? []) take("kwargs", k, given.kwargs[k]);
    for (const k of c.wrt_params ?? []) take("params", k, given.params[k]);
    return { slots, primals };
  }
  /** The arguments with other values in these places. */
  private replaced(given: Arguments, slots: readonly Slot[], values: readonly unknown[]): Arguments {
    const copy: Arguments = { args: [...given.args], kwargs: { ...given.kwargs }, params: { ...given.params } };
    for (const [i, { kind, key, item }] of slots.entries()) {
      const place: object = copy[kind], old: unknown = Reflect.get(place, key);
      Reflect.set(place, key, item === null || !isList(old) ? values[i] : old.with(item, values[i]));
    }
    return copy;
  }

  private grad(c: Case, given: Arguments): unknown {
    const { slots, primals } = this.inputs(c, given), cotangents = c.cotangents ?? [];
    const kept = cotangents.map((_, i) => i).filter((i) => cotangents[i] !== null);
    const f = (...values: readonly unknown[]): unknown[] => {
      const out = this.call(c, this.replaced(given, slots, values));
      return kept.map((i) => out[i]);
    };
    const pair = this.lib.call("mx.vjp", f, primals, kept.map((i) => this.decoder.value(cotangents[i] ?? null)));
    return isList(pair) ? pair[1] : pair;
  }
  private jvp(c: Case, given: Arguments): unknown {
    const { slots, primals } = this.inputs(c, given);
    const f = (...values: readonly unknown[]): unknown[] => this.call(c, this.replaced(given, slots, values));
    const pair = this.lib.call("mx.jvp", f, primals, (c.tangents ?? []).map((t) => this.decoder.value(t)));
    return isList(pair) ? pair[1] : pair;
  }
  private vmap(c: Case, given: Arguments): unknown {
    const slots: Slot[] = [], axes: number[] = [], inputs: unknown[] = [];
    for (const [key, axis] of (c.in_axes ?? []).entries()) {
      const value = given.args[key], each = isList(axis) ? axis : [axis];
      for (const [i, a] of each.entries()) {
        if (a === null) continue;
        slots.push({ kind: "args", key, item: isList(axis) ? i : null });
        axes.push(Number(a));
        inputs.push(isList(axis) && isList(value) ? value[i] : value);
      }
    }
    const f = (...values: readonly unknown[]): unknown => {
      const out = this.call(c, this.replaced(given, slots, values));
      return out.length === 1 ? out[0] : out;
    };
    const batched = this.caller.function(this.lib.call("mx.vmap", f, { inAxes: axes, outAxes: c.out_axes ?? 0 }));
    return outputs(batched(...inputs));
  }
}

/** Whether a case has an output that can be changed. */
export const hasOutput = (c: Case): boolean => c.transform !== "error" && c.out.length > 0;
/** Whether plain data is a case. */
export const isCase = (x: unknown): x is Case => isPlain(x) && typeof x.id === "string" && typeof x.fn === "string";
