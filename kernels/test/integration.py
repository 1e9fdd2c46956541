"""Compares sparse nodes with ONNX Runtime's own operators, inside ONNX Runtime:

    python integration.py LIBRARY [cases]

Needs numpy, onnx and onnxruntime; says so and exits with 77 where they are missing.
"""

import os
import subprocess
import sys

try:
    import numpy as np
    import onnxruntime as ort

    from models import DOMAIN, Graph, blocked_size, prune, sparse
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

LIBRARY = sys.argv[1]
LIMIT = 2e-6
ACTIVATIONS = {
    "None": ({}, lambda g, x: x),
    "Relu": ({}, lambda g, x: g.node("Relu", [x])),
    "Clip": ({"alpha": 0.0, "beta": 6.0}, lambda g, x: g.node("Clip", [x, g.constant(np.float32(0)), g.constant(np.float32(6))])),
    "LeakyRelu": ({"alpha": 0.1}, lambda g, x: g.node("LeakyRelu", [x], alpha=0.1)),
    "Silu": ({}, lambda g, x: g.node("Mul", [x, g.node("Sigmoid", [x])])),
    "Sigmoid": ({}, lambda g, x: g.node("Sigmoid", [x])),
    "Tanh": ({}, lambda g, x: g.node("Tanh", [x])),
    "HardSwish": ({}, lambda g, x: g.node("HardSwish", [x])),
    "HardSigmoid": ({"alpha": 0.2, "beta": 0.5}, lambda g, x: g.node("HardSigmoid", [x], alpha=0.2, beta=0.5)),
}


