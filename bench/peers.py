"""The works of the bench on other libraries: NumPy, PyTorch, MLX.

bench/peers.ts starts one process for each library and talks to it in lines of JSON:
{"work": NAME} makes the inputs of a work, and the answer is {"ready": true} or {"missing": REASON};
{"seconds": S} measures it for about so long, and the answer is {"samples": [SECONDS, ...]}.

Usage: peers.py LIBRARY THREADS, in a Python that has the library (pip install numpy torch 'mlx[cpu]').
"""
import json
import math
import sys
import time

import numpy as np

WORKS = {}  # name -> {library: function that makes the inputs and returns the work as a function without arguments}
MIN_SAMPLE_SECONDS = 200e-6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def torch_array(x, dtype="float32"):
    import torch

    return torch.from_numpy(x).to(getattr(torch, dtype))


def mlx_array(x, dtype="float32"):
    import mlx.core as mx

    y = mx.array(x).astype(getattr(mx, dtype))
    mx.eval(y)
    return y


def torch_work(f):
    """Without gradients, as all works but training are."""
    import torch

    def run():
        with torch.inference_mode():
            f()

    return run


def mlx_work(f):
    import mlx.core as mx

    return lambda: mx.eval(f())


# ---- one large array


def simple(name, shape, numpy=None, torch=None, mlx=None, dtype="float32"):
    """numpy, torch, mlx: functions that get the modules they need and return the function of x."""

    def make_numpy():
        f, x = numpy(np), normal(*shape)
        return lambda: f(x)

    def make_torch():
        import torch as module

        f, x = torch(module), torch_array(normal(*shape), dtype)
        return torch_work(lambda: f(x))

    def make_mlx():
        import mlx.core as mx
        import mlx.nn as nn

        f, x = mx.compile(mlx(mx, nn)), mlx_array(normal(*shape), dtype)
        return mlx_work(lambda: f(x))

    made = {"numpy": numpy and make_numpy, "torch": torch and make_torch, "mlx": mlx and make_mlx}
    WORKS[name] = {library: make for library, make in made.items() if make}


LONG, SQUARE = (1 << 24,), (4096, 4096)
simple("add_16M", LONG, lambda np: lambda x: x + x, lambda torch: lambda x: x + x, lambda mx, nn: lambda x: x + x)
simple("add_bf16_16M", LONG, None, lambda torch: lambda x: x + x, lambda mx, nn: lambda x: x + x, "bfloat16")
simple("exp_16M", LONG, lambda np: np.exp, lambda torch: torch.exp, lambda mx, nn: mx.exp)
simple("gelu_16M", LONG, None, lambda torch: torch.nn.functional.gelu, lambda mx, nn: nn.gelu)
simple(
    "chain_16M",
    LONG,
    lambda np: lambda x: np.sin(x) * np.exp(-x * x) + np.tanh(x),
    lambda torch: lambda x: torch.sin(x) * torch.exp(-x * x) + torch.tanh(x),
    lambda mx, nn: lambda x: mx.sin(x) * mx.exp(-x * x) + mx.tanh(x),
)
simple(
    "transpose_copy_4096",
    SQUARE,
    lambda np: lambda x: np.ascontiguousarray(x.T),
    lambda torch: lambda x: x.t().contiguous(),
    lambda mx, nn: lambda x: mx.contiguous(x.T),
)
simple("sum_16M", LONG, lambda np: np.sum, lambda torch: torch.sum, lambda mx, nn: mx.sum)
simple(
    "sum_of_squares_16M",
    LONG,
    lambda np: lambda x: np.dot(x, x),
    lambda torch: lambda x: x.square().sum(),
    lambda mx, nn: lambda x: mx.square(x).sum(),
)
simple(
    "sum_axis0_4096",
    SQUARE,
    lambda np: lambda x: x.sum(0),
    lambda torch: lambda x: x.sum(0),
    lambda mx, nn: lambda x: x.sum(0),
)
simple(
    "max_axis1_4096",
    SQUARE,
    lambda np: lambda x: x.max(1),
    lambda torch: lambda x: x.amax(1),
    lambda mx, nn: lambda x: x.max(1),
)
simple(
    "argmax_4096",
    SQUARE,
    lambda np: lambda x: x.argmax(-1),
    lambda torch: lambda x: x.argmax(-1),
    lambda mx, nn: lambda x: mx.argmax(x, -1),
)
simple(
    "cumsum_4096",
    SQUARE,
    lambda np: lambda x: x.cumsum(-1),
    lambda torch: lambda x: x.cumsum(-1),
    lambda mx, nn: lambda x: mx.cumsum(x, -1),
)
simple(
    "softmax_4096",
    SQUARE,
    None,
    lambda torch: lambda x: torch.softmax(x, -1),
    lambda mx, nn: lambda x: mx.softmax(x, -1),
)
simple(
    "layernorm_4096",
    SQUARE,
    None,
    lambda torch: lambda x: torch.nn.functional.layer_norm(x, (4096,)),
    lambda mx, nn: lambda x: mx.fast.layer_norm(x, None, None, 1e-5),
)
simple(
    "rmsnorm_4096",
    SQUARE,
    None,
    lambda torch: lambda x: torch.nn.functional.rms_norm(x, (4096,), eps=1e-5),
    lambda mx, nn: lambda x: mx.fast.rms_norm(x, None, 1e-5),
)
simple("sort_1M", (1 << 20,), lambda np: np.sort, lambda torch: lambda x: torch.sort(x)[0], lambda mx, nn: mx.sort)
simple("argsort_1M", (1 << 20,), lambda np: np.argsort, lambda torch: torch.argsort, lambda mx, nn: mx.argsort)


