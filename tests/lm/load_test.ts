/**
 * Loading folders: shards, end tokens, quantized layers, and errors that name what does not fit.
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import * as mx from "../../core/mod.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import * as lm from "../../lm/mod.ts";
import { foreignQuantization } from "../../lm/quantization.ts";
import * as nn from "../../nn/mod.ts";
import { inFolder, row, someIds, tinyConfig, tinyModel, tokenizerFiles, writeModel } from "./tiny.ts";

const close = (a: mx.NDArray, b: mx.NDArray): boolean => mx.allclose(a, b, 1e-5, { atol: 1e-5 }).item() === true;
const logits = (model: lm.LanguageModel): mx.NDArray => model.forward(row(someIds(7)));

Deno.test("a saved model comes back, in one file or several", () =>
  inFolder(async (folder) => {
    const config = tinyConfig(), model = tinyModel(config);
    await writeModel(folder, model, config);
    const whole = await lm.load(folder);
    assert(close(logits(whole.model), logits(model)));
    assertEquals([whole.config.model_type, whole.model.training], ["llama", false]);
    assertEquals(whole.tokenizer.size, tokenizerFiles?.size);
    const weights = nn.flattenParameters(model.parameters()), half = weights.length >> 1;
    await mx.saveSafetensors(`${folder}/model.safetensors`, Object.fromEntries(weights.slice(0, half)));
    await mx.saveSafetensors(`${folder}/model-2.safetensors`, Object.fromEntries(weights.slice(half)));
    assert(close(logits((await lm.load(folder, { lazy: false })).model), logits(model)));
  }));
Deno.test("end tokens: generation_config.json overrides config.json, the tokenizer's own is added", () =>
  inFolder(async (folder) => {
    const config = tinyConfig("llama", { eos_token_id: 3 }),
      own = new lm.Tokenizer(
        tokenizerFiles?.tokenizer ?? {},
        tokenizerFiles?.config ?? {},
      ).eosTokenId;
    await writeModel(folder, tinyModel(config), config);
    const ends = async (): Promise<number[]> => [...(await lm.load(folder)).tokenizer.eosTokenIds];
    const withOwn = (...ids: number[]): number[] => own === null || ids.includes(own) ? ids : [...ids, own];
    assertEquals(await ends(), withOwn(3));
    await Deno.writeTextFile(`${folder}/generation_config.json`, '{"eos_token_id": [7, 8]}');
    assertEquals(await ends(), withOwn(7, 8));
    await Deno.writeTextFile(`${folder}/generation_config.json`, '{"eos_token_id": 0}');
    assertEquals(await ends(), withOwn(3));
    await Deno.writeTextFile(`${folder}/generation_config.json`, "{broken");
    assertEquals(await ends(), withOwn(3));
  }));
Deno.test("quantized layers: named ones as the config says, others as their shapes say", () =>
  inFolder(async (folder) => {
    const base = tinyConfig(), model = tinyModel(base), special = "model.layers.0.mlp.up_proj";
    nn.quantize(model, {
      groupSize: 32,
      bits: 4,
      classPredicate: (path) => path === special ? { groupSize: 64, bits: 8 } : !path.endsWith("o_proj"),
    });
    // The width of the head is in no entry: the shapes tell it.
    const quantization = { group_size: 64, bits: 8, [special]: { group_size: 64, bits: 8 } };
    await writeModel(folder, model, { ...base, quantization });
    const { model: loaded } = await lm.load(folder);
    assert(close(logits(loaded), logits(model)));
    const kinds = new Map(loaded.namedModules());
    const of = (path: string): string => {
      const layer = kinds.get(path);
      return layer instanceof nn.QuantizedLinear
        ? `${layer.bits} ${layer.groupSize}`
        : layer?.constructor.name ?? "none";
    };
    assertEquals([special, "lm_head", "model.layers.1.self_attn.o_proj"].map(of), ["8 64", "4 32", "Linear"]);
    assertEquals(kinds.get("model.embed_tokens")?.constructor.name, "QuantizedEmbedding");
  }));
Deno.test("weights are views of the mapped file", () =>
  inFolder(async (folder) => {
    const config = tinyConfig("llama", { hidden_size: 256, intermediate_size: 1024, head_dim: 64 });
    await writeModel(folder, tinyModel(config), config);
    mx.clearCache();
    const before = mx.getActiveMemory(), { model } = await lm.load(folder);
    const bytes = nn.flattenParameters(model.parameters()).reduce((sum, [, x]) => sum + x.nbytes, 0);
    assert(mx.getActiveMemory() - before < bytes / 10, `${mx.getActiveMemory() - before} of ${bytes} bytes`);
  }));

Deno.test("what does not fit is an error that names it", () =>
  inFolder(async (folder) => {
    const config = tinyConfig(), model = tinyModel(config);
    const message = async (): Promise<string> =>
      (await assertRejects(() => lm.load(folder), mx.CheckpointError)).message;
    assertEquals(
      await message(),
      `[load] cannot load a model from ${folder}: expected a file config.json, got none. Fix: give the folder of a whole model`,
    );
    await writeModel(folder, model, { ...config, tie_word_embeddings: true });
    await Deno.remove(`${folder}/model.safetensors`);
    assertEquals(
      await message(),
      `[load] cannot load weights from ${folder}: expected one or more model*.safetensors, got none. ` +
        "Fix: give the folder of a whole model",
    );
    await writeModel(folder, model, { ...config, intermediate_size: 64 });
    assert(
      (await message()).startsWith(
        "[loadWeights] cannot fill model.layers.0.mlp.gate_proj.weight: expected float32[64,64]",
      ),
    );
    await writeModel(folder, model, { ...config, num_hidden_layers: 3 });
    assert((await message()).includes("none for model.layers.2."));
    await writeModel(folder, model, { ...config, num_hidden_layers: 1 });
    assert((await message()).includes("others: model.layers.1."));
    await writeModel(folder, model, { ...config, model_type: "bert" });
    assert((await message()).startsWith("[load] cannot build a model of the type bert"));
    await writeModel(folder, model, { ...config, quantization_config: { quant_method: "bitnet" } });
    assert((await message()).includes("quant_method of quantization_config of config.json: expected awq, compressed-"));
    const compressed = { quant_method: "compressed-tensors", format: "float-quantized" };
    await writeModel(folder, model, { ...config, quantization_config: compressed });
    assert((await message()).includes("expected nvfp4-pack-quantized, mxfp4-pack-quantized, pack-quantized"));
    await writeModel(folder, model, { ...config, model_file: "own.py" });
    assert((await message()).includes("model_file of config.json: expected an architecture that its type names"));
  }));
Deno.test("what other tools' quantization is here; eight-bit floats with other scales are the model's own matter", () => {
  const own = (fields: JsonRecord) => foreignQuantization(new lm.Config({ quantization_config: fields }));
  const blocks = (n: number) => ({ quant_method: "fp8", weight_block_size: [n, n], scale_fmt: "ue8m0" });
  assertEquals(own({ quant_method: "fp8", weight_block_size: [128, 128] }), null);
  assertEquals([own(blocks(128)), own(blocks(32))], [null, { group_size: 32, bits: 8, mode: "mxfp8" }]);
  const packed = own({ quant_method: "compressed-tensors", format: "pack-quantized" });
  assertEquals(packed, { group_size: 32, bits: 4, mode: "affine" });
});
