/**
 * The mixture of experts of Granite's models, and how their files hold it.
 * @module
 */
import * as mx from "../core/mod.ts";
import type { NDArray } from "../core/mod.ts";
import { Linear, Module } from "../nn/mod.ts";
import type { Config } from "./config.ts";
import type { Projection, Weights } from "./model.ts";
import { SwitchGLU, topIndices, weighted } from "./moe.ts";

class TopKGating extends Module {
  layer: Projection;
  constructor(hidden: number, experts: number, readonly chosen: number) {
    super();
    this.layer = new Linear(hidden, experts, { bias: false });
  }
  /** The experts of each token, and their scores, which add up to one. */
  forward(x: NDArray): [indices: NDArray, scores: NDArray] {
    const logits = this.layer.forward(x), indices = topIndices(logits, this.chosen);
    return [indices, mx.softmax(mx.takeAlongAxis(logits, indices, -1).astype(mx.float32), -1)];
  }
}
/** `block_sparse_moe` of a layer. */
export class SparseMoe extends Module {
  switch_mlp: SwitchGLU;
  router: TopKGating;
  constructor(c: Config) {
    super();
    const hidden = c.size("hidden_size"), experts = c.size("num_local_experts");
    this.switch_mlp = new SwitchGLU(hidden, c.size("intermediate_size"), experts);
    this.router = new TopKGating(hidden, experts, c.size("num_experts_per_tok"));
  }
  forward(x: NDArray): NDArray {
    const [indices, scores] = this.router.forward(x);
    return weighted(this.switch_mlp.forward(x, indices), scores);
  }
}

/** The original files have gate and up projection of all experts in one array. */
export function withSplitExperts(weights: Weights): Weights {
  const own: Weights = new Map();
  for (const [name, x] of weights) {
    if (name.endsWith("block_sparse_moe.input_linear.weight")) {
      const [gate, up] = mx.split(x, 2, 1);
      own.set(name.replace("input_linear", "switch_mlp.gate_proj"), gate!);
      own.set(name.replace("input_linear", "switch_mlp.up_proj"), up!);
    } else own.set(name.replace("block_sparse_moe.output_linear", "block_sparse_moe.switch_mlp.down_proj"), x);
  }
  return own;
}
