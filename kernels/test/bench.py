"""Measures ResNet-50 with pruned weights: dense and sparse convolutions, in interleaved rounds.

    python bench.py LIBRARY [--zeros 60,80,90,95] [--rounds 15] [--threads 1] [--batch 1] [--peak PROGRAM]

The stem and the classifier stay dense. Weights are random, zeros are anywhere.
"""

import argparse
import os
import subprocess
import time

import numpy as np
import onnxruntime as ort

from models import DOMAIN, Graph, blocked_size, prune

STAGES = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]


def weights(rng, zeros, cout, cin, k):
    kept = cin * k * k * (1 - zeros)
    w = prune(rng.normal(size=(cout, cin, k, k)) * np.sqrt(2 / kept), zeros, rng)
    return w, (rng.normal(size=cout) * 0.1).astype(np.float32)


def resnet50(zeros, batch, is_sparse, seed=3):
    """Both kinds draw the same numbers in the same order."""
    rng = np.random.default_rng(seed)
    g = Graph()
    stem, stem_bias = weights(rng, 0, 64, 3, 7)

    def dense_conv(x, w, b, pads, strides=(1, 1), relu=True, residual=None):
        k = list(w.shape[2:])
        y = g.node("Conv", [x, g.constant(w), g.constant(b)], kernel_shape=k, pads=pads, strides=list(strides))
        y = g.node("Add", [y, residual]) if residual else y
        return g.node("Relu", [y]) if relu else y

    def conv(x, size, cin, cout, k, stride, relu=True, residual=None):
        w, b = weights(rng, zeros, cout, cin, k)
        if residual is not None:
            w, b = w * np.float32(0.3), b
        pads, out = [k // 2] * 4, size // stride
        if not is_sparse:
            return dense_conv(x, w, b, pads, (stride, stride), relu, residual)
        return g.sparse_conv(
            x,
            w,
            b,
            residual,
            shape=[batch, blocked_size(cout, out, out)],
            pads=pads,
            strides=[stride, stride],
            activation="Relu" if relu else "None",
            x_layout="internal",
            y_layout="internal",
            input_size=[size, size],
        )

    x = dense_conv("x", stem, stem_bias, [3] * 4, (2, 2))
    x = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    size, cin = 56, 64
    if is_sparse:
        x = g.node("Enter", [x], DOMAIN, [batch, blocked_size(cin, size, size)])
    for width, blocks, first_stride in STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            y = conv(x, size, cin, width, 1, 1)
            y = conv(y, size, width, width, 3, stride)
            kept = conv(x, size, cin, 4 * width, 1, stride, relu=False) if block == 0 else x
            size //= stride
            x = conv(y, size, width, 4 * width, 1, 1, residual=kept)
            cin = 4 * width
    if is_sparse:
        x = g.node("Leave", [x], DOMAIN)
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])])
    last = (rng.normal(size=(1000, 2048)) * 0.02).astype(np.float32)
    x = g.node("Gemm", [x, g.constant(last), g.constant(np.zeros(1000, np.float32))], transB=1)
    return g.model([("x", [batch, 3, 224, 224])], [(x, [batch, 1000])])


def session(model, library, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.register_custom_ops_library(library)
    start = time.perf_counter()
    made = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return made, time.perf_counter() - start


def once(made, feed):
    start = time.perf_counter()
    made.run(None, feed)
    return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--zeros", default="60,80,90,95")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--peak")
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    feed = {"x": rng.normal(size=(args.batch, 3, 224, 224)).astype(np.float32)}
    print(f"onnxruntime {ort.__version__}, {args.threads} thread(s), batch {args.batch}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for zeros in [float(z) / 100 for z in args.zeros.split(",")]:
        models = {kind: resnet50(zeros, args.batch, kind == "sparse") for kind in ("dense", "sparse")}
        sessions, created = {}, {}
        for kind, model in models.items():
            sessions[kind], created[kind] = session(model, args.library, args.threads)
        results = {kind: made.run(None, feed)[0] for kind, made in sessions.items()}
        error = np.abs(results["dense"] - results["sparse"]).max() / np.abs(results["dense"]).max()
        times, peaks = {kind: [] for kind in sessions}, []
        for _ in range(args.rounds):
            for kind, made in sessions.items():
                times[kind].append(once(made, feed))
            if args.peak:
                peaks.append(float(subprocess.run([args.peak], capture_output=True, text=True).stdout or "nan"))
        dense, sparse = np.array(times["dense"]), np.array(times["sparse"])
        low, middle, high = np.percentile(dense / sparse, [25, 50, 75])
        share = ""
        if peaks:
            # Two operations per multiply-add: of the pruned layers, and of the stem and the classifier.
            rate = (7.9e9 * args.batch * (1 - zeros) + 0.25e9 * args.batch) / np.median(sparse) / 1e6
            share = f", {rate / np.median(peaks) / args.threads:.0%} of the FMA peak ({np.median(peaks):.0f} GFLOP/s) on the weights kept"
        print(
            f"{zeros:.0%} zeros: dense {np.median(dense):.1f} ms, sparse {np.median(sparse):.1f} ms (best {dense.min():.1f} / {sparse.min():.1f}); "
            f"{middle:.2f}x [{low:.2f} {high:.2f}], best/best {dense.min() / sparse.min():.2f}x; difference {error:.1e}; "
            f"created in {created['dense'] * 1e3:.0f} / {created['sparse'] * 1e3:.0f} ms{share}",
            flush=True,
        )
    print(f"load afterwards {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
