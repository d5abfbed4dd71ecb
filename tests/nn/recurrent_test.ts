/**
 * Recurrent layers have a derivative of their own; here it is held against that of their formulas, step by step.
 * @module
 */
import { assertEquals, assertLess, assertThrows } from "@std/assert";
import * as mx from "../../core/mod.ts";
import * as nn from "../../nn/mod.ts";

type NDArray = mx.NDArray;
const SIZE = 4;
/** The states of a layer by its formula: x [N, L, D], the first state (zeros if absent). */
type Formula<M> = (m: M, x: NDArray, h: NDArray | null) => NDArray;

/** Runs a cell over the steps. */
function stepped(x: NDArray, h: NDArray | null, cell: (x: NDArray, h: NDArray) => NDArray): NDArray {
  let state = h ?? mx.zeros([x.shape[0]!, SIZE]);
  return mx.stack(mx.unstack(x, 1).map((now) => state = cell(now, state)), 1);
}
const rnn: Formula<nn.RNN> = (m, x, h) =>
  stepped(x, h, (now, h) => mx.tanh(now.matmul(m.Wxh.T).add(m.bias ?? 0).add(h.matmul(m.Whh.T))));
const gru: Formula<nn.GRU> = (m, x, h) =>
  stepped(x, h, (now, h) => {
    const [xr, xz, xn] = mx.split(now.matmul(m.Wx.T).add(m.b ?? 0), 3, -1);
    const [hr, hz, hn] = mx.split(h.matmul(m.Wh.T), 3, -1);
    const [r, z] = [mx.sigmoid(xr!.add(hr!)), mx.sigmoid(xz!.add(hz!))];
    const n = mx.tanh(xn!.add(r.mul(hn!.add(m.bhn ?? 0))));
    return mx.subtract(1, z).mul(n).add(z.mul(h));
  });
const lstm: Formula<nn.LSTM> = (m, x, h) => {
  let c = mx.zeros([x.shape[0]!, SIZE]);
  return stepped(x, h, (now, h) => {
    const [i, f, g, o] = mx.split(now.matmul(m.Wx.T).add(h.matmul(m.Wh.T)).add(m.bias ?? 0), 4, -1);
    c = mx.sigmoid(f!).mul(c).add(mx.sigmoid(i!).mul(mx.tanh(g!)));
    return mx.sigmoid(o!).mul(mx.tanh(c));
  });
};

/** Value and gradients by parameters, input and state must be those of the formula. */
function agree<M extends nn.Module>(layer: M, run: (x: NDArray, h: NDArray | null) => NDArray, formula: Formula<M>) {
  const x = mx.random.normal([3, 5, 2]), weight = mx.random.normal([3, 5, SIZE]);
  for (const h of [null, mx.random.normal([3, SIZE])]) {
    const of = (f: (x: NDArray, h: NDArray | null) => NDArray) => {
      const loss = (tree: { x: NDArray; h?: NDArray }) => f(tree.x, tree.h ?? null).mul(weight).sum();
      const tree = h ? { x, h } : { x };
      const [value, parameters] = nn.valueAndGrad(layer, () => loss(tree))();
      // Along a direction also the second derivative, which goes through the rule itself.
      const first = mx.grad(loss), twice = mx.grad((t: { x: NDArray; h?: NDArray }) => first(t).x.square().sum());
      return mx.treeFlatten<NDArray>({ value, parameters, inputs: first(tree), twice: twice(tree) });
    };
    const [ours, plain] = [of(run), of((x, h) => formula(layer, x, h))];
    ours.forEach(([path, a], i) => assertLess(Number(mx.abs(a.sub(plain[i]![1])).max().item()), 2e-5, path));
  }
}

for (const bias of [true, false]) {
  Deno.test(`the derivatives of recurrent layers are those of their formulas, ${bias ? "with" : "without"} biases`, () => {
    mx.random.seed(3);
    const a = new nn.RNN(2, SIZE, { bias }), b = new nn.GRU(2, SIZE, { bias }), c = new nn.LSTM(2, SIZE, { bias });
    agree(a, (x, h) => a.forward(x, h), rnn);
    agree(b, (x, h) => b.forward(x, h), gru);
    agree(c, (x, h) => c.forward(x, h)[0], lstm);
  });
}
Deno.test("gradients have the dtypes of what they are by, also where inputs and weights differ", () => {
  const x = mx.random.normal([2, 3, 4]), h = mx.random.normal([2, SIZE], { dtype: mx.float16 });
  for (const layer of [new nn.RNN(4, SIZE), new nn.GRU(4, SIZE), new nn.LSTM(4, SIZE)]) {
    layer.setDtype(mx.bfloat16);
    const states = (y: NDArray | NDArray[]): NDArray => mx.concatenate([y].flat());
    const loss = (x: NDArray, h: NDArray): NDArray => states(layer.forward(x, h)).sum();
    const [, parameters] = nn.valueAndGrad(layer, () => loss(x, h))();
    for (const [path, g] of mx.treeFlatten<NDArray>(parameters)) assertEquals(g.dtype, mx.bfloat16, path);
    assertEquals(mx.grad(loss, [0, 1])(x, h).map((g) => g.dtype), [mx.float32, mx.float16]);
  }
});
Deno.test("an empty batch has a gradient, a sequence without steps is refused", () => {
  for (const layer of [new nn.RNN(4, SIZE), new nn.GRU(4, SIZE), new nn.LSTM(4, SIZE)]) {
    const loss = (x: NDArray): NDArray => mx.concatenate([layer.forward(x)].flat()).sum();
    assertEquals([...mx.grad(loss)(mx.ones([0, 3, 4])).shape], [0, 3, 4]);
    assertThrows(() => layer.forward(mx.ones([2, 0, 4])), mx.ShapeError, `[nn.${layer.constructor.name}] cannot run`);
    assertThrows(() => layer.forward(mx.ones([4])), mx.ShapeError, "got 1 axes");
  }
});
Deno.test("a nonlinearity may capture parameters", () => {
  const layer = new nn.RNN(2, SIZE, { nonlinearity: (x) => x.mul(slope) }), x = mx.ones([1, 3, 2]);
  let slope = mx.array(0.5);
  const gradient = mx.grad((s: NDArray) => {
    slope = s;
    return layer.forward(x).sum();
  })(mx.array(0.5));
  assertLess(0, Math.abs(Number(gradient.item())));
});
Deno.test("recurrent layers batch", () => {
  const layer = new nn.LSTM(2, SIZE), x = mx.random.normal([3, 5, 2]);
  const each = mx.vmap((x: NDArray) => layer.forward(x)[0])(x), all = layer.forward(x)[0];
  assertLess(Number(mx.abs(each.sub(all)).max().item()), 1e-6);
});
