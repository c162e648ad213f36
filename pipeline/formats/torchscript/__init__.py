"""TorchScript archives that may have been made, changed or damaged by anybody.

A TorchScript file is a program, and `torch.jit.load` runs parts of it. What stands here reads one
without running anything and says whether it may be loaded, by the rules of the C++ runner
(cpp_runner/bundle/validate_torchscript.cpp): tests hold the two against each other.

archive.py      the zip file as torch writes it: names and places of its records
tokens.py       the code, cut into tokens
code.py         which names the code defines, which operators it uses
pickles.py      the pickles, run on descriptions of values instead of values
tensors.py      how a pickle describes a tensor
validate.py     all of it: `validate`, and `checked` for who goes on to load
calls.py        how often the graph that `forward` gives has each operator
facts.py        what `pipeline inspect` shows
"""
