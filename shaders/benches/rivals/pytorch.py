#!/usr/bin/env python3
"""What PyTorch does on this machine, to hold starling's figures against.

    pip install torch            # any release with fused Adam: 2.4 or newer
    python3 shaders/benches/rivals/pytorch.py --cuda --json rival.json      # then: starling device bench --against rival.json
    python3 shaders/benches/rivals/pytorch.py --cpu --json rival.json       # the same on the processor
    python3 shaders/benches/rivals/pytorch.py                               # one step on one thread beside starling's CPU executor

With --cuda or --cpu: eager, f32 everywhere (TF32 off), products, copy, fused Adam, and steps of the models of `shaders/src/bench/models.rs`:
the same shapes, batches and names. Attention by scaled_dot_product_attention, as anyone would write it. Each measurement has a budget
of seconds (--seconds); what two calls of would not fit is left out and named, as `starling device bench` does.

Without them: 784-128-10, batch 64, Adam, batches chosen by index as starling chooses them. Counts steps a second of processor time, which
other work on the machine spoils less than wall time; rounds of both take turns.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 3
SECONDS = 3.0
SHAPE = "784-128-10_batch_64"
EXTENTS = [256, 512, 1024, 2048, 4096]
# Numbers of what is streamed, as in src/bench/figures.rs: on a GPU more than its caches hold.
STREAMED = {"cuda": 64 << 20, "cpu": 16 << 20}
# A step works at this share of the rate of the best product, until it is measured.
STEP_SHARE = 0.5


def pytorch() -> float:
    """Steps a second of processor time."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    samples, batch = 512, 64
    features, labels = torch.rand(samples, 784), torch.arange(samples) % 10
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    order = torch.stack([torch.randperm(samples)[:batch] for _ in range(64)])

    def steps(n: int) -> None:
        for i in range(n):
            rows = order[i % len(order)]
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(features[rows]), labels[rows]).backward()
            optimizer.step()

    steps(200)
    taken, start = 0, time.process_time()
    while (spent := time.process_time() - start) < SECONDS:
        steps(50)
        taken += 50
    return taken / spent


def starling() -> float:
    """As its benchmark prints it."""
    command = ["cargo", "bench", "-q", "-p", "shaders", "--bench", "training_step", "--", SHAPE + "/10_steps_on_cpu_1"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^{SHAPE} on CPU, 1 threads.*?(\d+) a processor second", out, re.MULTILINE)
    if found is None:
        sys.exit(f"the benchmark printed no such line:\n{out}")
    return float(found[1])


class Norm(nn.Module):
    """RMS norm: gamma x / sqrt(mean x^2 + epsilon)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Block(nn.Module):
    """x += out(attention(qkv(norm(x)))), x += down(gelu(up(norm(x))))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k = (turned(part, cosine, sine) for part in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


def turned(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), dim=-1)


class Lm(nn.Module):
    """Decoder of `shaders/src/models/lm.rs`: rotary positions, head tied to the embedding."""

    def __init__(self, context: int, width: int, layers: int, heads: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = Norm(width)
        half = width // heads // 2
        turn = torch.outer(torch.arange(context), 10_000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cosine", turn.cos())
        self.register_buffer("sine", turn.sin())

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        return F.linear(self.norm(x), self.embedding.weight).flatten(0, 1)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))


# Name, model, batches of which the first that is done in time counts; of a language model context and vocabulary.
MODELS = [
    ("mlp 784-512-10", mlp, [128], None),
    ("lm 1M", lambda: Lm(64, 128, 5, 4, 256), [8], (64, 256)),
    ("lm 10M", lambda: Lm(256, 384, 6, 6, 256), [64, 8, 1], (256, 256)),
    ("lm 124M", lambda: Lm(1024, 768, 12, 12, 50_304), [4, 1], (1024, 50_304)),
]


class Rival:
    """Measures on one device."""

    def __init__(self, device: str, seconds: float, batches: dict[str, int]) -> None:
        self.device, self.seconds, self.batches = torch.device(device), seconds, batches
        self.streamed = STREAMED[self.device.type]
        self.left_out: list[dict] = []
        self.rate = 0.0

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def timed(self, work, n: int) -> float:
        self.wait()
        start = time.perf_counter()
        for _ in range(n):
            work()
        self.wait()
        return time.perf_counter() - start

    def best(self, work) -> float:
        """Seconds of one call at its best; the first call does not count."""
        self.timed(work, 1)
        best = spent = self.timed(work, 1)
        n = max(1, min(4096, int(self.seconds / 5 / best)))
        while spent + n * best <= self.seconds:
            took = self.timed(work, n)
            spent, best = spent + took, min(best, took / n)
        return best

    def in_time(self, what: str, flops: float, rate: float) -> bool:
        if rate == 0.0 or 2 * flops / rate <= self.seconds:
            return True
        why = f"2 of it take about {2 * flops / rate:.1f} s, more than the {self.seconds} s of a piece"
        self.left_out.append({"what": what, "why": why})
        return False

    def matmul(self) -> list[dict]:
        found = []
        for extent in EXTENTS:
            flops = 2.0 * extent**3
            if not self.in_time(f"matmul {extent}", flops, self.rate):
                continue
            a, b = (torch.rand(extent, extent, device=self.device) - 0.5 for _ in range(2))
            out = torch.empty_like(a)
            rate = flops / self.best(lambda a=a, b=b, out=out: torch.matmul(a, b.T, out=out))
            self.rate = max(self.rate, rate)
            found.append({"m": extent, "n": extent, "k": extent, "gflops": rate / 1e9})
            print(f"matmul {extent}: {rate / 1e9:.1f} Gflop/s", flush=True)
        return found

    def copy(self) -> float:
        source = torch.rand(self.streamed, device=self.device)
        to = torch.empty_like(source)
        rate = 8 * self.streamed / self.best(lambda: to.copy_(source)) / 1e9
        print(f"copy: {rate:.1f} GB/s, read and written", flush=True)
        return rate

    def adam(self, copy_gbs: float) -> dict:
        weights = torch.rand(self.streamed, device=self.device, requires_grad=True)
        weights.grad = torch.rand(self.streamed, device=self.device)
        optimizer = torch.optim.Adam([weights], lr=1e-4, fused=True)
        gbs = 4 * 7 * self.streamed / self.best(optimizer.step) / 1e9
        print(f"adam: {gbs:.1f} GB/s, {gbs / copy_gbs:.2f} of the copy", flush=True)
        return {"parameters": self.streamed, "gbs": gbs, "of_copy": gbs / copy_gbs}

    def steps(self) -> list[dict]:
        found = []
        for name, make, batches, text in MODELS:
            batches = [self.batches[name]] if name in self.batches else batches
            with torch.device("meta"):
                parameters = sum(weight.numel() for weight in make().parameters())
            rows = text[0] if text else 1
            for batch in batches:
                what = f"{name}, batch {batch}"
                if not self.in_time(what, 6.0 * parameters * rows * batch, STEP_SHARE * self.rate):
                    continue
                try:
                    row = self.step(make(), batch, text)
                except torch.OutOfMemoryError as error:
                    self.left_out.append({"what": what, "why": str(error)})
                    continue
                found.append({"model": name, "parameters": parameters, "batch": batch, **row})
                print(f"{what}, {parameters} parameters: {row['steps_per_s']:.2f} steps/s", flush=True)
                break
        return found

    def step(self, model: nn.Module, batch: int, text: tuple[int, int] | None) -> dict:
        model = model.to(self.device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
        # As starling has them: samples on the device, batches chosen by index.
        samples = 4 * batch
        if text:
            context, vocabulary = text
            windows = torch.randint(vocabulary, (samples, context + 1), device=self.device)
            inputs, labels = windows[:, :-1], windows[:, 1:]
        else:
            inputs = torch.rand(samples, 784, device=self.device)
            labels = torch.arange(samples, device=self.device) % 10
        order = [torch.randperm(samples, device=self.device)[:batch] for _ in range(16)]
        number = 0

        def once() -> None:
            nonlocal number
            rows = order[number % len(order)]
            number += 1
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs[rows]), labels[rows].reshape(-1)).backward()
            optimizer.step()

        begun, first = time.process_time(), number
        best = self.best(once)
        spent = time.process_time() - begun
        return {"steps_per_s": 1 / best, "steps_per_cpu_s": (number - first) / spent if spent else None}


