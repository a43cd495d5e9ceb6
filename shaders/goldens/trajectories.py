#!/usr/bin/env python3
"""Golden trajectories: 20 steps of an MLP, a CNN, a residual CNN and two language models in PyTorch, in float64 on the CPU.

    pip install torch && python3 shaders/goldens/trajectories.py

writes trajectories.json beside this file: for every model its job, the loss before every step and the Euclidean length of every
tensor after the last one. `shaders/tests/goldens.rs` trains the same from the same weights and batches and compares to 1e-4.
Weights and data come from one small integer generator (`numbers`), so that no file of weights is needed. Nothing here is taken from
the Rust code: layers are PyTorch's own where it has them.
"""

import json
import math
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
STEPS = 20


def numbers(seed, n):
    """n numbers in [-1, 1) with 16 bits each, by a linear congruential generator."""
    state, out = seed, []
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 48) / 32768.0 - 1.0)
    return torch.tensor(out)


class Mlp(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Cnn(nn.Module):
    """Pictures come as [N, H, W, C]; the perceptron sees them in that order too."""

    def __init__(self, picture, channels, hidden, classes):
        super().__init__()
        h, w, c = picture
        self.convolutions = nn.ModuleList()
        for out in channels:
            self.convolutions.append(nn.Conv2d(c, out, 3, padding=1))
            h, w, c = h // 2, w // 2, out
        self.head = Mlp([h * w * c, *hidden, classes])

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        for conv in self.convolutions:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.head(x.permute(0, 2, 3, 1).flatten(1))


def groups(channels):
    return channels // 8 if channels % 8 == 0 else 1


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.norm1 = nn.GroupNorm(groups(outputs), outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups(outputs), outputs)
        if inputs != outputs or stride > 1:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        h = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(h)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, picture, channels, blocks, hidden, classes):
        super().__init__()
        c = channels[0]
        self.stem = nn.Conv2d(picture[2], c, 3, padding=1)
        self.blocks = nn.ModuleList()
        for stage, out in enumerate(channels):
            for block in range(blocks):
                self.blocks.append(Block(c, out, 2 if stage > 0 and block == 0 else 1))
                c = out
        self.head = Mlp([c, *hidden, classes])

    def forward(self, x):
        x = F.relu(self.stem(x.permute(0, 3, 1, 2)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=(2, 3)))


