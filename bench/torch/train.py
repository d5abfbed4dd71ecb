"""Training with PyTorch on request: the peer of `models.ts`, with the same nets, data, optimizers and order.

    python train.py THREADS

Reads one JSON request per line and answers each with one line:
    {"work": NAME, "folder": FOLDER}  reads data.safetensors there, makes the model, writes initial.safetensors
    {"steps": N}                      takes N steps: {"seconds": S, "cpu": S, "losses": [...], "peak": BYTES}
    {"evaluate": true}                {"accuracy": SHARE} of the held-out data, where there is any
"""

import json
import sys
import time

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F


class Digits(nn.Module):
    def __init__(self, data):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(64 * 49, 128), nn.Linear(128, 10)
        self.data = {k: v.permute(0, 3, 1, 2).contiguous() if "images" in k else v for k, v in data.items()}

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))

    def loss(self, i):
        rows = self.data["order"][i].long()
        x, y = self.data["images"][rows].float() / 255, self.data["labels"][rows].long()
        return F.cross_entropy(self(x), y)

    def weights(self):
        """As Denim has them: channels last, also where images become rows."""
        w = dict(self.state_dict())
        for name in ["conv1.weight", "conv2.weight"]:
            w[name] = w[name].permute(0, 2, 3, 1)
        w["fc1.weight"] = w["fc1.weight"].reshape(128, 64, 7, 7).permute(0, 2, 3, 1).reshape(128, -1)
        return w

    def accuracy(self):
        with torch.inference_mode():
            x, y = self.data["test_images"], self.data["test_labels"]
            guess = torch.cat([self(part.float() / 255).argmax(-1) for part in x.split(1000)])
            return (guess == y).float().mean().item()

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), lr=2e-3)

    def schedule(self, optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(self.data["order"]))


class Text(nn.Module):
    """What the language models share: batches out of one text, and their optimizer."""

    def batch(self, i):
        at = self.data["starts"][i].long()[:, None] + torch.arange(self.length + 1)
        rows = self.data["tokens"][at].long()
        return rows[:, :-1], rows[:, 1:]

    def loss(self, i):
        x, y = self.batch(i)
        return F.cross_entropy(self(x).flatten(0, 1), y.flatten())

    def weights(self):
        return dict(self.state_dict())

    def optimizer(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)

    def schedule(self, optimizer):
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, length, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, length, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, length, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(Text):
    length = 128

    def __init__(self, data):
        super().__init__()
        d, vocabulary = 192, 96
        self.data = data
        self.embedding, self.positions = nn.Embedding(vocabulary, d), nn.Embedding(self.length, d)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(d, 6) for _ in range(4))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Recurrent(Text):
    length = 64

    def __init__(self, data):
        super().__init__()
        self.data = data
        self.embedding, self.lstm = nn.Embedding(96, 64), nn.LSTM(64, 256, batch_first=True)
        self.head = nn.Linear(256, 96)
        # One bias, as in MLX: the second one stays zero.
        nn.init.zeros_(self.lstm.bias_hh_l0).requires_grad_(False)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0])

    def weights(self):
        names = {"weight_ih_l0": "Wx", "weight_hh_l0": "Wh", "bias_ih_l0": "bias"}
        own = {k: v for k, v in self.state_dict().items() if not k.startswith("lstm.")}
        return own | {f"lstm.{name}": getattr(self.lstm, key) for key, name in names.items()}


WORKS = {"mnist": Digits, "transformer": Transformer, "lstm": Recurrent}


def peak():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


class Run:
    def __init__(self, work, folder):
        torch.manual_seed(0)
        self.model = WORKS[work](load_file(f"{folder}/data.safetensors"))
        save_file({k: v.detach().contiguous() for k, v in self.model.weights().items()}, f"{folder}/initial.safetensors")
        self.optimizer, self.next = self.model.optimizer(), 0
        self.schedule = self.model.schedule(self.optimizer)

    def steps(self, count):
        start, cpu, losses = time.perf_counter(), time.process_time(), []
        for _ in range(count):
            self.optimizer.zero_grad()
            loss = self.model.loss(self.next)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.item())
            self.next += 1
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return {"seconds": seconds, "cpu": cpu, "losses": losses, "peak": peak()}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        if "work" in request:
            run, answer = Run(request["work"], request["folder"]), {"ready": True}
        elif "steps" in request:
            answer = run.steps(request["steps"])
        else:
            answer = {"accuracy": run.model.accuracy()}
        print(json.dumps(answer), flush=True)


main()
