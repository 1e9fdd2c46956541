"""What docs/retrain.md says, done with PyTorch: trained_resnet.py make | train FILE...

make writes, into the current folder, a small ResNet of torchvision's structure after a few training steps: masks.pth as
torch.nn.utils.prune makes it, and the dense network by both exporters. train NAME... builds each NAME's narrow network by docs/retrain.py,
loads its state dict (strict), compares it with the compiled model, and trains it on. Prints one JSON object.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune
from torchvision.models import resnet

warnings.simplefilter("ignore")
torch.set_num_threads(1)
WIDTHS = [8, 16, 16, 16]


class Narrow(resnet.ResNet):
    """torchvision's own class, with fewer channels than its constructor allows."""

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        width = WIDTHS[{64: 0, 128: 1, 256: 2, 512: 3}[planes]]
        return super()._make_layer(block, width, blocks, stride, dilate)


def make_net():
    torch.manual_seed(0)
    net = Narrow(resnet.BasicBlock, [2, 2, 2, 2], num_classes=10)
    net.fc = nn.Linear(WIDTHS[3], 10)
    return net


def trained():
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    for _ in range(3):
        loss = nn.functional.cross_entropy(net(torch.randn(8, 3, 32, 32)), torch.randint(0, 10, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def make():
    net = trained()
    x = (torch.randn(4, 3, 32, 32),)
    quiet = {"verbose": False}
    torch.onnx.export(net, x, "torchscript.onnx", input_names=["input"], dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE)
    torch.onnx.export(net, x, "folded.onnx", input_names=["input"], dynamo=False)
    torch.onnx.export(net, x, "dynamo.onnx", input_names=["input"], dynamo=True, external_data=False, **quiet)
    torch.onnx.export(net, x, "unoptimised.onnx", input_names=["input"], dynamo=True, optimize=False,
                      external_data=False, **quiet)
    equal = torch.equal(net.layer2[0].bn2.bias, net.layer2[0].downsample[1].bias)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            prune.ln_structured(module, "weight", amount=0.5, n=2, dim=0)
    torch.save(net.state_dict(), "masks.pth")
    torch.onnx.export(net, x, "hooks.onnx", input_names=["input"], dynamo=True, external_data=False, **quiet)
    return {"equal": equal, "keys": sorted(make_net().state_dict())}


def train(name):
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
    import onnxruntime
    import retrain
    from safetensors.torch import load_file

    state = load_file(f"{name}.safetensors")
    kept = json.loads(Path(f"{name}.json").read_text())
    model = retrain.narrow(make_net(), kept, state).eval()
    session = onnxruntime.InferenceSession(f"{name}.small.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(4, 3, 32, 32)
    expected = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    with torch.no_grad():
        difference = (model(x) - expected).abs().max() / expected.abs().max()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    retrain.train(model, x, steps=3, report=lambda line: None)
    moved = sum(not torch.equal(old, new) for old, new in zip(before, model.parameters()))
    return {
        "keys": sorted(state),
        "difference": difference.item(),
        "unheld": len(kept["unheld"]),
        "finite": all(bool(parameter.isfinite().all()) for parameter in model.parameters()),
        "moved": moved / len(before),
    }


if __name__ == "__main__":
    stage, *names = sys.argv[1:]
    found = make() if stage == "make" else {name: train(name) for name in names}
    found["versions"] = torch.__version__
    print("\n" + json.dumps(found))
