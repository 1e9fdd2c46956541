"""The installed package: use_wheel.py DENSE SPARSE INPUT EXTENTS FOLDER COMMAND..."""

import json
import os
import sys

import numpy
import onnxruntime
import prune_compile

dense_path, sparse_path, name, extents, folder, *command = sys.argv[1:]
feed = {name: numpy.random.default_rng(3).normal(size=[int(e) for e in extents.split(",")]).astype(numpy.float32)}


def run(path, registers):
    options = onnxruntime.SessionOptions()
    if registers:
        prune_compile.register(options)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feed)[0]


dense, sparse = run(dense_path, False), run(sparse_path, True)
output = os.path.join(folder, "out.onnx")
report = prune_compile.compile(dense_path, output, command=command, align=4, structured=True)
try:
    prune_compile.compile(os.path.join(folder, "nothing.onnx"), command=command)
    failure = None
except prune_compile.CompileError as error:
    failure = [error.code, error.exit_code]
print(
    json.dumps(
        {
            "library": prune_compile.library_path(),
            "error": float(numpy.abs(sparse - dense).max() / numpy.abs(dense).max()),
            "equal": report["verification"]["equal"],
            "sizes": [os.path.getsize(output) == report["after"]["sizeBytes"], report["output"] == output],
            "failure": failure,
        }
    )
)