def measure(arguments: argparse.Namespace) -> None:
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.cuda and not torch.cuda.is_available():
        sys.exit("--cuda: PyTorch finds no CUDA device; --cpu measures the processor")
    batches = dict(pair.rsplit("=", 1) for pair in arguments.batch)
    unknown = [name for name in batches if name not in [model[0] for model in MODELS]]
    if unknown:
        sys.exit(f"--batch: no model is named {unknown[0]!r}")
    name = torch.cuda.get_device_name() if arguments.cuda else "CPU"
    sizes = {name: int(batch) for name, batch in batches.items()}
    rival = Rival("cuda" if arguments.cuda else "cpu", arguments.seconds, sizes)
    copy_gbs = rival.copy()
    report = {
        "rival": f"PyTorch {torch.__version__}",
        "device": name,
        "threads": torch.get_num_threads(),
        "tf32": False,
        "budget_s": arguments.seconds,
        "copy_gbs": copy_gbs,
        "adam": rival.adam(copy_gbs),
        "matmul": rival.matmul(),
        "steps": rival.steps(),
        "left_out": rival.left_out,
    }
    for left in rival.left_out:
        print(f"left out {left['what']}: {left['why']}")
    if arguments.json:
        text = json.dumps(report, indent=2) + "\n"
        sys.stdout.write(text) if arguments.json == "-" else Path(arguments.json).write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cuda", action="store_true", help="measure on the first CUDA device")
    where.add_argument("--cpu", action="store_true", help="measure on the processor")
    parser.add_argument("--json", metavar="FILE", help="with --cuda or --cpu: write the figures; - is standard output")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--threads", type=int, help="of the processor")
    parser.add_argument("--batch", action="append", default=[], metavar="MODEL=N", help="another batch than the first that fits")
    arguments = parser.parse_args()
    if arguments.cuda or arguments.cpu:
        return measure(arguments)
    rounds = [(pytorch(), starling()) for _ in range(ROUNDS)]
    for theirs, ours in rounds:
        print(f"PyTorch {torch.__version__}, 1 thread: {theirs:.0f} steps a processor second; starling: {ours:.0f}; ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
