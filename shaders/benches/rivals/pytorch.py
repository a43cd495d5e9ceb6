#!/usr/bin/env python3
"""A training step by PyTorch on one thread, beside starling's CPU executor in the same run.

    pip install torch            # any release with fused Adam on the CPU: 2.4 or newer
    python3 shaders/benches/rivals/pytorch.py

784-128-10, batch 64, Adam, batches chosen by index as starling chooses them. Counts steps a second of processor time, which other work on
the machine spoils less than wall time; rounds of both take turns.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 3
SECONDS = 3.0
SHAPE = "784-128-10_batch_64"


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


def main() -> None:
    rounds = [(pytorch(), starling()) for _ in range(ROUNDS)]
    for theirs, ours in rounds:
        print(f"PyTorch {torch.__version__}, 1 thread: {theirs:.0f} steps a processor second; starling: {ours:.0f}; ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
