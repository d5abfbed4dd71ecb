/**
 * Architectures against a plain float64 computation, and against themselves: in pieces, with caches, in batches.
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import { Config, generateStep, initializeRope, makeModel, makePromptCache, modelTypes } from "../../lm/mod.ts";
import { stackedExperts, SwitchGLU, SwitchLinear } from "../../lm/moe.ts";
import { flattenParameters } from "../../nn/mod.ts";
import { OTHERS } from "./model_configs.ts";
import { PlainModel, row, someIds, tinyConfig, tinyModel } from "./tiny.ts";

const numbers = (x: mx.NDArray): number[] => Array.from(x.astype(mx.float32).dataSync(), Number);
function assertClose(x: mx.NDArray, expected: readonly number[], tolerance: number): void {
  const got = numbers(x);
  assertEquals(got.length, expected.length);
  const worst = got.reduce((most, v, i) => Math.max(most, Math.abs(v - (expected[i] ?? NaN))), 0);
  assert(worst <= tolerance, `off by ${worst}`);
}

const CONFIGS: Readonly<Record<string, JsonRecord>> = {
  llama: tinyConfig(),
  "llama with biases and a tied head": tinyConfig("llama", {
    attention_bias: true,
    mlp_bias: true,
    tie_word_embeddings: true,
  }),
  mistral: tinyConfig("mistral", { num_key_value_heads: 4 }),
  qwen2: tinyConfig("qwen2"),
  qwen3: tinyConfig("qwen3", { tie_word_embeddings: true }),
};
for (const [name, config] of Object.entries(CONFIGS)) {
  Deno.test(`${name}: logits are those of a plain computation`, () => {
    const model = tinyModel(config), ids = someIds(9);
    assertClose(model.forward(row(ids)), new PlainModel(model, config).logits(ids).flat(), 2e-4);
  });
  Deno.test(`${name}: pieces with a cache give what the whole gives`, () => {
    const model = tinyModel(config),
      ids = someIds(23),
      cache = makePromptCache(model),
      whole = numbers(model.forward(row(ids)));
    const pieces = [ids.slice(0, 11), ids.slice(11, 12), ids.slice(12)].map((p) => model.forward(row(p), { cache }));
    assertClose(mx.concatenate(pieces, 1), whole, 1e-4);
    assertEquals(cache.map((c) => c.offset), [23, 23]);
  });
}
Deno.test("every type has a config here", () => {
  const known = new Set([...Object.values(CONFIGS), ...Object.values(OTHERS)].map((c) => c.model_type));
  assertEquals(modelTypes.filter((type) => !known.has(type)), [
    "iquestcoder",
    "joyai_llm_flash",
    "kimi_k2",
    "llava",
    "qwen2_5_vl",
    "xverse",
  ]);
});
for (const [name, config] of Object.entries(OTHERS)) {
  Deno.test(`${name}: pieces, batches and compiled steps give what the whole gives`, () => {
    const model = tinyModel(config), ids = someIds(17), cache = makePromptCache(model);
    const whole = model.forward(row(ids)), values = numbers(whole);
    const cuts = [ids.slice(0, 9), ids.slice(9, 10), ids.slice(10)].map((p) => model.forward(row(p), { cache }));
    assertClose(mx.concatenate(cuts, 1), values, 2e-4);
    const other = someIds(17, 11), both = model.forward(mx.array([ids, other], mx.int32));
    assertClose(both, [...values, ...numbers(model.forward(row(other)))], 2e-4);
    // The most likely token after each text, and the same text grown by it.
    const made = [...generateStep(ids, model, { maxTokens: 4 })].map(([token]) => token), grown = [...ids];
    for (const token of made) {
      const last = model.forward(row(grown)).index(0, -1);
      assertClose(last.index(token), [Math.max(...numbers(last))], 1e-4);
      grown.push(token);
    }
  });
}
Deno.test("experts: each token gets the weighted results of those with the best scores", () => {
  const model = tinyModel(OTHERS.mixtral),
    layer = model.namedModules().find(([path]) => path.endsWith("switch_mlp"))?.[1];
  assert(layer instanceof SwitchGLU);
  const x = mx.random.normal([3, 64]), chosen = mx.array([[1, 3], [0, 2], [2, 2]], mx.uint32);
  const weights = (name: string) =>
    flattenParameters(layer.parameters()).find(([path]) => path === name)?.[1] ?? mx.zeros([0]);
  const [gate, up, down] = ["gate_proj.weight", "up_proj.weight", "down_proj.weight"].map(weights);
  const expected = [[1, 3], [0, 2], [2, 2]].flatMap((pair, t) =>
    pair.flatMap((e) => {
      const part = (w: mx.NDArray | undefined, y: mx.NDArray) => y.matmul((w ?? y).index(e).T), own = x.index(t);
      const g = part(gate, own), h = g.multiply(g.sigmoid()).multiply(part(up, own));
      return numbers(part(down, h));
    })
  );
  assertClose(layer.forward(x, chosen), expected, 1e-3);
});
Deno.test("quantized experts and stacked ones", () => {
  const layer = new SwitchLinear(64, 8, 3),
    x = mx.random.normal([2, 1, 1, 64]),
    chosen = mx.array([[0, 2], [1, 1]], mx.uint32);
  const packed = layer.toQuantized({ groupSize: 32, bits: 8 });
  assertClose(packed.forward(x, chosen), numbers(layer.forward(x, chosen)), 0.05);
  const one = mx.ones([2, 2]),
    named = new Map([["m.experts.1.w1.weight", one], ["m.experts.0.w1.weight", mx.zeros([2, 2])]]);
  const stacked = stackedExperts(new Map([...named, ["n.weight", one]]), { w1: "gate_proj" });
  assertEquals([...stacked.keys()], ["n.weight", "m.switch_mlp.gate_proj.weight"]);
  assertEquals(numbers(stacked.get("m.switch_mlp.gate_proj.weight") ?? one), [0, 0, 0, 0, 1, 1, 1, 1]);
  const lost = new Map([["m.experts.1.w1.weight", one]]);
  assertThrows(() => stackedExperts(lost), mx.CheckpointError, "got none of expert 0");
});
/** The names and shapes that a type makes of arrays [2, 3] with other names. */
function renamed(type: string, names: readonly string[]): string[] {
  const x = mx.arange(6).reshape([2, 3]),
    own = tinyModel(OTHERS[type]).sanitize(new Map(names.map((name) => [name, x])));
  return [...own].map(([name, y]) => `${name} ${y.shape}`);
}
Deno.test("foreign names of weights become the model's", () => {
  assertEquals(
    renamed("gpt2", ["h.0.attn.bias", "h.0.attn.c_attn.weight", "model.h.0.mlp.c_fc.weight", "wte.weight"]),
    [
      "model.h.0.attn.c_attn.weight 3,2",
      "model.h.0.mlp.c_fc.weight 2,3",
      "model.wte.weight 2,3",
    ],
  );
  const neox = ["gpt_neox.layers.0.attention.masked_bias", "gpt_neox.layers.0.mlp.a", "embed_out.weight"];
  assertEquals(renamed("gpt_neox", neox), ["model.h.0.mlp.a 2,3", "model.embed_out.weight 2,3"]);
  const gemma = ["vision_tower.a", "multi_modal_projector.b", "language_model.model.norm.weight"];
  assertEquals(renamed("gemma3", gemma), ["language_model.model.norm.weight 2,3"]);
  const packed = ["model.layers.0.mlp.experts.gate_up_proj_blocks", "model.layers.0.mlp.experts.gate_up_proj_bias"];
  const bytes = new Map([[packed[0] ?? "", mx.zeros([3, 4, 2, 16], mx.uint8)], [packed[1] ?? "", mx.zeros([3, 4])]]);
  assertEquals([...tinyModel(OTHERS.gpt_oss).sanitize(bytes)].map(([name, y]) => `${name} ${y.dtype} ${y.shape}`), [
    "model.layers.0.mlp.experts.gate_proj.weight uint32 3,2,8",
    "model.layers.0.mlp.experts.up_proj.weight uint32 3,2,8",
    "model.layers.0.mlp.experts.gate_proj.bias float32 3,2",
    "model.layers.0.mlp.experts.up_proj.bias float32 3,2",
  ]);
  assertEquals(renamed("minicpm", ["model.embed_tokens.weight"]), [
    "model.embed_tokens.weight 2,3",
    "lm_head.weight 2,3",
  ]);
});
Deno.test("foreign names: parts for images and for further tokens are dropped, experts stacked", () => {
  const second = renamed("dots1", [0, 1].map((e) => `model.layers.1.mlp.experts.${e}.up_proj.weight`));
  assertEquals(second, ["model.layers.1.mlp.experts.up_proj.weight 2,2,3"]);
  assertEquals(renamed("gptj", ["transformer.h.0.attn.bias", "transformer.wte.weight"]), ["model.wte.weight 2,3"]);
  const further = ["model.layers.2.eh_proj.weight", "model.mtp_layers.0.a", "model.mtp_block.0.a", "model.norm.weight"];
  for (const [type, i] of [["glm4_moe", 0], ["mimo", 1], ["ernie4_5_moe", 2]] as const) {
    assertEquals(renamed(type, [further[i]!, further[3]!]), ["model.norm.weight 2,3"], type);
  }
  const text = ["visual.a", "model.visual.a", "model.language_model.norm.weight", "lm_head.weight"];
  assertEquals(renamed("qwen3_vl", text), [
    "language_model.model.norm.weight 2,3",
    "language_model.lm_head.weight 2,3",
  ]);
  assertEquals(renamed("qwen2_vl", ["model.norm.weight"]), ["language_model.model.norm.weight 2,3"]);
  assertEquals(renamed("mistral3", ["vision_tower.a", "language_model.model.norm.weight"]), [
    "language_model.model.norm.weight 2,3",
  ]);
  const stacked = ["gate_up_proj", "down_proj"].map((part) => `model.language_model.layers.0.mlp.experts.${part}`);
  const split = tinyModel(OTHERS.qwen3_5_moe).sanitize(new Map(stacked.map((name) => [name, mx.zeros([3, 4, 2])])));
  assertEquals([...split].map(([name, y]) => `${name.split(".").slice(-2).join(".")} ${y.shape}`), [
    "gate_proj.weight 3,2,2",
    "up_proj.weight 3,2,2",
    "down_proj.weight 3,4,2",
  ]);
  // Kernels in the other order tell an original file, whose norms are distances from one.
  const norm = mx.zeros([4]),
    original = (kernel: mx.NDArray) =>
      new Map([["model.layers.0.linear_attn.conv1d.weight", kernel], ["model.norm.weight", norm], ["mtp.a", norm]]);
  const normOf = (kernel: mx.NDArray) =>
    numbers([...tinyModel(OTHERS.qwen3_5).sanitize(original(kernel)).values()][1] ?? norm);
  assertEquals([normOf(mx.zeros([4, 1, 3])), normOf(mx.zeros([4, 3, 1]))], [[1, 1, 1, 1], [0, 0, 0, 0]]);
  const shared = ["in", "out"].map((part) => `model.layers.0.shared_mlp.${part}put_linear.weight`);
  const alone = tinyModel({ ...OTHERS.granitemoehybrid, num_local_experts: 0 });
  assertEquals([...alone.sanitize(new Map(shared.map((name) => [name, mx.zeros([4, 3])])))].map(([name]) => name), [
    "model.layers.0.mlp.gate_proj.weight",
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
  ]);
  assertEquals(renamed("nemotron_h", ["mtp.a", "backbone.layers.1.mixer.experts.0.up_proj.weight"]), [
    "backbone.layers.1.mixer.switch_mlp.fc1.weight 1,2,3",
  ]);
  const dense = ["model.layers.0.feed_forward.w1.weight", "model.layers.1.feed_forward.experts.0.w2.weight"];
  assertEquals(renamed("lfm2_moe", dense), [
    "model.layers.0.feed_forward.gate_proj.weight 2,3",
    "model.layers.1.feed_forward.switch_mlp.down_proj.weight 1,2,3",
  ]);
});

