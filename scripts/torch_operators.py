#!/usr/bin/env python3
"""Prints the operators of PyTorch for Android: of the torch that runs this, those in the library.

python3 -m venv old && old/bin/pip install torch==1.13.1 'numpy<2'
mvn dependency:copy -Dartifact=org.pytorch:pytorch_android:1.13.1:aar -DoutputDirectory=.
unzip -j pytorch_android-1.13.1.aar jni/arm64-v8a/libpytorch_jni.so
old/bin/python scripts/torch_operators.py libpytorch_jni.so \\
    > pipeline/formats/torchscript/torch-1.13.1-operators.txt
"""

import sys
from pathlib import Path

import torch

# What stands in files of models; those of training, CUDA and compilers do not.
NAMESPACES = {"aten", "quantized", "_quantized", "prepacked", "quantization", "prim", "sparse"}

HEAD = """\
# The operators of org.pytorch:pytorch_android:1.13.1, by name, not by overload: what a TorchScript
# file for [export] for = ["android-pytorch"] may call.
#
# Written by scripts/torch_operators.py: the names of torch._C._jit_get_all_schemas() in torch
# {version} of which the app's library (arm64-v8a) has the schema: none of rpc, MKLDNN, fusers.
"""


def is_in(library: bytes, name: str) -> bool:
    """Linkers keep a string that ends another one once, so that what stands before a schema says
    nothing; operators of prim are registered by their whole name."""
    space, _, operator = name.partition("::")
    schemas = (f"{operator}(", f"{operator}.") if space != "prim" else ()
    whole = (f"{name}\0", f"{name}(", f"{name}.", f"\0{operator}(")
    return any(text.encode() in library for text in (*schemas, *whole))


def main() -> None:
    library = Path(sys.argv[1]).read_bytes()
    names = {schema.name for schema in torch._C._jit_get_all_schemas()}
    known = {name for name in names if name.partition("::")[0] in NAMESPACES}
    print(HEAD.format(version=torch.__version__), end="")
    print("\n".join(sorted(name for name in known if is_in(library, name))))


if __name__ == "__main__":
    main()
