/**
 * Cases of layers, losses, initialisers, optimizers, schedules and tree utilities.
 * @module
 */
import type { Caller } from "./calls.ts";
import { camel, isList, isPlain } from "./library.ts";
import { signatures } from "./signatures.ts";
import { type Dict, flatten, unflatten } from "./values.ts";

/** Calls of layers that have optional parameters; all others take positional arguments alone. */
const FORWARD: Dict<string> = {
  MultiHeadAttention: "queries keys values mask?",
  RNN: "x hidden?",
  GRU: "x hidden?",
  LSTM: "x hidden? cell?",
  RoPE: "x offset:a=",
  ALiBi: "attention_scores offset= mask:a?",
};

/** What a case of a layer says beside its arguments, decoded. */
export interface LayerCase {
  readonly params: Dict<unknown>;
  readonly training: boolean;
  readonly method: string;
  readonly callKwargs: Dict<unknown>;
  readonly stateOut: readonly string[];
  readonly seed: number | null;
}

const lists = (x: unknown): readonly unknown[] => isList(x) ? x : [];
const dict = (x: unknown): Dict<unknown> => isPlain(x) ? x : {};

function build(c: Caller, name: string, kwargs: Dict<unknown>): object {
  if (name === "Sequential") {
    const layers = lists(kwargs.layers).map(lists).map(([type, options]) => build(c, String(type), dict(options)));
    return c.lib.construct("nn.Sequential", ...layers);
  }
  c.lib.get(`nn.${name}`);
  return c.lib.construct(`nn.${name}`, ...c.byRule(signatures.nn?.[name] ?? "", [], kwargs));
}

/** Builds a layer, loads its parameters, calls it, and appends the state that is asked for. */
export function callLayer(
  c: Caller,
  name: string,
  args: readonly unknown[],
  kwargs: Dict<unknown>,
  how: LayerCase,
): unknown[] {
  const layer = build(c, name, kwargs), quiet = name === "QQLinear" && "scales" in how.params;
  if (quiet) c.lib.method(layer, "eval");
  if (Object.keys(how.params).length > 0) {
    c.lib.method(layer, "update", unflatten(Object.entries(how.params)), { strict: false });
  }
  c.lib.method(layer, how.training ? "train" : "eval");
  if (how.seed !== null) c.call("random.seed", [how.seed]);
  const method = how.method === "__call__" ? "forward" : camel(how.method);
  const result = c.lib.method(layer, method, ...c.byRule(FORWARD[name] ?? "*args", args, how.callKwargs));
  if (how.stateOut.length === 0) return [result];
  const state = new Map(flatten(c.lib.method(layer, "parameters")));
  return [result, ...how.stateOut.map((k) => state.get(k))];
}

/** `init.NAME(...options)(array)`. */
export function callInit(
  c: Caller,
  name: string,
  args: readonly unknown[],
  kwargs: Dict<unknown>,
  callKwargs: Dict<unknown>,
): unknown {
  const [array, ...rest] = args;
  const initialise = c.function(
    c.lib.call(`nn.init.${camel(name)}`, ...c.byRule(signatures.init?.[name] ?? "", rest, kwargs)),
  );
  return initialise(...c.byRule("a gain= mode=", [array], callKwargs));
}

function optimizer(c: Caller, name: string, kwargs: Dict<unknown>): object {
  if (name !== "MultiOptimizer") {
    c.lib.get(`optim.${name}`);
    return c.lib.construct(`optim.${name}`, ...c.byRule(signatures.optim?.[name] ?? "", [], kwargs));
  }
  const subs = lists(kwargs.optimizers).map(lists).map(([type, options]) => optimizer(c, String(type), dict(options)));
  const filters = lists(kwargs.prefixes).map((prefix) => (path: string) => path.startsWith(String(prefix)));
  return c.lib.construct("optim.MultiOptimizer", subs, { filters });
}

/** All parameters, by name, after each of the steps. */
export function runOptimizer(
  c: Caller,
  name: string,
  kwargs: Dict<unknown>,
  params: Dict<unknown>,
  grads: readonly Dict<unknown>[],
): unknown[] {
  const opt = optimizer(c, name, kwargs), out: unknown[] = [];
  let tree = unflatten(Object.entries(params));
  for (const g of grads) {
    tree = c.lib.method(opt, "applyGradients", unflatten(Object.entries(g)), tree);
    c.lib.call("mx.eval", tree);
    out.push(...flatten(tree).map(([, leaf]) => leaf));
  }
  return out;
}

/** The clipped gradients by name, and their norm. */
export function clipGradNorm(c: Caller, args: readonly unknown[]): unknown[] {
  const [tree, norm] = lists(c.lib.call("optim.clipGradNorm", ...args.map((a) => c.lower(a))));
  return [...flatten(tree).map(([, leaf]) => leaf), norm];
}

/** The schedule at each step, stacked. */
export function runSchedule(
  c: Caller,
  name: string,
  args: readonly unknown[],
  kwargs: Dict<unknown>,
  steps: readonly number[],
): unknown {
  const schedule = c.function(
    c.lib.call(`optim.${camel(name)}`, ...c.byRule(signatures.optim?.[name] ?? "", args, kwargs)),
  );
  const at = (step: number): unknown => {
    const rate = schedule(c.lib.call("mx.array", step, c.lib.dtype("uint64")));
    const array = typeof rate === "number" ? c.lib.call("mx.array", rate) : rate;
    return c.lib.method(array, "astype", c.lib.dtype("float32"));
  };
  return c.lib.call("mx.stack", steps.map(at));
}

/** A function of `mlx.nn`, `losses` or `utils`. */
export function callFunction(
  c: Caller,
  group: "nn" | "losses" | "utils",
  name: string,
  args: readonly unknown[],
  kwargs: Dict<unknown>,
): unknown {
  const path = `${group === "utils" ? "mx" : group === "losses" ? "nn.losses" : "nn"}.${camel(name)}`;
  c.lib.get(path);
  return c.lib.call(path, ...c.byRule(signatures[group]?.[name] ?? "*args", args, kwargs));
}
