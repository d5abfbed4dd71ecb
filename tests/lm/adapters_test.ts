/**
 * Adapters: what they add, that fusing keeps what a model computes, files of adapters, and what is trained.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import {
  dequantizeModel,
  fuseAdapters,
  type FuseOptions,
  type LanguageModel,
  linearToLoraLayers,
  load,
  loadAdapters,
  LoRALinear,
  type LoraParameters,
  removeLoraLayers,
} from "../../lm/mod.ts";
import { flattenParameters, Linear, quantize, QuantizedLinear } from "../../nn/mod.ts";
import { inFolder, row, someIds, tinyConfig, tinyModel, writeModel } from "./tiny.ts";

const numbers = (x: mx.NDArray): number[] => Array.from(x.astype(mx.float32).dataSync(), Number);
const logits = (model: LanguageModel): number[] => numbers(model.forward(row(someIds(7))));
function assertClose(x: readonly number[], y: readonly number[], tolerance: number): void {
  assertEquals(x.length, y.length);
  x.forEach((v, i) => assert(Math.abs(v - (y[i] ?? NaN)) <= tolerance, `${i}: ${v}, ${y[i]}`));
}
const PARAMETERS: LoraParameters = { rank: 4, scale: 2, dropout: 0 };
const EVERYWHERE: LoraParameters = {
  ...PARAMETERS,
  keys: ["self_attn.q_proj", "mlp.down_proj", "model.embed_tokens", "lm_head"],
};
const experts = { num_local_experts: 4 };
/** Sets all adapters to numbers that matter. */
function trained(model: LanguageModel): void {
  const drawn = flattenParameters(model.parameters()).filter(([name]) => /\.(lora_a|lora_b|m)$/.test(name))
    .map((
      [name, x],
    ): [string, mx.NDArray] => [name, mx.random.normal(x.shape, { scale: 0.2 }).add(name.endsWith("m") ? 1 : 0)]);
  assert(drawn.length > 0);
  model.loadWeights(drawn, { strict: false });
}
function adapted(kind: string, useDora = false, parameters = PARAMETERS): LanguageModel {
  const model = tinyModel(tinyConfig(kind, { ...experts, tie_word_embeddings: kind !== "llama" }));
  linearToLoraLayers(model, 1, parameters, { useDora });
  return model;
}

