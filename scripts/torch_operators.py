#!/usr/bin/env python3
"""Prints the operators of the torch that runs it.

python3 -m venv old && old/bin/pip install torch==1.13.1 'numpy<2'
old/bin/python scripts/torch_operators.py > pipeline/formats/torchscript/torch-1.13.1-operators.txt
"""

import torch

# What stands in files of models; those of training, CUDA and compilers do not.
NAMESPACES = {"aten", "quantized", "_quantized", "prepacked", "quantization", "prim", "sparse"}

HEAD = """\
# The operators of torch {version}, whose release org.pytorch:pytorch_android:1.13.1 was built of:
# what a TorchScript file for [export] for = ["android-pytorch"] may call.
#
# Written by scripts/torch_operators.py, run by that torch (PyPI's wheel for Linux on x86-64): the
# names of torch._C._jit_get_all_schemas() in the namespaces
# {namespaces}.
# Names are listed, not overloads.
"""


def main() -> None:
    schemas = torch._C._jit_get_all_schemas()
    names = {schema.name for schema in schemas if schema.name.partition("::")[0] in NAMESPACES}
    spaces = ", ".join(sorted(NAMESPACES))
    print(HEAD.format(version=torch.__version__, namespaces=spaces))
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main()
