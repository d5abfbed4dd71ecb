/**
 * Adapters in a model: putting them around layers, loading trained ones, fusing them into the weights, and taking them
 * off.
 * @module
 */
import * as mx from "../core/mod.ts";
import { type Json, type JsonRecord, readJsonFile } from "../core/io/json.ts";
import { Embedding, flattenParameters, Linear, type Module, QuantizedEmbedding, QuantizedLinear } from "../nn/mod.ts";
import { Config } from "./config.ts";
import { DoRAEmbedding, DoRALinear } from "./dora.ts";
import {
  type FuseOptions,
  isQuantized,
  LoRAEmbedding,
  LoRALinear,
  type LoraSettings,
  LoRASwitchLinear,
  plainWeight,
} from "./lora.ts";
import { QuantizedSwitchLinear, SwitchLinear } from "./moe.ts";

/** A model whose blocks can be adapted. */
export type Adaptable = Module & { readonly layers: readonly Module[] };
/** `lora_parameters` of an adapter's config. */
export type LoraParameters = JsonRecord & {
  /** Rank of the added matrices. */
  readonly rank: number;
  /** Their factor; there is no alpha. */
  readonly scale: number;
  /** How often inputs of an adapter are zero while training. */
  readonly dropout: number;
  /** Paths of layers, in a block or in the model. Absent: all linear, expert and embedding layers of the blocks. */
  readonly keys?: Json;
};
/** Options of {@linkcode linearToLoraLayers}. */
export interface LinearToLoraOptions {
  /** Adapters that also learn the size of the weights. Default false. */
  readonly useDora?: boolean;
}

/** Sets the submodule at a path. */
function put(root: Module, path: string, layer: Module): void {
  const parts = path.split("."), last = parts.pop() ?? "";
  let owner: unknown = root;
  for (const part of parts) owner = Reflect.get(Object(owner), part);
  Reflect.set(Object(owner), last, layer);
}
function isAdaptable(m: Module): boolean {
  const kinds = [Linear, QuantizedLinear, SwitchLinear, QuantizedSwitchLinear, Embedding, QuantizedEmbedding];
  return kinds.some((kind) => m instanceof kind);
}
function refuse(layer: Module, expected: string): never {
  return mx.fail(mx.ValueError, "linearToLoraLayers", {
    cannot: `adapt a ${layer.constructor.name}`,
    expected,
    got: layer.constructor.name,
    fix: "name other layers in keys",
  });
}
function adapted(layer: Module, settings: LoraSettings, useDora: boolean): Module {
  if (layer instanceof Linear || layer instanceof QuantizedLinear) {
    return useDora ? new DoRALinear(layer, settings) : new LoRALinear(layer, settings);
  }
  if (layer instanceof Embedding) {
    return useDora ? new DoRAEmbedding(layer, settings) : new LoRAEmbedding(layer, settings);
  }
  if (useDora) return refuse(layer, "a linear layer or a plain embedding for DoRA");
  if (layer instanceof QuantizedEmbedding) return new LoRAEmbedding(layer, settings);
  if (layer instanceof SwitchLinear || layer instanceof QuantizedSwitchLinear) {
    return new LoRASwitchLinear(layer, settings);
  }
  return refuse(layer, "a linear, expert or embedding layer");
}

/**
 * Puts adapters around layers of the last `numLayers` blocks (0 or less: of all), and around layers of the model that
 * `keys` names (`linear_to_lora_layers` of mlx-lm). Freeze the model before, and only the adapters will be trained.
 * @throws ValueError for a layer that cannot be adapted, as experts by DoRA.
 *
 * @example
 * ```ts
 * import { linearToLoraLayers, load } from "@denim/ml/lm";
 * import { flattenParameters } from "@denim/ml/nn";
 * const { model } = await load("models/storyteller");
 * model.freeze();
 * linearToLoraLayers(model, 1, { rank: 4, scale: 20, dropout: 0, keys: ["self_attn.q_proj"] });
 * flattenParameters(model.trainableParameters()).map(([name]) => name.slice(13));
 * // ["5.self_attn.q_proj.lora_a", "5.self_attn.q_proj.lora_b"]
 * ```
 */
export function linearToLoraLayers(
  model: Adaptable,
  numLayers: number,
  parameters: LoraParameters,
  { useDora = false }: LinearToLoraOptions = {},
): void {
  const config = new Config(parameters, "lora_parameters");
  const settings = { rank: config.size("rank"), scale: config.number("scale"), dropout: config.number("dropout") };
  const named = config.texts("keys", null);
  const all = model.layers.flatMap((l) => l.namedModules().filter(([, m]) => isAdaptable(m)).map(([path]) => path));
  const keys = new Set(named ?? all);
  const adapt = (root: Module): void => {
    for (const [path, layer] of root.namedModules()) {
      if (keys.has(path)) put(root, path, adapted(layer, settings, useDora));
    }
  };
  for (const layer of numLayers > 0 ? model.layers.slice(-numLayers) : model.layers) adapt(layer);
  adapt(model);
}

