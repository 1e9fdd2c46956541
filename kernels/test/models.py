"""Small ONNX models with dense and with sparse nodes, for the integration test and the benchmark."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "prune_compile"


def sparse(weights):
    """The values that are not zero, in order, and one bit per weight."""
    kept = weights.ravel() != 0
    return weights.ravel()[kept].astype(np.float32), np.packbits(kept, bitorder="little")


def prune(weights, zeros, rng):
    """Sets a random share of the weights to zero."""
    return np.where(rng.random(weights.shape) < zeros, 0, weights).astype(np.float32)


class Graph:
    def __init__(self):
        self.nodes, self.initializers, self.infos, self.count = [], [], [], 0

    def constant(self, array):
        self.count += 1
        name = f"w{self.count}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, operands, domain="", shape=None, /, **attributes):
        self.count += 1
        out = f"{kind}_{self.count}"
        self.nodes.append(helper.make_node(kind, operands, [out], name=out, domain=domain, **attributes))
        if shape is not None:
            self.infos.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, shape))
        return out

    def sparse_conv(self, x, weights, bias, residual=None, group=1, shape=None, **attributes):
        values, bits = sparse(weights)
        inputs = [x, self.constant(values), self.constant(bits), self.constant(bias) if bias is not None else ""]
        if residual is not None:
            inputs.append(residual)
        elif bias is None:
            inputs.pop()
        return self.node(
            "SparseConv",
            inputs,
            DOMAIN,
            shape,
            channels=weights.shape[1] * group,
            filters=weights.shape[0],
            group=group,
            kernel_shape=list(weights.shape[2:]),
            **attributes,
        )

    def sparse_chain(self, x, steps, residuals, activations, shape=None, **changes):
        """`steps` are pairs of weights and bias; each reads the one before."""
        inputs = [x]
        for weights, bias in steps:
            values, bits = sparse(weights)
            inputs += [self.constant(values), self.constant(bits), self.constant(bias)]
        attributes = {
            "channels": [w.shape[1] for w, _ in steps],
            "filters": [w.shape[0] for w, _ in steps],
            "group": [1] * len(steps),
            "kernel_shape": [k for w, _ in steps for k in w.shape[2:]],
            "sources": list(range(len(steps))),
            "residuals": residuals,
            "activations": " ".join(activations),
            **changes,
        }
        attributes = {k: a for k, a in attributes.items() if a is not None}
        return self.node("SparseChain", inputs, DOMAIN, shape, **attributes)

    def model(self, inputs, outputs):
        def infos(named):
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in named]

        graph = helper.make_graph(self.nodes, "g", infos(inputs), infos(outputs), self.initializers, value_info=self.infos)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def planes(height, width):
    """The blocked layout's pitch, lead and stride; see README.md."""

    def tiles(p):
        return ((height - 1) * p + width + 15) // 16

    pitch = width + 1
    wide = (pitch + 15) // 16 * 16
    if tiles(wide) <= tiles(pitch):
        pitch = wide
    lead = (pitch + 1 + 15) // 16 * 16
    stride = 16 * tiles(pitch) + lead
    if stride // 16 % 2 == 0:
        stride += 16
    return pitch, lead, stride


def blocked_size(channels, height, width):
    _, lead, stride = planes(height, width)
    return 16 + lead + channels * stride
