# The side of MLX in tests/interchange/main.ts: module trees and optimizers by name, their files, and the comparison with
# what came back. `peer.py save FOLDER` writes for each case the parameters that a seed gives, a model and an optimizer after
# one update, an output, and the parameters after a second update; `peer.py check FOLDER` loads what Denim saved.
import sys

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map, tree_unflatten


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 8)
        self.blocks = [{"norm": nn.RMSNorm(8), "mlp": nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))} for _ in range(2)]
        self.scale = mx.ones([8])

    def __call__(self, x):
        y = self.embed(x)
        for block in self.blocks:
            y = y + block["mlp"](block["norm"](y))
        return y * self.scale


def quantized(layer, **options):
    return layer.to_quantized(**(options or {"group_size": 32, "bits": 4}))


def all_quantized(model):
    nn.quantize(model, 64, 8, class_predicate=lambda path, m: path == "layers.2")
    return model


def halved(model):
    model.set_dtype(mx.bfloat16)
    return model


def several(*optimizers):
    return optim.MultiOptimizer(list(optimizers), [lambda path, _: path.endswith("weight")])


def several_of(*optimizers):
    return optim.MultiOptimizer(list(optimizers), [lambda path, _: "attention" in path, lambda path, g: g.ndim == 1])


def floats(*shape):
    return mx.sin(mx.arange(mx.prod(mx.array(shape)).item(), dtype=mx.float32)).reshape(shape)


def tokens(*shape):
    return (mx.arange(mx.prod(mx.array(shape)).item()) * 3 % 7).reshape(shape).astype(mx.int32)


CASES = {
    "linear": (lambda: nn.Linear(8, 4), lambda: optim.SGD(0.1), lambda m: m(floats(3, 8))),
    "linear_without_bias": (lambda: nn.Linear(8, 4, bias=False), lambda: optim.SGD(0.1, momentum=0.9, nesterov=True, dampening=0), lambda m: m(floats(3, 8))),
    "bilinear": (lambda: nn.Bilinear(4, 5, 3), lambda: optim.Adam(0.01), lambda m: m(floats(2, 4), floats(2, 5))),
    "embedding": (lambda: nn.Embedding(7, 6), lambda: optim.AdamW(0.01, weight_decay=0.1), lambda m: m(tokens(2, 3))),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3), lambda: optim.Adagrad(0.01), lambda m: m(floats(2, 9, 4))),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), lambda: optim.RMSprop(0.01), lambda m: m(floats(2, 7, 6, 4))),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), lambda: optim.AdaDelta(0.5), lambda m: m(floats(1, 4, 4, 4, 2))),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), lambda: optim.Adamax(0.01), lambda m: m(floats(1, 4, 4, 3))),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(3, 4, 3, bias=False), lambda: optim.Muon(0.02), lambda m: m(floats(2, 5, 3))),
    "conv_transpose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, output_padding=1, stride=2), lambda: optim.Adafactor(), lambda m: m(floats(1, 3, 3, 3, 2))),
    "layer_norm_without_bias": (lambda: nn.LayerNorm(8, bias=False), lambda: optim.SGD(0.1, weight_decay=0.1), lambda m: m(floats(3, 8))),
    "layer_norm": (lambda: nn.LayerNorm(8), lambda: optim.Lion(0.01), lambda m: m(floats(3, 8))),
    "rms_norm": (lambda: nn.RMSNorm(8), lambda: optim.Adafactor(), lambda m: m(floats(3, 8))),
    "batch_norm": (lambda: nn.BatchNorm(6), lambda: optim.Adam(0.01, bias_correction=True), lambda m: m(floats(5, 6))),
    "group_norm": (lambda: nn.GroupNorm(2, 6), lambda: optim.SGD(0.1, momentum=0.9), lambda m: m(floats(2, 5, 6))),
    "instance_norm": (lambda: nn.InstanceNorm(6, affine=True), lambda: optim.RMSprop(0.01), lambda m: m(floats(2, 5, 6))),
    "batch_norm_without_statistics": (lambda: nn.BatchNorm(6, track_running_stats=False), lambda: optim.Adam(0.01), lambda m: m(floats(5, 6))),
    "prelu": (lambda: nn.PReLU(), lambda: optim.Adam(0.01), lambda m: m(floats(3, 8))),
    "rnn": (lambda: nn.RNN(4, 6), lambda: optim.Adam(0.01), lambda m: m(floats(2, 5, 4))),
    "gru": (lambda: nn.GRU(4, 6), lambda: optim.AdamW(0.01), lambda m: m(floats(2, 5, 4))),
    "lstm": (lambda: nn.LSTM(4, 6), lambda: optim.Adamax(0.01), lambda m: m(floats(2, 5, 4))[0]),
    "attention": (lambda: nn.MultiHeadAttention(8, 2, bias=True), lambda: optim.Muon(0.02), lambda m: m(*[floats(2, 5, 8)] * 3)),
    "encoder": (lambda: nn.TransformerEncoder(2, 8, 2, mlp_dims=16), lambda: optim.Adafactor(0.01, relative_step=False, beta_1=0.9), lambda m: m(floats(2, 5, 8), None)),
    "decoder": (lambda: nn.TransformerDecoder(2, 8, 2), lambda: several_of(optim.SGD(0.1, momentum=0.9), optim.Lion(0.01), optim.AdamW(0.01)), lambda m: m(floats(2, 5, 8), floats(2, 3, 8), None, None)),
    "transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16), lambda: several(optim.Muon(0.02), optim.AdamW(0.01)), lambda m: m(floats(2, 5, 8), floats(2, 3, 8), None, None, None)),
    "projections": (lambda: nn.MultiHeadAttention(8, 2, 3, 4, 5, 6, 7), lambda: optim.AdaDelta(0.5), lambda m: m(floats(2, 5, 3), floats(2, 4, 4), floats(2, 4, 5))),
    "halves": (lambda: halved(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))), lambda: optim.Adam(optim.linear_schedule(0.1, 0.01, 5), bias_correction=True), lambda m: m(floats(3, 8).astype(mx.bfloat16)).astype(mx.float32)),
    "nvfp4": (lambda: quantized(nn.Linear(64, 8, bias=False), mode="nvfp4"), lambda: optim.Adam(0.01), lambda m: m(floats(3, 64))),
    "mxfp8": (lambda: quantized(nn.Embedding(7, 64), mode="mxfp8"), lambda: optim.Adam(0.01), lambda m: m(tokens(4))),
    "quantized_sequence": (lambda: all_quantized(nn.Sequential(nn.Linear(64, 64), nn.RMSNorm(64), nn.Linear(64, 8, bias=False))), lambda: optim.Adam(0.01), lambda m: m(floats(3, 64))),
    "quantized_linear": (lambda: quantized(nn.Linear(64, 8, bias=False)), lambda: optim.Adam(0.01), lambda m: m(floats(3, 64))),
    "quantized_embedding": (lambda: quantized(nn.Embedding(7, 64)), lambda: optim.Adam(0.01), lambda m: m(tokens(4))),
    "nested": (Nested, lambda: optim.Adam(optim.cosine_decay(0.01, 10)), lambda m: m(tokens(2, 3))),
}