/** Names of an adapter's own parameters. */
const ADAPTER_PARAMETERS = new Set(["lora_a", "lora_b", "m"]);
function refuseAdapter(path: string, expected: string, got: string): never {
  return mx.fail(mx.CheckpointError, "load", {
    cannot: `load the adapter ${path}`,
    expected,
    got,
    fix: "give the folder of an adapter that was trained for this model",
  });
}
/**
 * Loads trained adapters, or fully trained layers, from a folder with adapter_config.json and adapters.safetensors
 * (`load_adapters` of mlx-lm).
 * @throws CheckpointError where files are missing or tensors do not fit the model.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import { load, loadAdapters, LoRALinear } from "@denim/ml/lm";
 * const { model } = await load("models/storyteller"), folder = await Deno.makeTempDir();
 * const settings = { num_layers: 1, lora_parameters: { rank: 2, scale: 20, dropout: 0 } };
 * await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(settings));
 * await mx.saveSafetensors(`${folder}/adapters.safetensors`, {
 *   "model.layers.5.self_attn.q_proj.lora_b": mx.ones([2, 192]),
 * });
 * loadAdapters(model, folder); // or load("models/storyteller", { adapterPath: folder })
 * model.modules().filter((m) => m instanceof LoRALinear).length; // 7
 * ```
 */
export function loadAdapters(model: Adaptable, path: string): void {
  const folder = path.replace(/[/\\]+$/, ""), json = readJsonFile(`${folder}/adapter_config.json`);
  if (!json) return refuseAdapter(path, "a file adapter_config.json", "none");
  const config = new Config(json, "adapter_config.json"), kind = config.text("fine_tune_type", "lora");
  if (kind !== "full") {
    const lora = config.object("lora_parameters");
    const [rank, scale, dropout] = [lora.size("rank"), lora.number("scale"), lora.number("dropout")];
    const parameters = { ...lora.json, rank, scale, dropout };
    linearToLoraLayers(model, config.number("num_layers"), parameters, { useDora: kind === "dora" });
  }
  const weights = Object.entries(mx.load(`${folder}/adapters.safetensors`));
  const own = new Map(flattenParameters(model.parameters()));
  for (const [name, x] of weights) {
    const target = own.get(name), isOwn = kind === "full" || ADAPTER_PARAMETERS.has(name.split(".").at(-1) ?? "");
    if (!target || !isOwn) refuseAdapter(path, "names of the model's adapters", name);
    if (target.shape.join() !== x.shape.join()) {
      refuseAdapter(path, `${name} of the shape [${target.shape}]`, `[${x.shape}]`);
    }
  }
  model.loadWeights(weights, { strict: false });
}

type Fusible = Module & { fuse(options?: FuseOptions): Module };
const isFusible = (m: Module): m is Fusible => "fuse" in m && typeof m.fuse === "function";
/**
 * Makes every adapter one with its layer (`mlx_lm.fuse`, in memory); quantized layers are quantized again.
 *
 * @example
 * ```ts
 * import { fuseAdapters, linearToLoraLayers, load } from "@denim/ml/lm";
 * const { model } = await load("models/storyteller");
 * linearToLoraLayers(model, 1, { rank: 4, scale: 20, dropout: 0, keys: ["mlp.up_proj"] });
 * fuseAdapters(model, { dequantize: true });
 * model.namedModules().find(([path]) => path.endsWith("5.mlp.up_proj"))?.[1].constructor.name; // "Linear"
 * ```
 */
export function fuseAdapters(model: Module, options: FuseOptions = {}): void {
  for (const [path, layer] of model.namedModules()) if (isFusible(layer)) put(model, path, layer.fuse(options));
}
/**
 * Takes all adapters of linear layers off (`remove_lora_layers` of mlx-lm).
 *
 * @example
 * ```ts
 * import { linearToLoraLayers, load, LoRALinear, removeLoraLayers } from "@denim/ml/lm";
 * const { model } = await load("models/storyteller");
 * const adapters = () => model.modules().filter((m) => m instanceof LoRALinear).length;
 * linearToLoraLayers(model, 2, { rank: 4, scale: 20, dropout: 0 });
 * adapters(); // 14
 * removeLoraLayers(model);
 * adapters(); // 0
 * ```
 */
export function removeLoraLayers(model: Module): void {
  for (const [path, layer] of model.namedModules()) if (layer instanceof LoRALinear) put(model, path, layer.linear);
}

/**
 * Puts plain layers in the place of quantized ones (`dequantize_model` of mlx-lm).
 *
 * @example
 * ```ts
 * import { dequantizeModel, load } from "@denim/ml/lm";
 * import { QuantizedEmbedding, QuantizedLinear } from "@denim/ml/nn";
 * const { model } = await load("models/storyteller");
 * const isPacked = (m: unknown) => m instanceof QuantizedLinear || m instanceof QuantizedEmbedding;
 * model.modules().filter(isPacked).length; // 43
 * dequantizeModel(model);
 * model.modules().filter(isPacked).length; // 0
 * ```
 */
export function dequantizeModel(model: Module): void {
  for (const [path, layer] of model.namedModules()) {
    if (!isQuantized(layer)) continue;
    const weight = plainWeight(layer);
    if (layer instanceof QuantizedEmbedding) {
      const plain = new Embedding(1, 1);
      plain.weight = weight;
      put(model, path, plain);
      continue;
    }
    const plain = layer instanceof QuantizedLinear
      ? new Linear(1, 1, { bias: false })
      : new SwitchLinear(1, 1, 1, { bias: false });
    plain.weight = weight;
    if (layer.bias) plain.bias = layer.bias;
    put(model, path, plain);
  }
}