Deno.test("a new adapter changes nothing, a trained one adds scale x A B", () => {
  const layer = new Linear(6, 5), adapter = new LoRALinear(layer, { rank: 2, scale: 3, dropout: 0.5 }).eval();
  const x = mx.random.normal([4, 6]), base = numbers(layer.forward(x));
  assertClose(numbers(adapter.forward(x)), base, 1e-6);
  adapter.lora_b = mx.random.normal([2, 5]);
  const added = x.matmul(adapter.lora_a).matmul(adapter.lora_b).multiply(3);
  assertClose(numbers(adapter.forward(x)), numbers(layer.forward(x).add(added)), 1e-5);
});
Deno.test("which layers are adapted", () => {
  const names = (model: LanguageModel) =>
    flattenParameters(model.parameters()).map(([name]) => name).filter((name) => name.endsWith("lora_a"));
  const parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
  const mlp = ["mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"];
  assertEquals(names(adapted("llama")), [...parts, ...mlp].map((p) => `model.layers.1.${p}.lora_a`));
  const everywhere = ["embed_tokens", "layers.1.self_attn.q_proj", "layers.1.mlp.down_proj"].map((p) =>
    `model.${p}.lora_a`
  );
  assertEquals(names(adapted("llama", false, EVERYWHERE)), [...everywhere, "lm_head.lora_a"]);
  const all = tinyModel();
  linearToLoraLayers(all, -1, PARAMETERS);
  assertEquals(names(all).length, 14);
  const error = assertThrows(() => adapted("mixtral", true), mx.ValueError);
  assert(error.message.startsWith("[linearToLoraLayers] cannot adapt a SwitchLinear"), error.message);
  assertThrows(() => linearToLoraLayers(tinyModel(), 1, { ...PARAMETERS, rank: 0 }), mx.CheckpointError);
});
const KINDS: readonly (readonly [string, boolean, LoraParameters])[] = [
  ["llama", false, EVERYWHERE],
  ["llama", true, EVERYWHERE],
  ["mistral", false, { ...PARAMETERS, keys: ["model.embed_tokens"] }],
  ["mixtral", false, PARAMETERS],
];
for (const [kind, useDora, parameters] of KINDS) {
  Deno.test(`${kind} with ${useDora ? "DoRA" : "LoRA"}: fused it computes the same`, () => {
    const model = adapted(kind, useDora, parameters), plain = logits(model);
    trained(model);
    const expected = logits(model);
    assert(expected.some((x, i) => Math.abs(x - (plain[i] ?? 0)) > 0.01), "the adapter matters");
    fuseAdapters(model);
    assert(!flattenParameters(model.parameters()).some(([name]) => name.includes("lora")));
    assertClose(logits(model), expected, 2e-3);
  });
}
Deno.test("quantized layers: fused they stay quantized, or become plain", () => {
  const made = (options: FuseOptions): [LanguageModel, number[]] => {
    const model = tinyModel();
    quantize(model, { groupSize: 32, bits: 8 });
    linearToLoraLayers(model, 2, PARAMETERS);
    mx.random.seed(5);
    trained(model);
    const before = logits(model);
    fuseAdapters(model, options);
    return [model, before];
  };
  const kinds = (model: LanguageModel) => new Set(model.modules().map((m) => m.constructor.name));
  const [packed, before] = made({}), [plain] = made({ dequantize: true });
  assert(packed.modules().some((m) => m instanceof QuantizedLinear));
  assertClose(logits(packed), before, 0.8);
  assertClose(logits(plain), before, 1e-3);
  assert(kinds(plain).has("QuantizedEmbedding"), "layers without adapters are left");
  dequantizeModel(plain);
  assert(![...kinds(plain)].some((name) => name.startsWith("Quantized")));
  assertClose(logits(plain), before, 1e-3);
});
Deno.test("adapters can be taken off", () => {
  const model = tinyModel(), before = logits(model);
  linearToLoraLayers(model, 2, PARAMETERS);
  trained(model);
  removeLoraLayers(model);
  assertEquals(logits(model), before);
});
Deno.test("frozen models train their adapters only", () => {
  const model = tinyModel().freeze();
  linearToLoraLayers(model, 1, { ...PARAMETERS, keys: ["self_attn.v_proj"] });
  assertEquals(flattenParameters(model.trainableParameters()).map(([name]) => name), [
    "model.layers.1.self_attn.v_proj.lora_a",
    "model.layers.1.self_attn.v_proj.lora_b",
  ]);
});

Deno.test("adapters from a folder", async () => {
  await inFolder(async (folder) => {
    const config = tinyConfig(), model = tinyModel(config), path = `${folder}/adapters`;
    await writeModel(folder, model, config);
    await Deno.mkdir(path);
    const write = async (more: Record<string, unknown>, weights: readonly (readonly [string, mx.NDArray])[]) => {
      const own = { fine_tune_type: "lora", num_layers: 1, lora_parameters: PARAMETERS, ...more };
      await Deno.writeTextFile(`${path}/adapter_config.json`, JSON.stringify(own));
      await mx.saveSafetensors(`${path}/adapters.safetensors`, Object.fromEntries(weights));
    };
    linearToLoraLayers(model, 1, PARAMETERS);
    trained(model);
    const weights = flattenParameters(model.parameters()).filter(([name]) => name.includes("lora_"));
    await write({}, weights);
    const loaded = (await load(folder, { adapterPath: path })).model;
    assertClose(logits(loaded), logits(model), 1e-5);
    assert(loaded.modules().every((m) => !m.training));
    const refuses = (text: string) => {
      const error = assertThrows(() => loadAdapters(tinyModel(config), path), mx.CheckpointError);
      assert(error.message.includes(text), error.message);
    };
    await write({}, [["model.norm.weight", mx.ones([64])]]);
    refuses("expected names of the model's adapters, got model.norm.weight");
    await write({}, [["model.layers.1.self_attn.q_proj.lora_a", mx.ones([64, 5])]]);
    refuses("expected model.layers.1.self_attn.q_proj.lora_a of the shape [64,4], got [64,5]");
    await write({ fine_tune_type: "full" }, [["model.norm.weight", mx.zeros([64])]]);
    const full = tinyModel(config);
    loadAdapters(full, path);
    assertEquals(new Set(logits(full)), new Set([0]));
    await Deno.remove(`${path}/adapter_config.json`);
    refuses("expected a file adapter_config.json, got none");
  });
});
