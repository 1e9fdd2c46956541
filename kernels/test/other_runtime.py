"""Runs the library in another build of ONNX Runtime, through its C API:

    python other_runtime.py LIBRARY LIBONNXRUNTIME

Compares a chain Enter, SparseConv, Leave with numpy; also that an attribute of the wrong type and an older API version are refused with a
message.
"""

import ctypes
import sys

try:
    import numpy as np

    from models import DOMAIN, Graph, prune
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

P = ctypes.c_void_p
FLOAT = 1


def main():
    library, runtime = sys.argv[1:]
    ort = ctypes.CDLL(runtime)
    ort.OrtGetApiBase.restype = ctypes.POINTER(P)
    base = ort.OrtGetApiBase()
    version = ctypes.CFUNCTYPE(ctypes.c_char_p)(base[1])().decode()
    table = ctypes.CFUNCTYPE(ctypes.POINTER(P), ctypes.c_uint32)(base[0])(18)

    def call(slot, *arguments):
        """Integers must come as ctypes values; a status that is not null is an error."""
        status = ctypes.CFUNCTYPE(P, *[type(a) for a in arguments])(table[slot])(*arguments)
        if status:
            raise RuntimeError(ctypes.CFUNCTYPE(ctypes.c_char_p, P)(table[2])(status).decode())

    def made(slot, *arguments):
        out = P()
        call(slot, *arguments, ctypes.pointer(out))
        return out

    rng = np.random.default_rng(1)
    w = prune(rng.normal(size=(8, 5, 1, 1)), 0.6, rng)
    x = rng.normal(size=(2, 5, 9, 11)).astype(np.float32)
    g = Graph()
    blocked = {"x_layout": "internal", "y_layout": "internal"}
    y = g.node("Leave", [g.sparse_conv(g.node("Enter", ["x"], DOMAIN), w, None, activation="Relu", **blocked)], DOMAIN)
    model = g.model([("x", list(x.shape))], [(y, [2, 8, 9, 11])]).SerializeToString()

    environment = made(3, ctypes.c_int(3), ctypes.c_char_p(b"test"))
    options = made(10)
    call(228, options, ctypes.c_char_p(library.encode()))
    session = made(8, environment, ctypes.c_char_p(model), ctypes.c_size_t(len(model)), options)
    memory = made(69, ctypes.c_int(0), ctypes.c_int(0))
    shape = (ctypes.c_int64 * 4)(*x.shape)
    data = P(x.ctypes.data)
    tensor = made(49, memory, data, ctypes.c_size_t(x.nbytes), ctypes.pointer(shape), ctypes.c_size_t(4), ctypes.c_int(FLOAT))
    names, results = (ctypes.c_char_p * 1)(b"x"), (ctypes.c_char_p * 1)(y.encode())
    inputs, outputs = (P * 1)(tensor.value), (P * 1)()
    one = ctypes.c_size_t(1)
    call(9, session, P(), ctypes.pointer(names), ctypes.pointer(inputs), one, ctypes.pointer(results), one, ctypes.pointer(outputs))
    result = made(51, P(outputs[0]))
    got = np.ctypeslib.as_array(ctypes.cast(result, ctypes.POINTER(ctypes.c_float)), (2, 8, 9, 11))
    wanted = np.maximum(np.einsum("oc,nchw->nohw", w[:, :, 0, 0], x), 0)
    error = np.abs(got - wanted).max() / np.abs(wanted).max()
    assert error < 2e-6, error

    wrong = Graph()
    y = wrong.sparse_conv("x", w, None, activation=1)
    model = wrong.model([("x", list(x.shape))], [(y, [2, 8, 9, 11])]).SerializeToString()
    try:
        made(8, environment, ctypes.c_char_p(model), ctypes.c_size_t(len(model)), options)
        raise AssertionError("an attribute of the wrong type was accepted")
    except RuntimeError as refusal:
        assert f"node '{y}' (SparseConv): attribute 'activation' is not of type string" in str(refusal), refusal

    # The answer of a runtime that knows older versions only.
    register = ctypes.CDLL(library).RegisterCustomOps
    register.restype = P
    get = ctypes.CFUNCTYPE(P, ctypes.c_uint32)(lambda v: ctypes.cast(table, P).value if v < 18 else None)
    name = ctypes.CFUNCTYPE(P)(lambda: ctypes.cast(ctypes.c_char_p(b"1.17.3"), P).value)
    old = (P * 2)(ctypes.cast(get, P).value, ctypes.cast(name, P).value)
    status = register(options, ctypes.pointer(old))
    message = ctypes.CFUNCTYPE(ctypes.c_char_p, P)(table[2])(status).decode()
    assert "1.18 or newer" in message and "1.17.3" in message, message
    print(f"onnxruntime {version}: difference {error:.1e}; an older one is refused: {message}")


main()
