/**
 * What the models of Liquid share: attention, gated short convolutions, and which layers have which.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Conv1d, Linear, Module, RMSNorm, RoPE } from "../nn/mod.ts";
import { type ArraysCache, withHistory } from "./arrays_cache.ts";
import { fetched, scaledDotProductAttention } from "./attention.ts";
import { byHeads, headSizes, joined } from "./blocks.ts";
import type { Cache } from "./cache.ts";
import type { Config } from "./config.ts";
import type { Mask } from "./mask.ts";
import type { Projection } from "./model.ts";
import type { Rope } from "./rope.ts";

/** Attention with norms of each head's queries and keys. */
export class LfmAttention extends Module {
  readonly heads: number;
  readonly kvHeads: number;
  q_layernorm: RMSNorm;
  k_layernorm: RMSNorm;
  q_proj: Projection;
  k_proj: Projection;
  v_proj: Projection;
  out_proj: Projection;
  readonly rope: Rope;
  constructor(c: Config) {
    super();
    const { hidden, heads, kvHeads } = headSizes(c), size = Math.floor(hidden / heads), bias = false;
    [this.heads, this.kvHeads] = [heads, kvHeads];
    this.q_layernorm = new RMSNorm(size, { eps: c.number("norm_eps") });
    this.k_layernorm = new RMSNorm(size, { eps: c.number("norm_eps") });
    this.q_proj = new Linear(hidden, heads * size, { bias });
    this.k_proj = new Linear(hidden, kvHeads * size, { bias });
    this.v_proj = new Linear(hidden, kvHeads * size, { bias });
    this.out_proj = new Linear(heads * size, hidden, { bias });
    // Here the nested field has precedence.
    const nested = c.object("rope_parameters", null)?.number("rope_theta", null) ?? null;
    this.rope = new RoPE(size, { base: nested ?? c.number("rope_theta", 1_000_000) });
  }
  forward(x: NDArray, mask: Mask, cache: Cache | null): NDArray {
    const offset = cache?.position() ?? 0, turned = (y: NDArray) => this.rope.forward(y, { offset });
    const queries = turned(this.q_layernorm.forward(byHeads(this.q_proj.forward(x), this.heads)));
    const keys = turned(this.k_layernorm.forward(byHeads(this.k_proj.forward(x), this.kvHeads)));
    const seen = fetched(keys, byHeads(this.v_proj.forward(x), this.kvHeads), cache);
    return this.out_proj.forward(
      joined(scaledDotProductAttention(queries, seen, { scale: queries.shape[3]! ** -0.5, mask })),
    );
  }
}
/** `out(c * conv(b * x))` for b, c and x made of the input. */
export class ShortConv extends Module {
  readonly kernel: number;
  conv: Conv1d;
  in_proj: Projection;
  out_proj: Projection;
  constructor(c: Config) {
    super();
    const dim = c.size("hidden_size"), bias = c.flag("conv_bias");
    this.kernel = c.size("conv_L_cache");
    this.conv = new Conv1d(dim, dim, this.kernel, { groups: dim, bias });
    this.in_proj = new Linear(dim, 3 * dim, { bias });
    this.out_proj = new Linear(dim, dim, { bias });
  }
  forward(x: NDArray, cache: ArraysCache | null): NDArray {
    const [b, c, y] = mx.split(this.in_proj.forward(x), 3, -1), all = withHistory(b!.multiply(y!), this.kernel, cache);
    cache?.advance(x.shape[1]!);
    return this.out_proj.forward(c!.multiply(this.conv.forward(all)));
  }
}
/** Whether layer number i attends, by `full_attn_idxs` or `layer_types`. */
export function attendsAt(c: Config): (i: number) => boolean {
  const indices = c.numbers("full_attn_idxs", null), types = c.texts("layer_types", null);
  return (i) => indices ? indices.includes(i) : types?.[i] === "full_attention";
}
