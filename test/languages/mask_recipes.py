"""The recipes of docs/masks.md with their tools: mask_recipes.py PAGE, into the current folder.

Each block of code is run as the page has it. What it writes is kept as RECIPE/FILE beside the dense model.onnx, input.npy and
what the pruned network computes, expected.npy. Prints the recipes that were run, with the versions of the tools.
"""

import copy
import importlib.metadata
import json
import os
import re
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy
import onnx
import torch
import torch_pruning
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelPruning
from torch import nn
from torch.nn.utils import prune

warnings.simplefilter("ignore")
torch.set_num_threads(1)
PAGE = Path(sys.argv[1]).read_text()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=1, bias=False)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def code_of(recipe):
    found = re.search(rf"^\*\*{re.escape(recipe)}[^\n]*\n.*?^```python\n(.*?)^```", PAGE, re.M | re.S)
    return found.group(1)


def masked_net(net):
    for module in (net.conv1, net.conv2, net.fc):
        prune.ln_structured(module, "weight", amount=0.5, n=2, dim=0)
    return net


torch.manual_seed(0)
dense = Net().eval()
x = torch.randn(2, 3, 8, 8)
ran = {}


def recipe(name, pruned, **names):
    """Runs the code with these names; `pruned` computes what the masks mean."""
    folder = Path(name.split(",")[0].split(" ")[0].lower() + str(len(ran)))
    folder.mkdir()
    os.chdir(folder)
    torch.onnx.export(dense, (x,), "model.onnx", input_names=["x"], dynamo=False)
    before = set(os.listdir())
    scope = {"torch": torch, "numpy": numpy, "onnx": onnx, "prune": prune, "x": x, **names}
    exec(code_of(name), scope)
    made = sorted(set(os.listdir()) - before)
    numpy.save("input.npy", x.numpy())
    with torch.no_grad():
        numpy.save("expected.npy", pruned(scope)(x).numpy())
    os.chdir("..")
    ran[str(folder)] = {"recipe": name, "files": [file for file in made if file != "input.npy"]}


def structured(net):
    return lambda scope: net


net = copy.deepcopy(dense)
recipe("PyTorch, `torch.nn.utils.prune`", structured(net), model=net)

net = masked_net(copy.deepcopy(dense))
recipe("PyTorch, masks alone", structured(net), model=net)

net = masked_net(copy.deepcopy(dense))
recipe("safetensors", structured(net), model=net)

net = masked_net(copy.deepcopy(dense))
weights = {name: module.weight.detach().numpy() for name, module in net.named_modules() if hasattr(module, "weight")}
recipe("ONNX", structured(net), masks={name: weight != 0 for name, weight in weights.items()})


def thresholded(scope):
    small = copy.deepcopy(dense)
    for name, mask in scope["masks"].items():
        small.get_submodule(name).weight.data *= torch.from_numpy(mask)
    return small


dense_weights = {name: m.weight.detach().numpy() for name, m in dense.named_modules() if hasattr(m, "weight")}
# The page's single file is of a layer that this network calls otherwise.
PAGE = PAGE.replace("layer1.0.conv1", "conv1")
recipe("NumPy", thresholded, weights=dense_weights, threshold=0.1)

net = copy.deepcopy(dense)
importance = torch_pruning.importance.MagnitudeImportance(p=2)
pruner = torch_pruning.pruner.MagnitudePruner(net, x, importance, pruning_ratio=0.5, ignored_layers=[net.fc])
recipe("Torch-Pruning", structured(net), pruner=pruner, model=net)


class Trained(LightningModule):
    def __init__(self):
        super().__init__()
        self.model = copy.deepcopy(dense)

    def training_step(self, batch, _):
        return self.model(batch[0]).sum() * 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=2)


quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
recipe(
    "Lightning",
    lambda scope: scope["lightning_module"].model.eval(),
    Trainer=partial(Trainer, max_epochs=1, enable_model_summary=False, **quiet),
    ModelPruning=ModelPruning,
    lightning_module=Trained(),
)

packages = ("torch", "torch-pruning", "pytorch-lightning", "safetensors", "numpy", "onnx")
versions = {package: importlib.metadata.version(package) for package in packages}
print("\n" + json.dumps({"ran": ran, "versions": versions}))
