"""The libraries of others that a stage imports, which takes seconds: the fork server imports them
once, and each process that a test starts has them. Nothing of this program is among them, and not
onnxruntime, which starts threads."""

import matplotlib.pyplot
import onnx
import onnxscript
import safetensors.torch
import scipy.stats
import torch
import torch._dynamo
import torch._inductor.config
import torch.ao.quantization
import torch.distributed.checkpoint.state_dict
import torch.distributed.elastic.multiprocessing
import torch.distributed.fsdp
import torch.distributed.launcher.api
import torch.export
import torch.onnx._internal.exporter._core
import torchmetrics

__all__ = ["matplotlib", "onnx", "onnxscript", "safetensors", "scipy", "torch", "torchmetrics"]