# ---- matrices


def product(name, m, k, n, dtype="float32", transposed=False):
    a, b = (m, k), ((n, k) if transposed else (k, n))

    def make_numpy():
        x, y = normal(*a), normal(*b, seed=1)
        return lambda: x @ (y.T if transposed else y)

    def make_torch():
        x, y = torch_array(normal(*a), dtype), torch_array(normal(*b, seed=1), dtype)
        return torch_work(lambda: x @ (y.T if transposed else y))

    def make_mlx():
        x, y = mlx_array(normal(*a), dtype), mlx_array(normal(*b, seed=1), dtype)
        return mlx_work(lambda: x @ (y.T if transposed else y))

    WORKS[name] = {"torch": make_torch, "mlx": make_mlx}
    if dtype == "float32":
        WORKS[name]["numpy"] = make_numpy


for edge in (256, 512, 1024, 2048):
    product(f"gemm_f32_{edge}", edge, edge, edge)
product("gemm_bf16_1024", 1024, 1024, 1024, "bfloat16")
product("gemm_f16_1024", 1024, 1024, 1024, "float16")
product("gemm_f32_skinny_16x4096x4096", 16, 4096, 4096)
product("linear_f32_1024", 1024, 1024, 1024, transposed=True)
product("linear_bf16_256x2048x2048", 256, 2048, 2048, "bfloat16", True)
product("matvec_f32_4096", 1, 4096, 4096)
product("matvec_bf16_4096", 1, 4096, 4096, "bfloat16")
product("matvec_f16_4096", 1, 4096, 4096, "float16")
product("linear_matvec_f32_4096", 1, 4096, 4096, transposed=True)
product("linear_matvec_bf16_4096", 1, 4096, 4096, "bfloat16", True)