Deno.test("weights of other tools for DeepSeek V3", () => {
  const model = tinyModel(OTHERS.deepseek_v3), attention = "model.layers.0.self_attn";
  const w = mx.random.normal([4 * 32, 32]), names = (own: Map<string, mx.NDArray>) => [...own.keys()];
  const own = model.sanitize(new Map([[`${attention}.kv_b_proj.weight`, w], ["model.layers.2.a", w]]));
  assertEquals(names(own), [`${attention}.embed_q.weight`, `${attention}.unembed_out.weight`]);
  const heads = w.reshape([4, 32, 32]), keys = heads.index(mx.slice(null), mx.slice(0, 16)).swapaxes(1, 2);
  assertEquals(numbers(own.get(`${attention}.embed_q.weight`) ?? w), numbers(keys));
  const fp8 = model.sanitize(
    new Map([["a.weight", mx.toFp8(mx.ones([130, 4]))], ["a.weight_scale_inv", mx.array([[2], [3]])]]),
  );
  assertEquals(numbers(fp8.get("a.weight") ?? w), [...new Array(128 * 4).fill(2), ...new Array(8).fill(3)]);
  const words = mx.zeros([2, 4], mx.int32), scale = mx.ones([2, 1]);
  const int4 = model.sanitize(
    new Map([["a.weight_packed", words], ["a.weight_scale", scale], ["a.weight_shape", scale]]),
  );
  assertEquals([...int4].map(([name, x]) => `${name} ${x.dtype}`), [
    "a.weight uint32",
    "a.scales float32",
    "a.biases float32",
  ]);
});

