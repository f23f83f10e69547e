"""Functions of torch, by the name of what they exercise; each of x (2, 3, 8, 8), float64."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def positive(x):
    return x.abs() + 0.5


def unit(x):
    return torch.tanh(x) * 0.9


def flat(x):
    return x.reshape(6, 64)


WEIGHT = torch.randn(4, 3, 3, 3, dtype=torch.float64)
GROUPED = torch.randn(6, 1, 3, 2, dtype=torch.float64)
TURNED = torch.randn(3, 4, 3, 3, dtype=torch.float64)
TURNED_GROUPED = torch.randn(3, 2, 4, 3, dtype=torch.float64)
BIAS = torch.randn(4, dtype=torch.float64)
ORDER = torch.randperm(8)
PLACES = torch.randint(0, 8, (2, 3, 5, 8))
MASK = torch.rand(8, 8) > 0.4
MASK[0] = False  # a query without any key

ELEMENTWISE = {
    "abs": torch.abs,
    "acos": lambda x: torch.acos(unit(x)),
    "acosh": lambda x: torch.acosh(positive(x) + 1),
    "asin": lambda x: torch.asin(unit(x)),
    "asinh": torch.asinh,
    "atan": torch.atan,
    "atanh": lambda x: torch.atanh(unit(x)),
    "atan2": lambda x: torch.atan2(x, positive(x)),
    "addcdiv": lambda x: torch.addcdiv(x, x, positive(x), value=0.3),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.3),
    "add_alpha": lambda x: torch.add(x, x, alpha=2),
    "ceil": torch.ceil,
    "celu": F.celu,
    "clamp": lambda x: torch.clamp(x, -0.5, 0.7),
    "clamp_at_the_bound": lambda x: torch.clamp(x.round(), -1, 1),
    "clamp_tensor": lambda x: torch.clamp(x, min=-positive(x) / 3),
    "clamp_max": lambda x: x.clamp_max(0.2),
    "cos": torch.cos,
    "cosh": torch.cosh,
    "detached": lambda x: x * x.detach() + (x**2).detach(),
    "div_floor": lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    "div_trunc": lambda x: torch.div(x, 0.3, rounding_mode="trunc"),
    "elu": lambda x: F.elu(x, 0.7),
    "erf": torch.erf,
    "erfinv": lambda x: torch.erfinv(unit(x)),
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "floor": torch.floor,
    "floor_divide": lambda x: x // 0.3,
    "fmod": lambda x: torch.fmod(x, 0.3),
    "frac": torch.frac,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "glu": lambda x: F.glu(x, -1),
    "hardshrink": F.hardshrink,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": F.hardtanh,
    "leaky_relu": F.leaky_relu,
    "lerp": lambda x: torch.lerp(x, x**2, 0.3),
    "log": lambda x: torch.log(positive(x)),
    "log10": lambda x: torch.log10(positive(x)),
    "log1p": lambda x: torch.log1p(positive(x)),
    "log2": lambda x: torch.log2(positive(x)),
    "logaddexp": lambda x: torch.logaddexp(x, x**2),
    "logit": lambda x: torch.logit(torch.sigmoid(x)),
    "logsigmoid": F.logsigmoid,
    "masked_fill": lambda x: x.masked_fill(MASK, 2.0),
    "maximum": lambda x: torch.maximum(x, -x / 2),
    "minimum": lambda x: torch.minimum(x, -x / 2),
    "mish": F.mish,
    "nan_to_num": lambda x: torch.nan_to_num(x),
    "number_minus": lambda x: 1 - x,
    "number_over": lambda x: 2 / positive(x),
    "pow_number": lambda x: 1.7**x,
    "pow_tensor": lambda x: positive(x) ** x,
    "pow_half": lambda x: positive(x) ** 0.5,
    "pow_square_at_zero": lambda x: torch.relu(x) ** 2,
    "pow_negative": lambda x: x**3 + positive(x) ** -2,
    "prelu": lambda x: F.prelu(x, BIAS[:1].abs()),
    "relu": torch.relu,
    "relu6": lambda x: F.relu6(4 * x),
    "remainder": lambda x: torch.remainder(x, 0.3),
    "reciprocal": lambda x: torch.reciprocal(positive(x)),
    "round": torch.round,
    "round_decimals": lambda x: torch.round(x, decimals=1),
    "rsqrt": lambda x: torch.rsqrt(positive(x)),
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sin": torch.sin,
    "sinc": torch.sinc,
    "sinh": torch.sinh,
    "softplus": F.softplus,
    "softplus_steep": lambda x: F.softplus(x, beta=15, threshold=10),
    "softshrink": F.softshrink,
    "softsign": F.softsign,
    "sqrt": lambda x: torch.sqrt(positive(x)),
    "square": torch.square,
    "tan": lambda x: torch.tan(unit(x)),
    "tanhshrink": F.tanhshrink,
    "threshold": lambda x: F.threshold(x, 0.1, 0.2),
    "trunc": torch.trunc,
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "where_scalars": lambda x: torch.where(x > 0, 1.0, 2.0) * x,
    "comparisons": lambda x: ((x >= 0) & (x != 1) | ~(x < -1) ^ (x <= 0.5)) * x,
    "logical": lambda x: torch.logical_and(x > 0, torch.logical_not(x > 1)).double(),
    "whole_numbers": lambda x: (torch.arange(8) // 3 * 2 + torch.arange(8) % 3) * x,
    "true_division_of_whole_numbers": lambda x: torch.arange(8) / 3 * x,
    "casts": lambda x: x.float().double() + (10 * x).int() + (x > 0).to(x.dtype),
    "half": lambda x: (x.half() * 2).double(),
    "bfloat16": lambda x: (x.bfloat16() + 1).float().double(),
}
SHAPES = {
    "broadcast": lambda x: x[0, 0] + x[1, 1, 0],
    "cat": lambda x: torch.cat([x, 2 * x], 1),
    "cat_empty": lambda x: torch.cat([x, x[:, :0]], 1),
    "chunk": lambda x: torch.chunk(x, 3, dim=-1)[2],
    "diagonal": lambda x: torch.diagonal(x, 1, 2, 3),
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "embedding": lambda x: F.embedding(ORDER, x[0, 0]),
    "expand": lambda x: x[:, :1].expand(-1, 5, -1, -1),
    "eye": lambda x: torch.eye(8, dtype=x.dtype) @ x,
    "flip": lambda x: x.flip(1, 3),
    "fold": lambda x: x.unflatten(-1, (2, 4)).flatten(1, 2),
    "full": lambda x: x + torch.full((8,), 2.0) + torch.ones_like(x) + x.new_zeros(8),
    "gather": lambda x: torch.gather(x, 2, PLACES),
    "index_mixed": lambda x: x[:, 1, ORDER],
    "index_apart": lambda x: x[ORDER % 2, :, ORDER],
    "index_put": lambda x: torch.index_put(x, (ORDER[:2] % 2,), x[0] * 0 + 3.0),
    "index_add": lambda x: x.index_add(-1, ORDER % 3, 2 * x),
    "index_select": lambda x: x.index_select(-1, ORDER),
    "linspace": lambda x: torch.linspace(0, 1, 8) * x,
    "masked_set": lambda x: torch.masked_fill(x * 2, x > 0.5, 0.5),
    "meshgrid": lambda x: x + torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij")[1],
    "movedim": lambda x: x.movedim(1, -1),
    "narrow": lambda x: x.narrow(-1, 2, 3),
    "one_hot": lambda x: F.one_hot(ORDER, 8).double() @ x,
    "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 0, 1]),
    "pad": lambda x: F.pad(x, (1, 2, 0, 3), value=0.5),
    "pad_negative": lambda x: F.pad(x, (-1, 2)),
    "pad_circular": lambda x: F.pad(x, (1, 1, 2, 2), mode="circular"),
    "pad_reflect": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "pad_replicate": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "pixel_shuffle": lambda x: F.pixel_shuffle(torch.cat([x] * 4, 1), 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "repeat": lambda x: x.repeat(2, 1, 1, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, dim=1),
    "roll": lambda x: torch.roll(x, (1, -2), (2, 3)),
    "roll_flat": lambda x: torch.roll(x, 3),
    "scatter": lambda x: torch.scatter(x, 2, PLACES % 8, 0.5),
    "scatter_add": lambda x: torch.scatter_add(x, 2, PLACES, x[:, :, :5]),
    "select_and_slice": lambda x: x[..., 1::2, -1] + x[:, :, 4:, 0],
    "slice_backwards": lambda x: x[..., -3:-1],
    "split": lambda x: torch.split(x, [1, 5, 2], dim=-1)[1],
    "split_rest": lambda x: torch.split(x, 3, dim=-1)[2],
    "squeeze": lambda x: x[:, :1].squeeze() + x[:1, :1].squeeze(0, 1),
    "stack": lambda x: torch.stack([x, x**2], 2),
    "take_along": lambda x: torch.take_along_dim(x, PLACES, 2),
    "tile": lambda x: torch.tile(x, (2, 1)),
    "tril_triu": lambda x: torch.tril(x) + 2 * torch.triu(x, 2),
    "unbind": lambda x: x.unbind(1)[2],
    "unfold": lambda x: F.unfold(x, 3, padding=1),
    "written": lambda x: _written(x),
}
REDUCTIONS = {
    "all_any": lambda x: (torch.any(x > 1, -1) & torch.all(x > -9, -1)).double(),
    "amax": lambda x: torch.amax(x, (1, 2)),
    "amin_with_ties": lambda x: torch.amin(x.round(), (1, 2), keepdim=True),
    "argmax": lambda x: torch.argmax(x, 1).double() + torch.argmin(x, -1)[:, :1],
    "cosine_similarity": lambda x: F.cosine_similarity(x, x**2, dim=1),
    "cumprod": lambda x: torch.cumprod(x, -1),
    "cumsum": lambda x: torch.cumsum(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "logsumexp": lambda x: torch.logsumexp(x, (2, 3)),
    "max": lambda x: x.max() + x.min(),
    "max_along": lambda x: x.max(-1).values + x.min(-1).values,
    "mean": lambda x: x.mean() + x.mean((2, 3)),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=(1, 3)),
    "norm_of_zero": lambda x: torch.linalg.vector_norm(0 * x, dim=1),
    "norms": lambda x: x.norm(1, -1) + x.norm(float("inf"), -1) + x.norm(3, -1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "prod": lambda x: x.prod(-1),
    "softmax": lambda x: F.softmax(x, -2),
    "softmin": lambda x: F.softmin(x, -1),
    "sort": lambda x: torch.sort(x, -1, descending=True).values,
    "std": lambda x: x.std((2, 3)),
    "sum": lambda x: x.sum() + x.sum(-1, keepdim=True),
    "topk": lambda x: torch.topk(x, 3, -1).values + torch.topk(x, 3, -1).indices,
    "var": lambda x: x.var(1, correction=0) + x.var(1),
    "var_mean": lambda x: sum(torch.var_mean(x, 1)),
}
LAYERS = {
    "adaptive_pool": lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive_pool_to_one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "attention_by_mask": lambda x: F.scaled_dot_product_attention(x, x, x, MASK),
    "attention_by_bias": lambda x: F.scaled_dot_product_attention(x, x, x, MASK.double()),
    "attention_causal": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "attention_grouped": lambda x: F.scaled_dot_product_attention(
        torch.cat([x, x], 1), x, x, scale=0.3, enable_gqa=True
    ),
    "avg_pool": lambda x: F.avg_pool2d(x, 2),
    "avg_pool_padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "avg_pool_ceil": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "avg_pool_ceil_padded": lambda x: F.avg_pool2d(x, (3, 2), 3, 1, ceil_mode=True),
    "batch_norm": lambda x: F.batch_norm(x, BIAS[:3], BIAS[1:].abs(), BIAS[:3], BIAS[1:]),
    "bilinear": lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "bilinear_aligned": lambda x: F.interpolate(x, (5, 11), mode="bilinear", align_corners=True),
    "conv1d": lambda x: F.conv1d(x[0].mT, torch.cat([WEIGHT[:, 0]] * 3, 1)[:, :8], padding=1),
    "conv2d": lambda x: F.conv2d(x, WEIGHT, BIAS, padding=1),
    "conv2d_dilated": lambda x: F.conv2d(x, WEIGHT, None, 2, (2, 1), (2, 1)),
    "conv2d_grouped": lambda x: F.conv2d(x, GROUPED, groups=3),
    "conv2d_same": lambda x: F.conv2d(x, WEIGHT, padding="same"),
    "conv3d": lambda x: (
        F.conv3d(x, WEIGHT[None, :2], padding=1)
        if x.shape[0] == 3
        else F.conv3d(x[None], WEIGHT[:, :2, :2, :2, None].expand(-1, -1, -1, -1, 2))
    ),
    "conv_transpose": lambda x: F.conv_transpose2d(x, TURNED, BIAS, 2, 1, 1),
    "conv_transpose_grouped": lambda x: F.conv_transpose2d(
        torch.cat([x, x], 1)[:, :3], TURNED_GROUPED, None, (2, 3), (1, 0), (1, 2), 3
    ),
    "group_norm": lambda x: F.group_norm(torch.cat([x, x], 1), 2),
    "instance_norm": F.instance_norm,
    "layer_norm": lambda x: F.layer_norm(x, (8, 8), x[0, 0], x[1, 1]),
    "local_response_norm": lambda x: F.local_response_norm(x, 2),
    "linear": lambda x: F.linear(x, WEIGHT[0, 0].repeat(1, 3)[:, :8]),
    "matmul": lambda x: x @ x.mT + torch.bmm(x[0], x[1]) + x[0, 0] @ x[0, 1],
    "matvec": lambda x: x[0, 0] @ x[0, 0, 0] + x[0, 0, 0].dot(x[0, 0, 1]),
    "addmm": lambda x: torch.addmm(x[0, 0], x[0, 1], x[0, 2], beta=0.3, alpha=2),
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool_ceil": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "nearest_to_size": lambda x: F.interpolate(x, (5, 11)),
    "nearest_of_one_axis": lambda x: F.interpolate(x[0], scale_factor=2.0),
    "rms_norm": lambda x: F.rms_norm(x, (8,), x[0, 0, 0]),
    "rms_norm_eps": lambda x: F.rms_norm(x, (8, 8), eps=1e-3),
}


def _written(x):
    y = torch.zeros_like(x)
    y[:, 1] = x[:, 0]
    y[..., 2:4] += x[..., 2:4]
    y[0, :, ::2] = 3.0
    return y


class All(nn.Module):
    """All of them at once, so that they are exported and compiled once."""

    def __init__(self, functions):
        super().__init__()
        self.functions = functions

    def forward(self, x):
        return {name: function(x) for name, function in self.functions.items()}