def update(model, optimizer):
    parameters = model.trainable_parameters()
    optimizer.update(model, tree_map(lambda p: mx.sin(100 * p), parameters))
    mx.eval(model.parameters(), optimizer.state)


def save(path, tree):
    leaves = dict(tree_flatten(tree))
    mx.save_safetensors(path, {**leaves, "": mx.zeros([1])} if not leaves else leaves)


def case(name, initial=None):
    mx.random.seed(sorted(CASES).index(name))
    make, make_optimizer, _ = CASES[name]
    model, optimizer = make(), make_optimizer()
    if initial:
        save(initial, model.parameters())
    model.eval()
    optimizer.init(model.trainable_parameters())
    update(model, optimizer)
    return model, optimizer


def save_all(folder):
    for name, (_, _, call) in CASES.items():
        model, optimizer = case(name, f"{folder}/{name}.initial.safetensors")
        save(f"{folder}/{name}.model.safetensors", model.parameters())
        save(f"{folder}/{name}.optimizer.safetensors", optimizer.state)
        mx.save_safetensors(f"{folder}/{name}.output.safetensors", {"y": call(model)})
        update(model, optimizer)
        save(f"{folder}/{name}.second.safetensors", model.parameters())
    print("\n".join(CASES))


def check_all(folder):
    for name, (make, make_optimizer, _) in CASES.items():
        model, optimizer = case(name)
        back, back_optimizer = make(), make_optimizer()
        back.load_weights(f"{folder}/{name}.model.back.safetensors", strict=True)
        state = mx.load(f"{folder}/{name}.optimizer.back.safetensors")
        back_optimizer.state = tree_unflatten(list(state.items()))
        for what, a, b in (("model", model.parameters(), back.parameters()), ("optimizer", optimizer.state, back_optimizer.state)):
            a, b = dict(tree_flatten(a)), dict(tree_flatten(b))
            assert a.keys() == b.keys(), (name, what, sorted(a.keys() ^ b.keys()))
            for path in a:
                same = a[path].dtype == b[path].dtype and a[path].shape == b[path].shape and mx.array_equal(a[path], b[path])
                assert same, (name, what, path, a[path], b[path])
        update(back, back_optimizer)
        update(model, optimizer)
        for (path, a), (_, b) in zip(tree_flatten(model.parameters()), tree_flatten(back.parameters())):
            assert mx.array_equal(a, b), (name, "second update", path)
    print("equal")


{"save": save_all, "check": check_all}[sys.argv[1]](sys.argv[2])