Deno.test("a batch of two gives what both give alone", () => {
  const model = tinyModel(), a = someIds(6), b = someIds(6, 11), both = model.forward(mx.array([a, b], mx.int32));
  assertClose(both, [...numbers(model.forward(row(a))), ...numbers(model.forward(row(b)))], 1e-4);
});
Deno.test("layers with a window see its tokens only, with and without a cache", () => {
  const types = { layer_types: ["sliding_attention", "full_attention"], sliding_window: 4 };
  const model = tinyModel(tinyConfig("llama", types)), ids = someIds(19), whole = numbers(model.forward(row(ids)));
  const cache = makePromptCache(model);
  assertEquals(cache.map((c) => c.constructor.name), ["RotatingKVCache", "KVCache"]);
  const parts = [
    model.forward(row(ids.slice(0, 9)), { cache }),
    ...ids.slice(9).map((id) => model.forward(row([id]), { cache })),
  ];
  assertClose(mx.concatenate(parts, 1), whole, 1e-4);
  const unlimited = tinyModel(tinyConfig());
  assert(
    numbers(unlimited.forward(row(ids))).some((x, i) => Math.abs(x - (whole[i] ?? 0)) > 0.01),
    "the window matters",
  );
});
Deno.test("SmolLM 3 has plain caches, which rotate where a size is asked for", () => {
  const sliding = { layer_types: ["sliding_attention", "full_attention"], sliding_window: 4 };
  const model = tinyModel(tinyConfig("smollm3", sliding)),
    kinds = (maxKvSize: number | null) => makePromptCache(model, { maxKvSize }).map((c) => c.constructor.name);
  assertEquals([kinds(null), kinds(9)], [["KVCache", "KVCache"], ["RotatingKVCache", "RotatingKVCache"]]);
});
Deno.test("LFM 2 takes the base of its positions from rope_parameters first", () => {
  const model = (fields: JsonRecord) => tinyModel({ ...OTHERS.lfm2, ...fields });
  const logits = (fields: JsonRecord) => numbers(model(fields).forward(row(someIds(9))));
  const nested = logits({ rope_theta: 1e4, rope_parameters: { rope_theta: 50, rope_type: "default" } });
  assertEquals(nested, logits({ rope_theta: 50 }));
  assert(logits({ rope_theta: 1e4 }).some((x, i) => Math.abs(x - nested[i]!) > 1e-3), "the base matters");
});
Deno.test("given embeddings take the place of the tokens' own", () => {
  const model = tinyModel(tinyConfig("llama", { tie_word_embeddings: true })), ids = someIds(5);
  const table = model.parameters().model;
  assert(table && !(table instanceof mx.NDArray) && !Array.isArray(table));
  const embed = table.embed_tokens;
  assert(embed && !(embed instanceof mx.NDArray) && !Array.isArray(embed) && embed.weight instanceof mx.NDArray);
  const inputEmbeddings = embed.weight.index(row(ids));
  assertClose(model.forward(row([0]), { inputEmbeddings }), numbers(model.forward(row(ids))), 1e-5);
});
Deno.test("sanitize drops what the model does not use", () => {
  const model = tinyModel(tinyConfig("llama", { tie_word_embeddings: true })), x = mx.zeros([1]);
  const given = new Map([["a", x], ["lm_head.weight", x], ["model.layers.0.self_attn.rotary_emb.inv_freq", x]]);
  assertEquals([...model.sanitize(given).keys()], ["a"]);
  assertEquals([...tinyModel().sanitize(given).keys()], ["a", "lm_head.weight"]);
  const quantizedHead = new Map([["a", x], ["lm_head.weight", x], ["lm_head.scales", x], ["lm_head.biases", x]]);
  const helium = tinyModel(tinyConfig("helium", { ...OTHERS.helium, tie_word_embeddings: true }));
  assertEquals([...helium.sanitize(quantizedHead).keys()], ["a"]);
});