class Layer(nn.Module):
    def __init__(self, width, heads, norm, activation):
        super().__init__()
        bias = norm == "layer"
        make = (lambda: nn.LayerNorm(width)) if bias else (lambda: nn.RMSNorm(width, eps=1e-5))
        self.heads = heads
        self.activation = activation
        self.norm1 = make()
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.norm2 = make()
        self.up = nn.Linear(width, 4 * width, bias=bias)
        self.down = nn.Linear(4 * width, width, bias=bias)

    def rotate(self, x):
        """Rotary positions in complex numbers."""
        _, _, t, e = x.shape
        turn = torch.outer(torch.arange(t, dtype=torch.float64), 10000.0 ** (-2.0 * torch.arange(e // 2) / e))
        z = torch.complex(x[..., : e // 2], x[..., e // 2 :]) * torch.polar(torch.ones_like(turn), turn)
        return torch.cat([z.real, z.imag], dim=-1)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        h = self.up(self.norm2(x))
        h = {"gelu": lambda h: F.gelu(h, approximate="tanh"), "silu": F.silu, "relu": F.relu}[self.activation](h)
        return x + self.down(h)


class Lm(nn.Module):
    def __init__(self, vocabulary, width, layers, heads, norm, activation):
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocabulary, width))
        self.layers = nn.ModuleList(Layer(width, heads, norm, activation) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if norm == "layer" else nn.RMSNorm(width, eps=1e-5)

    def forward(self, x):
        x = F.embedding(x, self.embedding)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x) @ self.embedding.T


def fill(model):
    """Every tensor from its own numbers: weights small, norms near 1."""
    for i, (name, tensor) in enumerate(model.named_parameters()):
        values = numbers(1000 + i, tensor.numel())
        if "norm" in name and name.endswith("weight"):
            values = 1.0 + 0.25 * values
        elif tensor.dim() > 1:
            values = values * math.sqrt(3.0 / (tensor.numel() / tensor.shape[0]))
        else:
            values = 0.125 * values
        if tensor.dim() == 4:  # ours is [O, K, K, C]
            o, c, k, _ = tensor.shape
            values = values.view(o, k, k, c).permute(0, 3, 1, 2)
        with torch.no_grad():
            tensor.copy_(values.float().double().view(tensor.shape))


def data(case):
    """Batches of all steps: inputs and labels."""
    if case["model"]["kind"] == "lm":
        context, batch = case["model"]["context"], case["batch"]
        tokens = (numbers(7, STEPS * batch * (context + 1)) * 0.5 + 0.5) * case["classes"]
        windows = tokens.floor().long().view(STEPS, batch, context + 1)
        return windows[..., :-1], windows[..., 1:].flatten(1)
    x = numbers(7, STEPS * case["batch"] * math.prod(case["shape"])).view(STEPS, case["batch"], *case["shape"])
    labels = ((numbers(8, STEPS * case["batch"]) * 0.5 + 0.5) * case["classes"]).floor().long()
    return x, labels.view(STEPS, case["batch"])


def build(case):
    m = case["model"]
    if m["kind"] == "mlp":
        return Mlp([math.prod(case["shape"]), *m["hidden"], case["classes"]])
    if m["kind"] == "lm":
        return Lm(case["classes"], m["width"], m["layers"], m["heads"], m["norm"], m["activation"])
    if m["residual_blocks"]:
        return ResNet(case["shape"], m["channels"], m["residual_blocks"], m["hidden"], case["classes"])
    return Cnn(case["shape"], m["channels"], m["hidden"], case["classes"])


class AdamCommon(torch.optim.Optimizer):
    """Adam with the mean square of the whole gradient in the place of every element's own: PyTorch has none."""

    def __init__(self, parameters, learning_rate, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(parameters, {"lr": learning_rate})
        self.betas, self.eps, self.steps, self.second = betas, eps, 0, 0.0

    @torch.no_grad()
    def step(self):
        tensors = self.param_groups[0]["params"]
        b1, b2 = self.betas
        self.steps += 1
        mean = sum(t.grad.square().sum() for t in tensors) / sum(t.numel() for t in tensors)
        self.second = b2 * self.second + (1 - b2) * mean
        length = (self.second / (1 - b2**self.steps)).sqrt() + self.eps
        for t in tensors:
            first = self.state[t].setdefault("first", torch.zeros_like(t))
            first.mul_(b1).add_((1 - b1) * t.grad)
            t.sub_(self.param_groups[0]["lr"] / length * first / (1 - b1**self.steps))


def optimizer(case, model):
    o = case["optimizer"]
    if o["kind"] == "adam_common":
        return AdamCommon(model.parameters(), o["learning_rate"])
    if o["kind"] == "sgd":
        return torch.optim.SGD(model.parameters(), o["learning_rate"], momentum=o["momentum"], nesterov=o["nesterov"])
    if o["kind"] == "adamw":
        return torch.optim.AdamW(model.parameters(), o["learning_rate"], weight_decay=o["weight_decay"])
    return torch.optim.Adam(model.parameters(), o["learning_rate"])


def run(case):
    model = build(case)
    fill(model)
    step = optimizer(case, model)
    losses = []
    for x, labels in zip(*data(case)):
        step.zero_grad()
        y = model(x)
        y = y.view(-1, y.shape[-1])
        if case["loss"] == "mean_squared_error":
            loss = F.mse_loss(y, F.one_hot(labels, case["classes"]).double())
        else:
            loss = F.cross_entropy(y, labels)
        loss.backward()
        if case["clip"]:
            nn.utils.clip_grad_norm_(model.parameters(), case["clip"])
        step.step()
        losses.append(loss.item())
    lengths = [tensor.norm().item() for tensor in model.parameters()]
    sums = [(tensor * math.pi).sin().sum().item() for tensor in model.parameters()]
    return {**case, "losses": losses, "lengths": lengths, "sines": sums}


SGD = {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
NESTEROV = {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True}
ADAM = {"kind": "adam", "learning_rate": 0.002}
ADAM_COMMON = {"kind": "adam_common", "learning_rate": 0.002}
ADAMW = {"kind": "adamw", "learning_rate": 0.002, "weight_decay": 0.1}


def lm(norm, activation):
    return {"kind": "lm", "context": 12, "width": 24, "layers": 2, "heads": 3, "norm": norm, "activation": activation, "dropout": 0.0}


CASES = [
    {"name": "mlp", "model": {"kind": "mlp", "hidden": [12, 9]}, "shape": [5, 3], "classes": 4, "batch": 6,
     "loss": "cross_entropy", "optimizer": SGD, "clip": None},
    {"name": "mlp squares", "model": {"kind": "mlp", "hidden": [12]}, "shape": [7], "classes": 3, "batch": 5,
     "loss": "mean_squared_error", "optimizer": ADAM, "clip": None},
    {"name": "mlp common", "model": {"kind": "mlp", "hidden": [12]}, "shape": [7], "classes": 3, "batch": 5,
     "loss": "cross_entropy", "optimizer": ADAM_COMMON, "clip": None},
    {"name": "cnn", "model": {"kind": "cnn", "channels": [4, 6], "residual_blocks": 0, "hidden": [10]}, "shape": [9, 8, 2],
     "classes": 5, "batch": 4, "loss": "cross_entropy", "optimizer": NESTEROV, "clip": None},
    {"name": "resnet", "model": {"kind": "cnn", "channels": [8, 16], "residual_blocks": 2, "hidden": []}, "shape": [8, 7, 1],
     "classes": 5, "batch": 4, "loss": "cross_entropy", "optimizer": NESTEROV, "clip": 1.0},
    {"name": "lm rms", "model": lm("rms", "silu"), "classes": 20, "batch": 3, "loss": "cross_entropy", "optimizer": ADAMW,
     "clip": 0.5},
    {"name": "lm layer", "model": lm("layer", "gelu"), "classes": 20, "batch": 3, "loss": "cross_entropy", "optimizer": ADAMW,
     "clip": None},
]

if __name__ == "__main__":
    out = pathlib.Path(__file__).with_name("trajectories.json")
    out.write_text(json.dumps({"torch": torch.__version__.split("+")[0], "cases": [run(case) for case in CASES]}, indent=1) + "\n")
    print(f"wrote {out}")
