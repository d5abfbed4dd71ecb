/**
 * The nets of `train.py`, with the same names of parameters.
 * @module
 */
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import * as optim from "../../optimizers/mod.ts";

type NDArray = mx.NDArray;
/** Arrays by name. */
export type Data = Readonly<Record<string, NDArray>>;
/** A net and how it is trained. */
export interface Subject {
  readonly model: nn.Module;
  readonly optimizer: optim.Optimizer;
  /** Inputs and targets of step i. */
  readonly batch: (i: number) => [NDArray, NDArray];
  readonly loss: (x: NDArray, y: NDArray) => NDArray;
  /** The share of held-out data that is right. */
  readonly accuracy?: () => number;
}
const meanCrossEntropy = (logits: NDArray, y: NDArray) => nn.losses.crossEntropy(logits, y, { reduction: "mean" });

/** Two convolutions with pooling, two linear layers. */
class Digits extends nn.Module {
  conv1 = new nn.Conv2d(1, 32, 3, { padding: 1 });
  conv2 = new nn.Conv2d(32, 64, 3, { padding: 1 });
  fc1 = new nn.Linear(64 * 49, 128);
  fc2 = new nn.Linear(128, 10);
  readonly pool = new nn.MaxPool2d(2);
  forward(x: NDArray): NDArray {
    const first = this.pool.forward(nn.relu(this.conv1.forward(x)));
    const second = this.pool.forward(nn.relu(this.conv2.forward(first)));
    return this.fc2.forward(nn.relu(this.fc1.forward(second.flatten({ startAxis: 1 }))));
  }
}
function digits(data: Data): Subject {
  const model = new Digits(), { images, labels, order, test_images: held, test_labels: classes } = data;
  const scaled = (x: NDArray) => x.astype(mx.float32).div(255);
  return {
    model,
    optimizer: new optim.Adam(optim.cosineDecay(2e-3, order!.shape[0]!), { biasCorrection: true }),
    batch: (i) => {
      const rows = order!.index(i);
      return [scaled(images!.take(rows, 0)), labels!.take(rows).astype(mx.int32)];
    },
    loss: (x, y) => meanCrossEntropy(model.forward(x), y),
    accuracy: () => {
      const parts = mx.split(held!, held!.shape[0]! / 1000);
      const guess = parts.map((x) => {
        const part = mx.argmax(model.forward(scaled(x)), -1);
        mx.eval(part);
        return part;
      });
      return Number(mx.concatenate(guess).eq(classes!).astype(mx.float32).mean().item());
    },
  };
}

/** x + attention(norm x), then x + network(norm x). */
class Block extends nn.Module {
  norm1: nn.LayerNorm;
  norm2: nn.LayerNorm;
  qkv: nn.Linear;
  out: nn.Linear;
  up: nn.Linear;
  down: nn.Linear;
  constructor(d: number, readonly heads: number) {
    super();
    [this.norm1, this.norm2] = [new nn.LayerNorm(d), new nn.LayerNorm(d)];
    [this.qkv, this.out] = [new nn.Linear(d, 3 * d), new nn.Linear(d, d)];
    [this.up, this.down] = [new nn.Linear(d, 4 * d), new nn.Linear(4 * d, d)];
  }
  forward(x: NDArray): NDArray {
    const [batch, length, d] = [x.shape[0]!, x.shape[1]!, x.shape[2]!];
    const qkv = this.qkv.forward(this.norm1.forward(x)).reshape([batch, length, 3, this.heads, d / this.heads]);
    const [q, k, v] = mx.unstack(qkv.transpose([2, 0, 3, 1, 4]));
    const y = mx.fast.scaledDotProductAttention(q!, k!, v!, { scale: (d / this.heads) ** -0.5, mask: "causal" });
    const seen = x.add(this.out.forward(y.transpose([0, 2, 1, 3]).reshape([batch, length, d])));
    return seen.add(this.down.forward(nn.gelu(this.up.forward(this.norm2.forward(seen)))));
  }
}
/** A language model over characters. */
class Transformer extends nn.Module {
  embedding = new nn.Embedding(96, 192);
  positions = new nn.Embedding(128, 192);
  blocks = Array.from({ length: 4 }, () => new Block(192, 6));
  norm = new nn.LayerNorm(192);
  head = new nn.Linear(192, 96);
  forward(tokens: NDArray): NDArray {
    const x = this.embedding.forward(tokens).add(this.positions.weight);
    return this.head.forward(this.norm.forward(this.blocks.reduce((y, block) => block.forward(y), x)));
  }
}
/** The same with a recurrent layer. */
class Recurrent extends nn.Module {
  embedding = new nn.Embedding(96, 64);
  lstm = new nn.LSTM(64, 256);
  head = new nn.Linear(256, 96);
  forward(tokens: NDArray): NDArray {
    return this.head.forward(this.lstm.forward(this.embedding.forward(tokens))[0]);
  }
}
function text(model: Transformer | Recurrent, length: number, { tokens, starts }: Data): Subject {
  const places = mx.arange(length + 1, { dtype: mx.int32 });
  return {
    model,
    optimizer: new optim.AdamW(1e-3, { weightDecay: 0.01, biasCorrection: true }),
    batch: (i) => {
      const rows = tokens!.take(starts!.index(i).expandDims(-1).add(places)).astype(mx.int32);
      return [rows.index("..., :-1"), rows.index("..., 1:")];
    },
    loss: (x, y) => meanCrossEntropy(model.forward(x), y),
  };
}

/** The works by name; the same names as in `train.py`. */
export const subjects: Readonly<Record<string, (data: Data) => Subject>> = {
  mnist: digits,
  transformer: (data) => text(new Transformer(), 128, data),
  lstm: (data) => text(new Recurrent(), 64, data),
};