Deno.test("an unknown type is an error that names those we have", () => {
  assert(modelTypes.includes("llama") && modelTypes.includes("mistral"));
  const error = assertThrows(() => makeModel(new Config(tinyConfig("bert"))), mx.CheckpointError);
  assertEquals(
    error.message,
    `[load] cannot build a model of the type bert: expected one of ${modelTypes.join(", ")}, got bert. ` +
      "Fix: take a model of one of these types",
  );
});
Deno.test("wrong fields of the config are errors that name them", () => {
  const refuses = (more: JsonRecord, text: string, type = "llama") => {
    const error = assertThrows(() => makeModel(new Config(tinyConfig(type, more))), mx.CheckpointError);
    assertEquals(error.message, `[load] cannot use ${text}. Fix: correct the field, or fetch the model again`);
  };
  refuses({ hidden_size: "64" }, 'hidden_size of config.json: expected a positive integer, got "64"');
  refuses({ hidden_size: null }, "hidden_size of config.json: expected a positive integer, got nothing");
  refuses({ num_hidden_layers: 1.5 }, "num_hidden_layers of config.json: expected a positive integer, got 1.5");
  refuses({ layer_types: ["full_attention"] }, "layer_types of config.json: expected 2 entries, got 1");
  refuses({ rope_theta: null }, "rope_theta of config.json: expected a number, got nothing", "qwen3");
  refuses(
    { rope_scaling: { rope_type: "linear" } },
    "factor of rope_scaling of config.json: expected a number, got nothing",
  );
  const types = "default, linear, dynamic, llama3, yarn, longrope, proportional or mrope";
  refuses(
    { rope_scaling: { type: "spiral" } },
    `rope_type of rope_scaling of config.json: expected ${types}, got spiral`,
  );
});

