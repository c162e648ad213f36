"""Batch norm over the samples of all processes: torch's own on a GPU, the same sums on a CPU."""

import torch
from torch import Tensor, nn
from torch.distributed.nn import functional as exchange
from torch.nn.modules.batchnorm import _BatchNorm


class CpuSyncBatchNorm(_BatchNorm):
    """As torch.nn.SyncBatchNorm, which takes tensors of a GPU alone.

    Input [batch, channels, ...] float. Mean and variance are over all processes' samples, with
    the gradients flowing through the exchange; the running variance is the unbiased one.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        count = input.numel() / input.shape[1]
        sums = torch.cat([input.sum(axes), input.new_tensor([count])])
        sums = _sum(sums)
        total = sums[-1].detach()
        mean = sums[:-1] / total
        # Around the common mean: the difference of two large sums would lose digits.
        centred = input - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / total
        self._track(mean.detach(), variance.detach() * (total / (total - 1)))
        normal: Tensor = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is None:
            return normal
        return normal * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def _sum(tensor: Tensor) -> Tensor:
    """Over all processes; the gradient goes back to each."""
    total: Tensor = exchange.all_reduce(tensor)  # type: ignore[no-untyped-call]
    return total


def synchronized(model: nn.Module, device: torch.device) -> None:
    """Changes the batch norms of a model in place; names, weights and statistics stay."""
    for name, module in list(model.named_children()):
        if not isinstance(module, _BatchNorm):
            synchronized(module, device)
        elif device.type == "cuda":
            converted = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            setattr(model, name, converted)
        elif not isinstance(module, CpuSyncBatchNorm):
            setattr(model, name, _on_cpu(module))


def _on_cpu(module: _BatchNorm) -> CpuSyncBatchNorm:
    made = CpuSyncBatchNorm(
        module.num_features,
        module.eps,
        module.momentum,
        module.affine,
        module.track_running_stats,
    )
    # The very same parameters and buffers.
    made._parameters, made._buffers = module._parameters, module._buffers
    made.training = module.training
    return made
