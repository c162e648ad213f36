"""What a rank of a test needs is imported once, by the fork server, and not by each rank."""

import torch
import torch.distributed.checkpoint.state_dict
import torch.distributed.fsdp
import torchmetrics

import pipeline.train.loop
import pipeline.train.saver
import pipeline.train.sharded

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)  # imports torch's compiler
torch.use_deterministic_algorithms(False)

__all__ = ["pipeline", "torchmetrics"]
