"""Sparse operators of prune-compile for onnxruntime, and its compiler from Python.

>>> import onnxruntime, prune_compile
>>> options = onnxruntime.SessionOptions()
>>> prune_compile.register(options)
>>> session = onnxruntime.InferenceSession("model.pruned.onnx", options)

``compile`` calls the command of the Node package ``prune-compile``, which has to be installed.
"""

import json
import os
import shutil
import subprocess

__all__ = ["CompileError", "compile", "library_path", "register"]

_LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libprune_compile_kernels.so")


class CompileError(RuntimeError):
    """The command failed. ``code`` names the error (docs/errors.md), ``exit_code`` its kind."""

    def __init__(self, what, code, facts, exit_code):
        lines = [what, *(f"  {label}: {text}" for label, text in facts)]
        super().__init__("\n".join(lines))
        self.code = code
        self.facts = facts
        self.exit_code = exit_code


def library_path():
    """Path of the native library inside this package. Raises FileNotFoundError where it has none."""
    if not os.path.exists(_LIBRARY):
        raise FileNotFoundError(f"{_LIBRARY}: this wheel was made without the native library")
    return _LIBRARY


def register(session_options):
    """Gives sessions made with these ``onnxruntime.SessionOptions`` the sparse operators."""
    session_options.register_custom_ops_library(library_path())
    return session_options


def compile(model, output=None, *, command=None, **options):
    """Compiles an ONNX file, verifies the result, and returns the report of ``--json`` as a dict.

    ``options`` are those of the command with underscores: ``masks="m.pth"``, ``sparse=True``,
    ``verify=False``, ``shape=["input=1,3,224,224"]``. ``command`` is a list of words in the place
    of ``prune-compile``. Raises CompileError where the command fails, FileNotFoundError where it
    is not installed.
    """
    words = [*(command or _find()), "compile", "--json"]
    if output is not None:
        words.append(f"--output={os.fspath(output)}")
    for name, value in options.items():
        words += _flags(name.replace("_", "-"), value)
    done = subprocess.run([*words, "--", os.fspath(model)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    raise _failure(done)


def _find():
    found = shutil.which("prune-compile")
    if found is None:
        raise FileNotFoundError("there is no command prune-compile: npm install --global prune-compile")
    return [found]


def _flags(name, value):
    if value is True:
        return [f"--{name}"]
    if value is False:
        return [f"--no-{name}"]
    if value is None:
        return []
    values = value if isinstance(value, (list, tuple)) else [value]
    return [f"--{name}={os.fspath(one) if isinstance(one, os.PathLike) else one}" for one in values]


def _failure(done):
    try:
        error = json.loads(done.stderr)["error"]
        facts = [(fact["label"], fact["text"]) for fact in error["facts"]]
        return CompileError(error["what"], error["code"], facts, done.returncode)
    except (ValueError, KeyError):
        return CompileError(done.stderr.strip() or "the command failed", "E-INTERNAL", [], done.returncode)
