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
    for name, module in list(model.named_modules()):
        own = {key.rpartition(".")[2]: value for key, value in state.items() if key.rpartition(".")[0] == name}
        size = own.get("weight", own.get("running_mean"))
        if isinstance(module, (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)) and not own:
            # A normalisation without parameters was folded into its convolution, or is gone with it.
            parent, _, attribute = name.rpartition(".")
            gone = Gone(module.stride) if isinstance(module, nn.modules.conv._ConvNd) else nn.Identity()
            setattr(model.get_submodule(parent), attribute, gone)
            continue
        for key, value in own.items():
            if key in module._buffers:
                module._buffers[key] = value
            else:
                setattr(module, key, nn.Parameter(value))
        if isinstance(module, nn.modules.conv._ConvNd):
            module.groups = groups[f"{name}.weight"]
            inner, outer = size.shape[1] * module.groups, size.shape[0]
            if module.transposed:
                inner, outer = outer, inner
            module.in_channels, module.out_channels = inner, outer
        elif isinstance(module, nn.Linear):
            module.out_features, module.in_features = size.shape
        elif isinstance(module, nn.modules.batchnorm._NormBase):
            module.num_features = len(size)
    model.load_state_dict(state)  # strict: all is there, and nothing else
    return model

def train(model, x, steps=5, report=print):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    model.train()
    for step in range(steps):
        start = time.perf_counter()
        loss = nn.functional.cross_entropy(model(x), torch.arange(len(x)) % 10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report(f"step {step}: loss {loss.item():.4f}, {(time.perf_counter() - start) * 1000:.1f} ms")

if __name__ == "__main__":
    factory, kept, weights, onnx = sys.argv[1:]
    module, function = factory.split(":")
    model = narrow(getattr(importlib.import_module(module), function)(), json.load(open(kept)), load_file(weights)).eval()
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    x = torch.randn(4, *session.get_inputs()[0].shape[1:])
    expected = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    print("largest difference", (model(x) - expected).abs().max().item(), "of", expected.abs().max().item())
    train(model, x)
