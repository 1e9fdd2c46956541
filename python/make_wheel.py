"""Makes the wheel, with Python alone: make_wheel.py FOLDER

The native library of this platform goes inside where it was built (npm run build:kernels). Without
it the wheel is for any platform, and only `compile` works.
"""

import base64
import hashlib
import json
import os
import platform
import sys
import sysconfig
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARY = "libprune_compile_kernels.so"
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def built_library():
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        return None
    musl = "-musl" if system == "linux" and platform.libc_ver()[0] != "glibc" else ""
    path = os.path.join(ROOT, "kernels", "prebuilds", f"{system}-{machine}{musl}", LIBRARY)
    return path if os.path.exists(path) else None


def read(*path):
    with open(os.path.join(ROOT, *path), "rb") as file:
        return file.read()


def main(folder):
    package = json.loads(read("package.json"))
    version = package["version"]
    library = built_library()
    tag = "any" if library is None else sysconfig.get_platform().replace("-", "_").replace(".", "_")
    info = f"prune_compile-{version}.dist-info"
    files = {
        "prune_compile/__init__.py": read("python", "prune_compile", "__init__.py"),
        f"{info}/METADATA": (
            "Metadata-Version: 2.1\nName: prune-compile\n"
            f"Version: {version}\nSummary: {package['description']}\nLicense: MIT\n"
            "Requires-Python: >=3.8\nProvides-Extra: run\nRequires-Dist: onnxruntime>=1.18; extra == 'run'\n"
        ).encode(),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: make_wheel.py\n"
            f"Root-Is-Purelib: {'true' if library is None else 'false'}\nTag: py3-none-{tag}\n"
        ).encode(),
        f"{info}/LICENSE": read("LICENSE"),
    }
    if library is not None:
        with open(library, "rb") as file:
            files[f"prune_compile/{LIBRARY}"] = file.read()
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"prune_compile-{version}-py3-none-{tag}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            # The same bytes give the same wheel.
            wheel.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    print(path)


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
