/**
 * Small models with random weights: as objects, as folders, and computed a second time in plain float64.
 * @module
 */
import * as mx from "../../core/mod.ts";
import type { JsonRecord } from "../../core/io/json.ts";
import { Config, type LanguageModel, makeModel } from "../../lm/mod.ts";
import { flattenParameters } from "../../nn/mod.ts";
import { recordedTokenizers } from "./recorded.ts";

/** A tokenizer with a chat template, and the number of its tokens. */
export const { bytelevel: tokenizerFiles } = recordedTokenizers();
const VOCABULARY = tokenizerFiles?.size ?? 0;

/** A config of two layers, with other values for some fields. */
export function tinyConfig(type = "llama", more: JsonRecord = {}): JsonRecord {
  return {
    model_type: type,
    hidden_size: 64,
    num_hidden_layers: 2,
    intermediate_size: 96,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    rms_norm_eps: 0.01,
    vocab_size: VOCABULARY,
    max_position_embeddings: 512,
    rope_theta: 100,
    tie_word_embeddings: false,
    ...more,
  };
}
/** The model of a config; always the same weights. */
export function tinyModel(config: JsonRecord = tinyConfig()): LanguageModel {
  mx.random.seed(7);
  const model = makeModel(new Config(config));
  // Weights of size 1/√n give nearly uniform logits; larger ones make tokens differ. Norms and biases vary around 1.
  const drawn = (x: mx.NDArray): mx.NDArray =>
    x.ndim === 2
      ? mx.random.normal(x.shape, { scale: 2 / Math.sqrt(x.shape[1] ?? 1) })
      : mx.random.uniform(x.shape).add(0.5);
  model.apply(drawn);
  mx.eval(model.parameters());
  return model;
}
/** Tokens [1, n] of ids. */
export function row(ids: readonly number[]): mx.NDArray {
  return mx.array(Int32Array.from(ids)).reshape([1, ids.length]);
}
/** Ids that do not repeat soon. */
export function someIds(n: number, step = 37): number[] {
  return Array.from({ length: n }, (_, i) => (i * step + 5) % VOCABULARY);
}
/** Writes a whole model's folder. */
export async function writeModel(folder: string, model: LanguageModel, config: JsonRecord): Promise<void> {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(tokenizerFiles?.tokenizer));
  await Deno.writeTextFile(`${folder}/tokenizer_config.json`, JSON.stringify(tokenizerFiles?.config));
  await model.saveWeights(`${folder}/model.safetensors`);
}
/** Runs with a temporary folder. */
export async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

type Vector = readonly number[];
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

/** Logits of a text by plain loops over numbers: no cache, no arrays, one position after the other. */
export class PlainModel {
  readonly #weights = new Map<string, Vector[]>();
  constructor(model: LanguageModel, private readonly c: { readonly [key: string]: unknown }) {
    for (const [name, x] of flattenParameters(model.parameters())) {
      const data = Array.from(x.astype(mx.float32).dataSync(), Number), width = x.shape.at(-1) ?? 1;
      this.#weights.set(
        name,
        Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width)),
      );
    }
  }
  #number(name: string): number {
    return Number(this.c[name]);
  }
  #linear(name: string, x: Vector): number[] {
    const bias = this.#weights.get(`${name}.bias`)?.[0];
    return (this.#weights.get(`${name}.weight`) ?? []).map((w, i) => dot(w, x) + (bias?.[i] ?? 0));
  }
  #norm(name: string, x: Vector): Vector {
    const weight = this.#weights.get(`${name}.weight`)?.[0];
    if (!weight) return x;
    const size = Math.sqrt(dot(x, x) / x.length + this.#number("rms_norm_eps"));
    return x.map((v, i) => v / size * (weight[i] ?? 0));
  }
  #turn(x: Vector, position: number): Vector {
    const half = x.length / 2;
    return x.map((v, i) => {
      const angle = position / this.#number("rope_theta") ** (2 * (i % half) / x.length);
      const other = x[(i + half) % x.length] ?? 0;
      return v * Math.cos(angle) + (i < half ? -other : other) * Math.sin(angle);
    });
  }
  #heads(name: string, x: Vector, count: number): Vector[] {
    const y = this.#linear(name, x), size = y.length / count;
    return Array.from({ length: count }, (_, h) => y.slice(h * size, (h + 1) * size));
  }
  #attention(path: string, xs: readonly Vector[]): Vector[] {
    const [heads, shared] = [this.#number("num_attention_heads"), this.#number("num_key_value_heads")];
    const turned = (part: string, count: number) =>
      xs.map((x, t) =>
        this.#heads(`${path}.${part}_proj`, x, count).map((h) => this.#turn(this.#norm(`${path}.${part}_norm`, h), t))
      );
    const queries = turned("q", heads), keys = turned("k", shared);
    const values = xs.map((x) => this.#heads(`${path}.v_proj`, x, shared));
    return queries.map((position, t) => {
      const out = position.flatMap((q, h) => {
        const g = Math.floor(h * shared / heads), seen = Array.from({ length: t + 1 }, (_, s) => s);
        const weights = seen.map((s) => Math.exp(dot(q, keys[s]?.[g] ?? []) / Math.sqrt(q.length)));
        const total = weights.reduce((a, b) => a + b, 0);
        return q.map((_, i) =>
          seen.reduce((sum, s) => sum + (weights[s] ?? 0) * (values[s]?.[g]?.[i] ?? 0), 0) / total
        );
      });
      return this.#linear(`${path}.o_proj`, out);
    });
  }
  #mlp(path: string, x: Vector): Vector {
    const gate = this.#linear(`${path}.gate_proj`, x), up = this.#linear(`${path}.up_proj`, x);
    return this.#linear(`${path}.down_proj`, gate.map((g, i) => g / (1 + Math.exp(-g)) * (up[i] ?? 0)));
  }
  /** Logits of all positions, [n][vocabulary]. */
  logits(ids: readonly number[]): number[][] {
    const add = (a: Vector, b: Vector | undefined): Vector => a.map((x, i) => x + (b?.[i] ?? 0));
    let xs: Vector[] = ids.map((id) => this.#weights.get("model.embed_tokens.weight")?.[id] ?? []);
    for (let i = 0; i < this.#number("num_hidden_layers"); i++) {
      const path = `model.layers.${i}`;
      const attended = this.#attention(`${path}.self_attn`, xs.map((x) => this.#norm(`${path}.input_layernorm`, x)));
      xs = xs.map((x, t) => add(x, attended[t]));
      xs = xs.map((x) => add(x, this.#mlp(`${path}.mlp`, this.#norm(`${path}.post_attention_layernorm`, x))));
    }
    const head = this.#weights.has("lm_head.weight") ? "lm_head" : "model.embed_tokens";
    return xs.map((x) => this.#linear(head, this.#norm("model.norm", x)));
  }
}
