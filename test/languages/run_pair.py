"""What the documentation says of Python, done: run_pair.py LIBRARY DENSE SPARSE INPUT EXTENT...

Prints one JSON object: how the two models compare, and what a session without the library says.
"""

import json
import sys

import numpy
import onnxruntime

library, dense_path, sparse_path, name, *extents = sys.argv[1:]


def session(path, threads=1, registers=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if registers:
        options.register_custom_ops_library(library)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


feed = {name: numpy.random.default_rng(3).normal(size=[int(e) for e in extents]).astype(numpy.float32)}
(dense,) = session(dense_path, registers=False).run(None, feed)
# Two sessions of one model at the same time share their code; runs are repeated in each.
sessions = [session(sparse_path, threads) for threads in (1, 2)]
results = [one.run(None, feed)[0] for one in sessions for _ in range(3)]
del sessions
results.append(session(sparse_path).run(None, feed)[0])

try:
    session(sparse_path, registers=False)
    refused = None
except Exception as error:
    refused = str(error)

print(
    json.dumps(
        {
            "version": onnxruntime.__version__,
            "shapes": [list(dense.shape), list(results[0].shape)],
            "error": float(numpy.abs(results[0] - dense).max() / numpy.abs(dense).max()),
            "distinct": len({result.tobytes() for result in results}),
            "refused": refused,
        }
    )
)
