"""Builds the narrow network from the original module, checks it against the compiled model, and trains it on.

    prune-compile model.onnx -o small.onnx --channels kept.json --state-dict small.safetensors
    python retrain.py package.module:make_net kept.json small.safetensors small.onnx
"""
import importlib, json, sys, time
import onnxruntime, torch
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, '')  # modules beside you, not beside this script

class Gone(nn.Module):
    """A convolution of which nothing is left: one channel of zeros, which adds to any width."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.zeros_like(x[:, :1, :: self.stride[0], :: self.stride[1]])

def narrow(model, kept, state):
    groups = {weight["parameter"]: weight["groups"] for weight in kept["weights"]}
    for name, old in list(model.named_modules()):
        weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
        if isinstance(old, nn.Conv2d):
            g = groups.get(f"{name}.weight")
            new = Gone(old.stride) if weight is None else nn.Conv2d(
                weight.shape[1] * g, weight.shape[0], old.kernel_size, old.stride, old.padding, old.dilation, g,
                bias is not None, old.padding_mode)
        elif isinstance(old, nn.Linear) and weight is not None:
            new = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
        elif isinstance(old, nn.BatchNorm2d):  # without parameters it was folded into its convolution, or is gone too
            new = nn.Identity() if weight is None else nn.BatchNorm2d(len(weight), old.eps, old.momentum)
        else:
            continue
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, new)
    model.load_state_dict(state)
    return model

def train(model, x, steps=5):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()
    for step in range(steps):
        start = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x), torch.arange(len(x)) % 10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: loss {loss.item():.4f}, {(time.perf_counter() - start) * 1000:.1f} ms")

if __name__ == "__main__":
    factory, kept, weights, onnx = sys.argv[1:]
    module, function = factory.split(":")
    model = narrow(getattr(importlib.import_module(module), function)(), json.load(open(kept)), load_file(weights)).eval()
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    x = torch.randn(4, *session.get_inputs()[0].shape[1:])
    expected = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    print("largest difference", (model(x) - expected).abs().max().item(), "of", expected.abs().max().item())
    train(model, x)
