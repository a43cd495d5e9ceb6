"""Asks PyTorch and onnxruntime what an exported model says, and compares with what starling said.

usage: check_export.py CONFIG.json MODEL.safetensors PREDICTIONS.json INPUT.idx|INPUT.npy [MODEL.onnx]

CONFIG.json and PREDICTIONS.json are those of starling (config.json of a checkpoint, predict --json). PyTorch's model is written here by
hand from the configuration, so that a mistake of the exporter is not repeated; it is given normalised samples, the graph the raw ones. Prints the largest differences; exit code 1 above 1e-4.
"""

import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

LIMIT = 1e-4


def idx(path):
    with open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    extents = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(extents).astype(np.float32) / 255


def channels_first(x):
    # [n, H, W] or [n, H, W, C] -> [n, C, H, W]
    return x[:, None] if x.ndim == 3 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def perceptron(x, weights, hidden):
    for i in range(hidden + 1):
        x = F.linear(x, weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"])
        if i < hidden:
            x = F.relu(x)
    return x


def groups(channels):
    return channels // 8 if channels % 8 == 0 else 1


def cnn(x, w, spec):
    def conv(x, name, stride=1, padding=1):
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride, padding=padding)

    def norm(x, name):
        return F.group_norm(x, groups(x.shape[1]), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

    if spec["residual_blocks"] == 0:
        for i in range(len(spec["channels"])):
            x = F.max_pool2d(F.relu(conv(x, f"convolutions.{i}")), 2)
    else:
        x = F.relu(conv(x, "stem"))
        for stage, channels in enumerate(spec["channels"]):
            for block in range(spec["residual_blocks"]):
                name = f"stages.{stage}.blocks.{block}"
                stride = 2 if stage > 0 and block == 0 else 1
                h = F.relu(norm(conv(x, f"{name}.conv1", stride), f"{name}.norm1"))
                h = norm(conv(h, f"{name}.conv2"), f"{name}.norm2")
                if f"{name}.shortcut.weight" in w:
                    x = conv(x, f"{name}.shortcut", stride, 0)
                x = F.relu(h + x)
        x = F.adaptive_avg_pool2d(x, 1)
    return perceptron(x.flatten(1), w, len(spec["hidden"]))


def main(config, weights, predictions, inputs, graph=None):
    config = json.load(open(config))["starling"]
    said = np.array([p["logits"] for p in json.load(open(predictions))["predictions"]], np.float32)
    x, model = np.load(inputs).astype(np.float32) if inputs.endswith(".npy") else idx(inputs), config["model"]
    raw, normalization = x, config["encoding"]["normalization"]
    if normalization is not None:
        mean, deviation = (np.array(normalization[key], np.float32).reshape(x.shape[1:]) for key in ("mean", "deviation"))
        x = (x - mean) / deviation
    if model["kind"] == "cnn":
        raw, x = channels_first(raw), channels_first(x)
    w = load_file(weights)
    worst = {}
    with torch.no_grad():
        t = torch.from_numpy(x)
        out = cnn(t, w, model) if model["kind"] == "cnn" else perceptron(t.flatten(1), w, len(model["hidden"]))
    worst["torch"] = float(np.abs(out.numpy() - said).max())
    if graph is not None:
        import onnx
        import onnxruntime

        onnx.checker.check_model(onnx.load(graph), full_check=True)
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        out = session.run(["logits"], {"input": raw})[0]
        worst["onnxruntime"] = float(np.abs(out - said).max())
    print(json.dumps({"samples": len(said), "largest_logit": float(np.abs(said).max()), **worst}))
    return 0 if all(w <= LIMIT for w in worst.values()) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