def session(model, threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(LIBRARY)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def compare(what, dense, others, feeds):
    """Runs `dense` once, each of `others` at one and two threads; these must agree to the bit."""
    wanted = session(dense)
    for feed in feeds:
        expected = wanted.run(None, feed)[0]
        for name, model in others.items():
            results = [session(model, threads).run(None, feed)[0] for threads in (1, 2)]
            assert results[0].shape == expected.shape, (what, name, results[0].shape, expected.shape)
            assert np.array_equal(results[0], results[1], equal_nan=True), (what, name, "threads differ")
            if expected.size == 0:
                continue
            error = np.abs(results[0] - expected).max() / max(np.abs(expected).max(), 1e-3)
            assert error <= LIMIT, (what, name, error)
            compare.worst = max(getattr(compare, "worst", 0), error)
            compare.count = getattr(compare, "count", 0) + 1


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def random_conv(rng):
    group = int(pick(rng, 1, 1, 1, 2, 4))
    cin, cout = group * int(rng.integers(1, 20)), group * int(rng.integers(1, 40))
    kernel = [3, 3] if rng.random() < 0.5 else [int(rng.integers(1, 6)), int(rng.integers(1, 6))]
    strides = [int(pick(rng, 1, 2)), int(pick(rng, 1, 2, 3))]
    dilations = [int(pick(rng, 1, 1, 2)), int(pick(rng, 1, 1, 2))]
    pads = [int(rng.integers(0, 3)) for _ in range(4)]
    name = str(pick(rng, *ACTIVATIONS))
    parameters, build = ACTIVATIONS[name]
    weights = prune(rng.normal(size=(cout, cin // group, *kernel)), pick(rng, 0, 0.5, 0.8, 0.95, 1), rng)
    bias = rng.normal(size=cout).astype(np.float32)
    residual = rng.random() < 0.4
    geometry = {"strides": strides, "dilations": dilations, "pads": pads}
    size = [int((k - 1) * d + 1 + rng.integers(0, 20)) for k, d in zip(kernel, dilations)]
    out = [(s + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i, s in enumerate(size)]
    batch = int(pick(rng, 0, 1, 1, 3))

    inputs = [("x", ["n", cin, "h", "w"])] + ([("r", ["n", cout, "ho", "wo"])] if residual else [])
    dense = Graph()
    y = dense.node("Conv", ["x", dense.constant(weights), dense.constant(bias)], group=group, kernel_shape=kernel, **geometry)
    if residual:
        y = dense.node("Add", [y, "r"])
    y = build(dense, y)
    dense_model = dense.model(inputs, [(dense.node("Identity", [y]), None)])

    others = {}
    for layout in ("NCHW", "internal"):
        g = Graph()
        is_blocked = layout == "internal"
        x = g.node("Enter", ["x"], DOMAIN) if is_blocked else "x"
        r = None if not residual else g.node("Enter", ["r"], DOMAIN) if is_blocked else "r"
        y = g.sparse_conv(x, weights, bias, r, group, activation=name, x_layout=layout, y_layout=layout, **geometry, **parameters)
        y = g.node("Leave", [y], DOMAIN) if is_blocked else y
        others[layout] = g.model(inputs, [(y, None)])
    feeds = []
    for n, extra in ((batch, 0), (1, 3)):
        h, w = size[0] + extra * strides[0], size[1] + extra * strides[1]
        feed = {"x": rng.normal(size=(n, cin, h, w)).astype(np.float32)}
        if residual:
            feed["r"] = rng.normal(size=(n, cout, out[0] + extra, out[1] + extra)).astype(np.float32)
        feeds.append(feed)
    # Some versions of ONNX Runtime refuse an empty batch: there is no reference then.
    feeds = [f for f in feeds if f["x"].shape[0] > 0] if batch == 0 and not empty_batch_works() else feeds
    compare(("conv", name, kernel, geometry, group, cin, cout), dense_model, others, feeds)


def empty_batch_works():
    if not hasattr(empty_batch_works, "known"):
        g = Graph()
        y = g.node("Conv", ["x", g.constant(np.ones((1, 1, 1, 1), np.float32))], kernel_shape=[1, 1])
        try:
            session(g.model([("x", ["n", 1, 4, 4])], [(y, None)])).run(None, {"x": np.zeros((0, 1, 4, 4), np.float32)})
            empty_batch_works.known = True
        except Exception:
            empty_batch_works.known = False
    return empty_batch_works.known


def random_matmul(rng):
    k, n = int(rng.integers(1, 100)), int(rng.integers(1, 100))
    weights = prune(rng.normal(size=(k, n)), pick(rng, 0, 0.5, 0.8, 0.95, 1), rng)
    bias = rng.normal(size=n).astype(np.float32)
    lead = [int(v) for v in pick(rng, (1,), (0,), (7,), (2, 33), (2, 3, 50), (300,))]
    x = rng.normal(size=(*lead, k)).astype(np.float32)
    residual = rng.random() < 0.4
    inputs = [("x", [None] * x.ndim)] + ([("r", [None] * x.ndim)] if residual else [])
    dense = Graph()
    y = dense.node("Add", [dense.node("MatMul", ["x", dense.constant(weights)]), dense.constant(bias)])
    if residual:
        y = dense.node("Add", [y, "r"])
    y = dense.node("Relu", [y])
    others = {}
    for transposed in (0, 1):
        g = Graph()
        values, bits = sparse(weights.T if transposed else weights)
        y2 = g.node(
            "SparseMatMul",
            ["x", g.constant(values), g.constant(bits), g.constant(bias)] + (["r"] if residual else []),
            DOMAIN,
            in_features=k,
            out_features=n,
            transB=transposed,
            activation="Relu",
        )
        others[f"transB={transposed}"] = g.model(inputs, [(y2, None)])
    feed = {"x": x}
    if residual:
        feed["r"] = rng.normal(size=(*lead, n)).astype(np.float32)
    compare(("matmul", k, n, lead), dense.model(inputs, [(y, None)]), others, [feed])


def bottleneck(rng):
    """Three blocked convolutions and a residual. Static shapes let the runtime share buffers."""
    c, h, w = 24, 14, 14
    ws = [prune(rng.normal(size=s) * 0.2, 0.7, rng) for s in ((8, c, 1, 1), (8, 8, 3, 3), (c, 8, 1, 1))] * 2
    bs = [rng.normal(size=v.shape[0]).astype(np.float32) for v in ws]
    x = rng.normal(size=(2, c, h, w)).astype(np.float32)
    dense, blocked, chained, tiled = Graph(), Graph(), Graph(), Graph()
    d = dense.node("Relu", ["x"])
    enter = chained.node("Enter", [chained.node("Relu", ["x"])], DOMAIN)
    chain = chained.sparse_chain(enter, list(zip(ws, bs)), [-1, -1, 0, -1, -1, 3], ["Relu"] * 6, input_size=[h, w])
    z = chained.node("Leave", [chain], DOMAIN)
    s = blocked.node("Enter", [blocked.node("Relu", ["x"])], DOMAIN, [2, blocked_size(c, h, w)])
    # Every result but the last may be tile-major. What is said of inputs may be wrong: it only hints.
    t = tiled.node("Enter", [tiled.node("Relu", ["x"])], DOMAIN, [2, blocked_size(c, h, w)])
    for block in (0, 3):
        first, kept, kept_tiles = d, s, t
        for i in range(block, block + 3):
            k = ws[i].shape[2]
            pads = [k // 2] * 4
            d = dense.node("Conv", [d, dense.constant(ws[i]), dense.constant(bs[i])], kernel_shape=[k, k], pads=pads)
            last = i == block + 2
            d = dense.node("Relu", [dense.node("Add", [d, first]) if last else d])
            shape = [2, blocked_size(ws[i].shape[0], h, w)]
            attributes = {"activation": "Relu", "x_layout": "internal", "y_layout": "internal", "input_size": [h, w]}
            s = blocked.sparse_conv(s, ws[i], bs[i], kept if last else None, pads=pads, shape=shape, **attributes)
            hints = {name: int(rng.random() < 0.5) for name in ("x_tile_major", "residual_tile_major")}
            hints["y_tile_major"] = int(i + 1 < len(ws))
            t = tiled.sparse_conv(t, ws[i], bs[i], kept_tiles if last else None, pads=pads, shape=shape, **attributes, **hints)
    s = blocked.node("Leave", [s], DOMAIN)
    io = [("x", [2, c, h, w])]
    t = tiled.node("Leave", [t], DOMAIN)
    others = {"convolutions": blocked.model(io, [(s, None)]), "chain": chained.model(io, [(z, None)])}
    others["tile-major"] = tiled.model(io, [(t, None)])
    compare("bottleneck", dense.model(io, [(d, None)]), others, [{"x": x}])
    one, *rest = (session(model).run(None, {"x": x})[0] for model in others.values())
    assert all(np.array_equal(one, other) for other in rest), "a chain, tile-major images and planes differ"


def random_pool(rng):
    """
    Pools against ONNX Runtime's: maxima equal to the bit, with infinities as well. A window with a
    NaN is NaN here. Maxima of ONNX Runtime keep or lose a NaN, depending on its place. With strides of
    3 they take -inf as the least number.
    """
    is_mean = rng.random() < 0.5
    kernel = [int(rng.integers(1, 6)), int(rng.integers(1, 6))]
    attributes = {"kernel_shape": kernel, "strides": [int(pick(rng, 1, 2, 3)), int(pick(rng, 1, 2, 3))]}
    attributes["pads"] = [int(rng.integers(0, kernel[i % 2])) for i in range(4)]
    if not any(attributes["pads"]):
        attributes["ceil_mode"] = int(pick(rng, 0, 1))
    if is_mean:
        attributes["count_include_pad"] = int(pick(rng, 0, 1))
    kind = "AveragePool" if is_mean else "MaxPool"
    channels = int(rng.integers(1, 20))
    x = rng.normal(size=(int(pick(rng, 1, 1, 3)), channels, kernel[0] + int(rng.integers(0, 20)), kernel[1] + int(rng.integers(0, 20))))
    if rng.random() < 0.4:
        special = [np.nan, np.inf] + ([-np.inf] if max(attributes["strides"]) < 3 else [])
        x[rng.random(x.shape) < 0.1] = pick(rng, *special)
    dense, g = Graph(), Graph()
    y = dense.node(kind, ["x"], **attributes)
    z = g.node("Leave", [g.node(kind, [g.node("Enter", ["x"], DOMAIN)], DOMAIN, **attributes)], DOMAIN)
    io = [("x", ["n", channels, "h", "w"])]
    feed = {"x": x.astype(np.float32)}
    a = session(dense.model(io, [(y, None)])).run(None, feed)[0]
    b = session(g.model(io, [(z, None)]), 2).run(None, feed)[0]
    assert a.shape == b.shape, (kind, attributes, x.shape, a.shape, b.shape)
    if is_mean:
        assert np.allclose(a, b, rtol=0, atol=LIMIT * 4, equal_nan=True), (kind, attributes, x.shape)
    else:
        assert np.array_equal(np.where(np.isnan(b), np.nan, a), b, equal_nan=True), (kind, attributes, x.shape)


def stage(rng):
    """All operators between convolutions: Scale, Concat, Upsample, DepthwiseConv, means and so on."""
    w = prune(rng.normal(size=(12, 6, 3, 3)) * 0.3, 0.6, rng)
    kernels, bias = rng.normal(size=(12, 1, 5, 5)).astype(np.float32), rng.normal(size=12).astype(np.float32)
    dense, g = Graph(), Graph()
    y = dense.node("Conv", ["x", dense.constant(w)], pads=[1] * 4)
    z = g.sparse_conv("x", w, None, pads=[1] * 4, y_layout="internal")
    y = dense.node("Relu", [dense.node("Conv", [y, dense.constant(kernels), dense.constant(bias)], group=12, pads=[2] * 4, strides=[2, 2])])
    window = {"channels": 12, "kernel_shape": [5, 5], "pads": [2] * 4, "strides": [2, 2], "activation": "Relu"}
    z = g.node("DepthwiseConv", [z, g.constant(kernels), g.constant(bias)], DOMAIN, **window)
    y = dense.node("Mul", [y, dense.node("HardSigmoid", [dense.node("GlobalAveragePool", [y])])])
    z = g.node("Scale", [z, g.node("HardSigmoid", [g.node("GlobalAveragePool", [z], DOMAIN)])], DOMAIN)
    y = dense.node("Concat", [y, dense.node("Sigmoid", [y]), dense.node("Relu", [dense.node("Add", [y, y])])], axis=1)
    z = g.node("Concat", [z, g.node("Activate", [z], DOMAIN, activation="Sigmoid"), g.node("Add", [z, z], DOMAIN, activation="Relu")], DOMAIN)
    scales = dense.constant(np.float32([1, 1, 2, 2]))
    y = dense.node("Resize", [dense.node("Mul", [y, y]), "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    z = g.node("Upsample", [g.node("Mul", [z, z], DOMAIN)], DOMAIN)
    io = [("x", ["n", 6, "h", "w"])]
    feeds = [{"x": rng.normal(size=size).astype(np.float32)} for size in ((1, 6, 14, 14), (3, 6, 9, 31))]
    compare("stage", dense.model(io, [(y, None)]), {"stage": g.model(io, [(g.node("Leave", [z], DOMAIN), None)])}, feeds)
    empty = session(g.model(io, [(g.node("Leave", [z], DOMAIN), None)])).run(None, {"x": np.zeros((0, 6, 4, 4), np.float32)})[0]
    assert empty.shape == (0, 36, 4, 4), empty.shape


def refuses(what, build, words, feed=None):
    """A model that must be refused, with an error that names the node."""
    g = Graph()
    try:
        out = build(g)
        made = session(g.model([("x", [None] * (2 if feed is None else feed.ndim))], [(out, None)]))
        if feed is not None:
            made.run(None, {"x": feed})
    except Exception as error:
        assert words in str(error) and "node '" in str(error), (what, str(error))
        return
    raise AssertionError((what, "was accepted"))


def emits_code():
    """Whether sparse layers run emitted code here: it alone writes tile-major images."""
    with open("/proc/cpuinfo") as facts:
        return "avx512f" in facts.read() and os.environ.get("PRUNE_COMPILE_KERNEL", "jit") == "jit"


def errors(rng):
    w = prune(rng.normal(size=(4, 3, 1, 1)), 0.5, rng)
    values, bits = sparse(w)
    image = np.zeros((1, 3, 5, 5), np.float32)

    def conv(v=values, b=bits, **changes):
        attributes = {"channels": 3, "filters": 4, "kernel_shape": [1, 1], **changes}
        attributes = {k: a for k, a in attributes.items() if a is not None}
        return lambda g: g.node("SparseConv", ["x", g.constant(v), g.constant(b)], DOMAIN, **attributes)

    refuses("values", conv(v=values[1:]), "as many", image)
    refuses("bits", conv(b=np.append(bits, bits)), "one per weight", image)
    refuses("channels", conv(channels=0), "must be 1 to 16777216", image)
    refuses("missing", conv(filters=None), "'filters' is missing", image)
    refuses("group", conv(group=2), "group", image)
    refuses("pads", conv(pads=[-1, 0, 0, 0]), "pads", image)
    refuses("length", conv(strides=[1]), "wrong length", image)
    refuses("activation", conv(activation="Softmax"), "Softmax", image)
    refuses("layout", conv(x_layout="NHWC"), "x_layout", image)
    refuses("channels of x", conv(), "channels", np.zeros((1, 2, 5, 5), np.float32))
    refuses("rank", conv(), "four axes", np.zeros((3, 5, 5), np.float32))
    refuses("not internal", conv(x_layout="internal"), "internal layout", np.zeros((1, 200), np.float32))
    refuses("too small", conv(kernel_shape=[1, 1], dilations=[1, 1], input_size=[0, 1]), "input_size", image)
    for name, wrong, kind in (
        ("group", "2", "int"),
        ("group", 2.0, "int"),
        ("group", [1, 1], "int"),
        ("channels", 3.0, "int"),
        ("activation", 1, "string"),
        ("activation", ["Relu"], "string"),
        ("alpha", 1, "float"),
        ("beta", "6", "float"),
        ("alpha", [0.1, 0.2], "float"),
        ("kernel", 0, "string"),
        ("x_layout", 1.0, "string"),
        ("strides", 2, "ints"),
        ("pads", [0.0, 0.0, 0.0, 0.0], "ints"),
        ("dilations", "1,1", "ints"),
        ("input_size", [5.0, 5.0], "ints"),
    ):
        refuses(("type", name, wrong), conv(**{name: wrong}), f"'{name}' is {'empty, or ' * (kind == 'ints')}not of type {kind}", image)
    refuses("leave", lambda g: g.node("Leave", ["x"], DOMAIN), "internal layout", np.zeros((2, 99), np.float32))

    def entered(kind, *others, **attributes):
        return lambda g: g.node(kind, [g.node("Enter", ["x"], DOMAIN), *(other(g) for other in others)], DOMAIN, **attributes)

    refuses("pool kernel", entered("MaxPool", kernel_shape=[0, 1]), "kernel_shape", image)
    refuses("pool pads", entered("AveragePool", kernel_shape=[2, 2], pads=[2, 0, 0, 0]), "smaller than kernel_shape", image)
    refuses("pool too large", entered("MaxPool", kernel_shape=[6, 6]), "smaller than the kernel", image)
    refuses("pool ceil", entered("MaxPool", kernel_shape=[2, 2], ceil_mode=2), "ceil_mode", image)
    refuses("pool layout", lambda g: g.node("MaxPool", ["x"], DOMAIN, kernel_shape=[2, 2]), "internal layout", np.zeros((1, 99), np.float32))
    refuses("flag", entered("AveragePool", kernel_shape=[2, 2], count_include_pad=1.0), "'count_include_pad' is not of type int", image)
    product = lambda g: g.node("SparseMatMul", ["x", g.constant(values), g.constant(bits)], DOMAIN, in_features=3, out_features=4, transB=[1])
    refuses("product", product, "'transB' is not of type int", np.zeros((9, 3), np.float32))
    # Every image of a tensor carries the header.
    g = Graph()
    two = session(g.model([("x", [2, 3, 5, 5])], [(g.node("Enter", ["x"], DOMAIN), None)])).run(None, {"x": np.zeros((2, 3, 5, 5), np.float32)})[0]
    for place in range(16):
        other = two.copy()
        other.view(np.int32)[1, place] += 1
        refuses(("second header", place), lambda g: g.node("Leave", ["x"], DOMAIN), "different headers", other)
        refuses(("second header", place), conv(x_layout="internal"), "different headers", other)
    weights = lambda *size: lambda g: g.constant(np.ones(size, np.float32))
    refuses("depthwise", entered("DepthwiseConv", weights(3, 1, 3, 3), channels=3, kernel_shape=[3, 2]), "one kernel per channel", image)
    refuses("depthwise x", entered("DepthwiseConv", weights(2, 1, 1, 1), channels=2), "number of channels", image)
    pooled = lambda g: g.node("MaxPool", [g.node("Enter", ["x"], DOMAIN)], DOMAIN, kernel_shape=[2, 2])
    refuses("sizes", entered("Add", pooled), "different sizes", image)
    refuses("joined", entered("Concat", pooled), "different sizes", image)
    refuses("factors", entered("Scale", lambda g: "x"), "[N, C, 1, 1]", image)
    refuses("activation", entered("Activate", activation="Softsign"), "Softsign", image)
    chain_errors(image)
    computed = lambda g: g.node("SparseConv", ["x", g.node("Relu", ["x"]), g.constant(bits)], DOMAIN, channels=3, filters=4)
    refuses("computed", computed, "constants", image)

    def tile_major(g):
        x = g.node("Enter", ["x"], DOMAIN)
        blocked = {"x_layout": "internal", "y_layout": "internal"}
        attributes = {"channels": 3, "filters": 4, "kernel_shape": [1, 1], **blocked, "y_tile_major": 1}
        y = g.node("SparseConv", [x, g.constant(values), g.constant(bits)], DOMAIN, **attributes)
        return g.node("Leave", [y], DOMAIN)

    refuses("tile-major flag", conv(y_tile_major=2), "'y_tile_major' is neither 0 nor 1", image)
    if emits_code():
        refuses("tile-major", tile_major, "is tile-major", image)


def chain_errors(image):
    rng = np.random.default_rng(11)
    steps = [(rng.normal(size=s).astype(np.float32), np.zeros(s[0], np.float32)) for s in ((2, 3, 1, 1), (3, 2, 3, 3))]

    def chain(residuals=(-1, -1), activations=("Relu", "None"), enter=True, **changes):
        def build(g):
            x = g.node("Enter", ["x"], DOMAIN) if enter else "x"
            return g.sparse_chain(x, steps, list(residuals), activations, **changes)

        return build

    refuses("chain layout", chain(enter=False), "internal layout", np.zeros((1, 99), np.float32))
    refuses("chain lists", chain(channels=[3]), "'channels' must have 2 items", image)
    refuses("chain missing", chain(group=None), "'group' must have 2 items", image)
    refuses("chain no filters", chain(filters=None), "filters", image)
    refuses("chain kernels", chain(kernel_shape=[1, 1, 5, 5]), "kernel_shape must be 1 or 3", image)
    refuses("chain activations", chain(activations=("Relu",)), "activations must name one per step", image)
    refuses("chain activation", chain(activations=("Relu", "Softmax")), "Softmax", image)
    refuses("chain alphas", chain(alphas=[1.0]), "alphas and betas", image)
    refuses("chain alphas", chain(alphas=[1, 2]), "'alphas' is empty, or not of type floats", image)
    refuses("chain later source", chain(sources=[0, 2]), "must be read", image)
    refuses("chain far source", chain(sources=[0, 99]), "earlier steps", image)
    refuses("chain unread", chain(sources=[0, 0], channels=[3, 3]), "must be read", image)
    refuses("chain residual", chain(residuals=(-1, 1)), "a residual must be an earlier result", image)
    refuses("chain channels of x", chain(), "number of channels", np.zeros((1, 4, 5, 5), np.float32))
    refuses("chain bits", chain(filters=[4, 3]), "one value per filter", image)
    refuses("chain size", chain(input_size=[0, 1]), "input_size", image)


def special_values(rng):
    """NaN and infinities behave as in ONNX Runtime if no weight is removed."""
    w = rng.normal(size=(5, 3, 1, 1)).astype(np.float32)
    x = rng.normal(size=(1, 3, 4, 4)).astype(np.float32)
    x[0, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    x[0, 1, 1, 1] = 1e-42
    for name in ("None", "Relu", "Clip", "LeakyRelu"):
        parameters, build = ACTIVATIONS[name]
        dense, g = Graph(), Graph()
        y = build(dense, dense.node("Conv", ["x", dense.constant(w)], kernel_shape=[1, 1]))
        z = g.sparse_conv("x", w, None, activation=name, **parameters)
        io = [("x", [1, 3, 4, 4])]
        a = session(dense.model(io, [(y, None)])).run(None, {"x": x})[0]
        b = session(g.model(io, [(z, None)])).run(None, {"x": x})[0]
        assert np.array_equal(np.isnan(a), np.isnan(b)), (name, "NaN", a[0, :, 0], b[0, :, 0])
        assert np.array_equal(a[np.isinf(a)], b[np.isinf(a)]), (name, "infinities")


def main():
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    rng = np.random.default_rng(7)
    errors(rng)
    special_values(rng)
    bottleneck(rng)
    stage(rng)
    for i in range(cases):
        (random_matmul if i % 4 == 3 else random_conv)(rng)
        random_pool(rng)
    forced = os.environ.get("PRUNE_COMPILE_KERNEL", "automatic")
    print(f"onnxruntime {ort.__version__}, kernel {forced}: {compare.count} comparisons, largest difference {compare.worst:.1e} of the output's scale")
    if forced == "automatic":
        sys.exit(subprocess.run([sys.executable, *sys.argv], env={**os.environ, "PRUNE_COMPILE_KERNEL": "stream"}).returncode)


main()