/** What a rotation makes of ones: its angles show in it. */
function rotated(scaling: JsonRecord | null, offset: number | mx.NDArray, maxPositions = 64): number[] {
  const rope = initializeRope({ dims: 8, base: 100, scaling: scaling && new Config(scaling), maxPositions });
  return numbers(rope.forward(mx.ones([1, 1, 3, 8]), { offset }));
}
/** The same by the definition, with given periods. */
function turned(periods: readonly number[], offset: number, scale = 1): number[] {
  return [0, 1, 2].flatMap((t) =>
    Array.from({ length: 8 }, (_, i) => {
      const angle = (offset + t) / (periods[i % 4] ?? 1);
      return scale * (Math.cos(angle) + (i < 4 ? -1 : 1) * Math.sin(angle));
    })
  );
}
const PLAIN = [0, 1, 2, 3].map((i) => 100 ** (i / 4));
const SCALINGS: readonly (readonly [string, JsonRecord | null, readonly number[], number])[] = [
  ["default", null, PLAIN, 1],
  ["linear", { type: "linear", factor: 4 }, PLAIN.map((p) => 4 * p), 1],
  ["mrope", { rope_type: "mrope", mrope_section: [1, 1, 2] }, PLAIN, 1],
  [
    "llama3",
    { rope_type: "llama3", factor: 2, original_max_position_embeddings: 40 },
    (() => {
      const smooth = (40 / (2 * Math.PI * (PLAIN[1] ?? 0)) - 1) / 3;
      return [PLAIN[0] ?? 0, (PLAIN[1] ?? 0) / ((1 - smooth) / 2 + smooth), 2 * (PLAIN[2] ?? 0), 2 * (PLAIN[3] ?? 0)];
    })(),
    1,
  ],
  [
    "longrope",
    {
      type: "longrope",
      original_max_position_embeddings: 16,
      short_factor: 1,
      long_factor: [1, 2, 3, 4],
    },
    PLAIN.map((p, i) => p * (i + 1)),
    Math.sqrt(1.5),
  ],
  ["proportional", { type: "proportional", partial_rotary_factor: 0.5, factor: 3 }, [
    3,
    3 * 100 ** 0.25,
    Infinity,
    Infinity,
  ], 1],
];
for (const [name, scaling, periods, scale] of SCALINGS) {
  Deno.test(`rope ${name}: angles by the definition, from numbers and arrays`, () => {
    for (const offset of [0, 21]) {
      const expected = turned(periods, offset, scale);
      for (const given of [offset, mx.array(offset, mx.int32)]) {
        rotated(scaling, given).forEach((x, i) => assert(Math.abs(x - (expected[i] ?? NaN)) < 2e-5, `${i}: ${x}`));
      }
    }
  });
}
Deno.test("rope dynamic: the base grows with the text, the same from numbers and arrays", () => {
  const scaling = { type: "dynamic", factor: 2 };
  const base = 100 * (2 * 73 / 64 - 1) ** (8 / 6), expected = turned([0, 1, 2, 3].map((i) => base ** (i / 4)), 70);
  for (const offset of [70, mx.array(70, mx.int32)]) {
    rotated(scaling, offset).forEach((x, i) => assert(Math.abs(x - (expected[i] ?? NaN)) < 2e-5, `${i}: ${x}`));
  }
  assertEquals(rotated(scaling, 3), rotated(null, 3));
});