def quantized(name, rows, bits, group, mode, dtype="float32", streamed=False):
    def make_mlx():
        import mlx.core as mx

        size, kind = 4096 * 4096 * bits // 8, getattr(mx, dtype)
        rng = np.random.default_rng(0)
        many = math.ceil((128 << 20) / size) if streamed else 1
        words = [mx.array(rng.integers(0, 1 << 32, (4096, 4096 * bits // 32), dtype=np.uint32)) for _ in range(many)]
        x, shape = mlx_array(normal(rows, 4096), dtype), (4096, 4096 // group)
        if mode == "affine":
            factors = {"scales": mx.full(shape, 0.01, kind), "biases": mx.full(shape, -0.02, kind)}
        else:
            factors = {"scales": mx.full(shape, 0x38 if mode == "nvfp4" else 127, mx.uint8)}
        mx.eval(words, factors)
        turn = iter(range(1 << 60))

        def run():
            w = words[next(turn) % many]
            return mx.quantized_matmul(x, w, **factors, transpose=True, group_size=group, bits=bits, mode=mode)

        return mlx_work(run)

    WORKS[name] = {"mlx": make_mlx}


FORMATS = [(f"q{bits}", bits, 64, "affine") for bits in (2, 3, 4, 5, 6, 8)]
FORMATS += [("mxfp4", 4, 32, "mxfp4"), ("mxfp8", 8, 32, "mxfp8"), ("nvfp4", 4, 16, "nvfp4")]
for label, *form in FORMATS:
    quantized(f"qmv_{label}_4096", 1, *form, streamed=True)
    quantized(f"qmm_{label}_64x4096x4096", 64, *form)
quantized("qmv_q4_bf16_4096", 1, 4, 64, "affine", "bfloat16", True)
quantized("qmv_q4_f16_4096", 1, 4, 64, "affine", "float16", True)
quantized("qmm_q4_4x4096x4096", 4, 4, 64, "affine")
quantized("qmm_q4_512x4096x4096", 512, 4, 64, "affine")


# ---- parts of networks


def conv(name, n, h, c, o, k, groups=1):
    def data():
        return normal(n, h, h, c), normal(o, k, k, c // groups, seed=1)

    def make_torch():
        import torch

        x, w = (torch_array(z).permute(0, 3, 1, 2).to(memory_format=torch.channels_last) for z in data())
        return torch_work(lambda: torch.conv2d(x, w, padding=k // 2, groups=groups))

    def make_mlx():
        import mlx.core as mx

        x, w = (mlx_array(z) for z in data())
        return mlx_work(lambda: mx.conv2d(x, w, padding=k // 2, groups=groups))

    WORKS[name] = {"torch": make_torch, "mlx": make_mlx}


conv("conv2d_3x3_8x32x32x64", 8, 32, 64, 64, 3)
conv("conv2d_1x1_8x32x32x256", 8, 32, 256, 256, 1)
conv("conv2d_dw3x3_8x56x56x128", 8, 56, 128, 128, 3, 128)
conv("conv2d_7x7_4x112x112x3", 4, 112, 3, 64, 7)


def attention(name, queries, keys, heads, key_heads, width, dtype="float32"):
    shapes = [(1, heads, queries, width), (1, key_heads, keys, width), (1, key_heads, keys, width)]

    def make_torch():
        import torch

        q, k, v = (torch_array(normal(*s, seed=i), dtype) for i, s in enumerate(shapes))
        f = torch.nn.functional.scaled_dot_product_attention
        return torch_work(lambda: f(q, k, v, is_causal=queries > 1, enable_gqa=heads != key_heads))

    def make_mlx():
        import mlx.core as mx

        q, k, v = (mlx_array(normal(*s, seed=i), dtype) for i, s in enumerate(shapes))
        mask = "causal" if queries > 1 else None
        return mlx_work(lambda: mx.fast.scaled_dot_product_attention(q, k, v, scale=width**-0.5, mask=mask))

    WORKS[name] = {"torch": make_torch, "mlx": make_mlx}


attention("sdpa_causal_16h_512", 512, 512, 16, 16, 64)
attention("sdpa_causal_gqa_2048", 2048, 2048, 16, 4, 128)
attention("sdpa_decode_16h_2048", 1, 2048, 16, 16, 64)
attention("sdpa_decode_gqa_4096", 1, 4096, 32, 8, 128)
attention("sdpa_decode_gqa_bf16_4096", 1, 4096, 32, 8, 128, "bfloat16")


def rope_mlx():
    import mlx.core as mx

    x = mlx_array(normal(1, 32, 512, 128))
    return mlx_work(lambda: mx.fast.rope(x, 128, traditional=False, base=1e4, scale=1.0, offset=0))


WORKS["rope_32h_512"] = {"mlx": rope_mlx}


# ---- overheads


def overhead(name, shape, f):
    """f(x): the same expression for both libraries."""

    def make_torch():
        x = torch_array(normal(*shape)) if shape else torch_array(np.asarray(0.5, np.float32))
        return torch_work(lambda: f(x))

    def make_mlx():
        x = mlx_array(normal(*shape)) if shape else mlx_array(np.asarray(0.5, np.float32))
        return mlx_work(lambda: f(x))

    WORKS[name] = {"torch": make_torch, "mlx": make_mlx}


def chain(n):
    def f(x):
        for _ in range(n):
            x = x + 1
        return x

    return f


def products(x):
    y = x
    for _ in range(10):
        y = y @ x
    return y


overhead("eval_1_op", (16,), chain(1))
overhead("eval_10_fused_ops", (16,), chain(10))
overhead("eval_10_kernels", (8, 8), products)
overhead("scalar_chain_1000_ops", (), chain(1000))


def item_torch():
    import torch

    x = torch.tensor(0.5)
    return torch_work(lambda: (x + 1).item())


def item_mlx():
    import mlx.core as mx

    x = mx.array(0.5)
    mx.eval(x)
    return lambda: (x + 1).item()


WORKS["eval_and_item"] = {"torch": item_torch, "mlx": item_mlx}


# ---- training


def train_torch(model, x, y, decay):
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x).flatten(0, -2), y.flatten()).backward()
        optimizer.step()

    return step


def train_mlx(model, x, y, decay, compiled):
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim

    optimizer = optim.AdamW(1e-3, weight_decay=decay)
    gradient = nn.value_and_grad(model, lambda m: nn.losses.cross_entropy(m(x), y, reduction="mean"))
    optimizer.init(model.trainable_parameters())
    state = [model.state, optimizer.state]
    mx.eval(state)

    def step():
        loss, gradients = gradient(model)
        optimizer.update(model, gradients)
        return loss

    once = mx.compile(step, inputs=state, outputs=state) if compiled else step
    return lambda: mx.eval(once(), state)


def classifier_torch():
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    return train_torch(model, torch.randn(256, 784), torch.randint(0, 10, (256,)), 0.01)


def classifier_mlx(compiled):
    import mlx.core as mx
    import mlx.nn as nn

    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    return train_mlx(model, mx.random.normal((256, 784)), mx.random.randint(0, 10, (256,)), 0.01, compiled)


WORKS["train_mlp_step"] = {"torch": classifier_torch, "mlx": lambda: classifier_mlx(False)}
WORKS["train_mlp_step_compiled"] = {"mlx": lambda: classifier_mlx(True)}


def transformer(nn, module, forward_name, attend, gelu, tokens):
    """Vocabulary 1024, width 256, 4 layers of 4 heads, pre-norm; `module` is the library's base class."""
    d, heads = 256, 4

    class Block(module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def block(self, x):
        b, length, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, length, 3, heads, d // heads)
        q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
        x = x + self.out(attend(q, k, v).swapaxes(1, 2).reshape(b, length, d))
        return x + self.down(gelu(self.up(self.norm2(x))))

    setattr(Block, forward_name, block)
    blocks = [Block() for _ in range(4)]
    return nn.Sequential(nn.Embedding(tokens, d), *blocks, nn.LayerNorm(d), nn.Linear(d, tokens))


def transformer_torch():
    import torch
    from torch import nn
    from torch.nn import functional as F

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    model = transformer(nn, nn.Module, "forward", attend, F.gelu, 1024)
    return train_torch(model, torch.randint(0, 1024, (8, 128)), torch.randint(0, 1024, (8, 128)), 0.01)


def transformer_mlx(compiled):
    import mlx.core as mx
    import mlx.nn as nn

    def attend(q, k, v):
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=64**-0.5, mask="causal")

    model = transformer(nn, nn.Module, "__call__", attend, nn.gelu, 1024)
    x, y = mx.random.randint(0, 1024, (8, 128)), mx.random.randint(0, 1024, (8, 128))
    return train_mlx(model, x, y, 0.01, compiled)


WORKS["train_lm_step"] = {"torch": transformer_torch, "mlx": lambda: transformer_mlx(False)}
WORKS["train_lm_step_compiled"] = {"mlx": lambda: transformer_mlx(True)}


# ---- measuring


def sample(f, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        f()
    return (time.perf_counter() - start) / repeats


def warm_up(f, seconds):
    """Two calls at least. Returns how many make a sample long enough."""
    sample(f, 1)
    end = time.perf_counter() + seconds
    last = sample(f, 1)
    while time.perf_counter() < end:
        last = sample(f, 1)
    return max(1, math.ceil(MIN_SAMPLE_SECONDS / max(last, 1e-7)))


def samples_of(f, repeats, seconds):
    samples, spent = [], 0.0
    while (len(samples) < 5 or spent < seconds) and len(samples) < 1000:
        samples.append(sample(f, repeats))
        spent += samples[-1] * repeats
        if spent > 20 * seconds and len(samples) > 1:
            break
    return samples


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    work, repeats = None, 0
    for line in sys.stdin:
        request = json.loads(line)
        if "work" in request:
            work, repeats = None, 0
            make = WORKS.get(request["work"], {}).get(library)
            try:
                work = make() if make else None
                answer = {"ready": True} if work else {"missing": "no such work"}
            except Exception as error:  # whatever a library does not have is a row that stays empty
                answer = {"missing": str(error)}
        else:
            repeats = repeats or warm_up(work, request["seconds"] / 5)
            answer = {"samples": samples_of(work, repeats, request["seconds"])}
        print(json.dumps(answer), flush=True)


main()
