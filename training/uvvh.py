"""UVVH: unsupervised variational video hashing with 1D-CNN-LSTM networks (Li et al.), and its ablations.

A video is T frame features ``[n, T, F]``. A 1-D convolutional encoder gives one code, a
deconvolution followed by an LSTM has to reconstruct the features from it. Where the paper is
silent or contradicts itself we decided:

* Table I prints kernel 4, stride 2 for 25→10→4→1, which is impossible (25→11). The default kernels
  are 7, 4, 4: exactly 25→10→4→1 and back. Others are options; output padding is computed.
* The encoder's last batch norm is not followed by tanh; eq. 4 applies it once, before the heads.
* s = log σ is clamped to [−6, 2]; sign(0) = +1; the gradient passes sign straight through
  where abs(z) ≤ 1.
* Features are scaled by one scalar so that mean‖v‖² = F (the balance of the two losses depends on
  it); that scalar is stored in the model.

>>> model = UVVH(UVVHConfig(features=4096, bits=64))
>>> model.parameter_count(), model.inference_parameter_count()
(40436864, 16273216)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .losses import sign_straight_through

EncoderKind = Literal["conv", "frame", "lstm"]
DecoderKind = Literal["deconv-lstm", "deconv", "lstm", "frame"]
LOG_SIGMA = (-6.0, 2.0)


@dataclass(frozen=True)
class UVVHConfig:
    """Shapes and parts of the network; everything needed to build it again.

    Attributes:
        features: F, width of a frame feature as the network sees it (after ``basis``).
        bits: k, length of the code.
        frames: T.
        kernels: of the three convolutions (stride 2, no padding), the deconvolution mirrors them.
        widths: output channels of the three convolutions; the last is the width of t.
        projection: width of the hidden projection layer; 0 = none: t̂ = tanh(Linear h) (``nopro``).
        hidden: LSTM state.
        encoder: ``conv`` (paper), ``frame`` (BL1: every frame for itself, mean), ``lstm`` (BL2).
        decoder: ``deconv-lstm`` (paper), ``deconv`` (BL3), ``lstm`` (BL2), ``frame`` (BL1).
        straight_through: decode from h = sign z; False = from z itself (``q``).
        raw_features: width of a stored frame feature; differs from ``features`` where a PCA basis
            comes first; 0 = no basis.
    """

    features: int = 4096
    bits: int = 64
    frames: int = 25
    kernels: tuple[int, int, int] = (7, 4, 4)
    widths: tuple[int, int, int] = (512, 512, 256)
    projection: int = 4096
    hidden: int = 256
    encoder: EncoderKind = "conv"
    decoder: DecoderKind = "deconv-lstm"
    straight_through: bool = True
    raw_features: int = 0

    def lengths(self) -> tuple[int, int, int, int]:
        """Number of frames before and after each convolution.

        >>> UVVHConfig().lengths(), UVVHConfig(frames=30, kernels=(4, 4, 6)).lengths()
        ((25, 10, 4, 1), (30, 14, 6, 1))
        """
        lengths = [self.frames]
        for kernel in self.kernels:
            lengths.append((lengths[-1] - kernel) // 2 + 1)
        if lengths[-1] != 1 or min(lengths) < 1:
            raise ValueError(
                f"kernels {self.kernels} turn {self.frames} frames into {lengths[1:]}; the last must be 1: "
                "try 7, 4, 4 for 25 frames, 4, 4, 6 for 30"
            )
        return lengths[0], lengths[1], lengths[2], lengths[3]


# name → how the paper's ablation differs from UVVH in the network; the schedules are in train_uvvh.py
ABLATIONS: dict[str, dict[str, object]] = {
    "uvvh": {},
    "nopro": {"projection": 0},
    "q": {"straight_through": False},
    "bl1": {"encoder": "frame", "decoder": "frame"},
    "bl2": {"encoder": "lstm", "decoder": "lstm"},
    "bl3": {"decoder": "deconv"},
}


def ablation(config: UVVHConfig, name: str) -> UVVHConfig:
    """The configuration of a named ablation.

    >>> ablation(UVVHConfig(), "nopro").projection
    0
    """
    if name not in ABLATIONS:
        raise ValueError(f"ablation {name!r}; allowed: {', '.join(ABLATIONS)}")
    return replace(config, **ABLATIONS[name])  # type: ignore[arg-type]


class Coded(NamedTuple):
    """What the encoder gives for videos: ``mu``, ``log_sigma``, ``z``, ``h``, each ``[n, k]``.

    With the frame encoder (BL1) each is ``[n, T, k]``.
    """

    mu: Tensor
    log_sigma: Tensor
    z: Tensor
    h: Tensor


class TimeConv(nn.Conv1d):
    """Stride-2 convolution over time of ``[n, T, C]``, computed as one matrix product.

    Equal to ``nn.Conv1d`` with the same weights on ``[n, C, T]``, but 3 to 5 times faster to train on a CPU,
    where the backward pass of small 1-D convolutions misses the fast kernels.
    """

    def __init__(self, before: int, after: int, kernel: int):
        super().__init__(before, after, kernel, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve over time."""
        (kernel,) = self.kernel_size
        steps = (x.shape[1] - kernel) // 2 + 1
        windows = torch.cat([x[:, j : j + 2 * steps - 1 : 2] for j in range(kernel)], dim=2)
        return functional.linear(windows, self.weight.transpose(1, 2).flatten(1), self.bias)


class TimeDeconv(nn.ConvTranspose1d):
    """Stride-2 transposed convolution over time of ``[n, T, C]`` as two matrix products (see `TimeConv`).

    The second one, with a constant matrix of zeros and ones, adds tap j of step t to output 2t + j.
    """

    def __init__(self, before: int, after: int, kernel: int, *, steps: int, output_padding: int):
        super().__init__(before, after, kernel, stride=2, output_padding=output_padding)
        fold = torch.zeros((steps - 1) * 2 + kernel + output_padding, steps, kernel)
        for t in range(steps):
            for j in range(kernel):
                fold[2 * t + j, t, j] = 1
        self.register_buffer("fold", fold.flatten(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Spread every step over time."""
        taps = x @ self.weight.transpose(1, 2).flatten(1)
        return torch.matmul(self.fold, taps.reshape(len(x), -1, self.out_channels)) + self.bias


class FrameNorm(nn.BatchNorm1d):
    """Batch norm of ``[n, T, C]`` over videos and frames."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return super().forward(x.flatten(0, 1)).view_as(x)


class ConvEncoder(nn.Module):
    """Frames ``[n, T, F]`` → t ``[n, 256]`` by three strided convolutions over time (Table I)."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        config.lengths()
        layers: list[nn.Module] = []
        before = config.features
        for i, (kernel, width) in enumerate(zip(config.kernels, config.widths, strict=True)):
            layers += [TimeConv(before, width, kernel), FrameNorm(width)]
            if i < 2:
                layers.append(nn.Tanh())
            before = width
        self.layers = nn.Sequential(*layers)

    def forward(self, v: Tensor) -> Tensor:
        """Encode."""
        return self.layers(v).squeeze(1)


class FrameEncoder(nn.Module):
    """BL1: each frame for itself, F → 512 → t: ``[n, T, F]`` → ``[n, T, 256]``."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        wide, t = config.widths[0], config.widths[2]
        self.layers = nn.Sequential(
            nn.Linear(config.features, wide),
            nn.BatchNorm1d(wide),
            nn.Tanh(),
            nn.Linear(wide, t),
            nn.BatchNorm1d(t),
        )

    def forward(self, v: Tensor) -> Tensor:
        """Encode every frame."""
        return self.layers(v.flatten(0, 1)).unflatten(0, v.shape[:2])


class LSTMEncoder(nn.Module):
    """BL2: t is the last state of an LSTM, ``[n, T, F]`` → ``[n, 256]``."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        self.lstm = nn.LSTM(config.features, config.widths[2], batch_first=True)

    def forward(self, v: Tensor) -> Tensor:
        """Encode in order."""
        return self.lstm(v)[0][:, -1]


class Deconvolution(nn.Module):
    """t̂ ``[n, 256]`` → v̂ ``[n, T, F]``; the mirror of the encoder's convolutions.

    BL3 (``linear_last``) reads the reconstruction here, so its last layer has no batch norm and no tanh.
    """

    def __init__(self, config: UVVHConfig, *, linear_last: bool):
        super().__init__()
        lengths, widths = config.lengths(), (config.features, *config.widths)
        layers: list[nn.Module] = []
        for i in (2, 1, 0):
            padding = lengths[i] - ((lengths[i + 1] - 1) * 2 + config.kernels[i])
            layers.append(
                TimeDeconv(
                    widths[i + 1], widths[i], config.kernels[i], steps=lengths[i + 1], output_padding=padding
                )
            )
            if i or not linear_last:
                layers += [FrameNorm(widths[i]), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, t: Tensor) -> Tensor:
        """Unfold."""
        return self.layers(t.unsqueeze(1))


class DeconvolutionLSTM(nn.Module):
    """The paper's decoder: step 1 sees Linear(t̂), step j + 1 sees v̂ⱼ; a linear layer reads out."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        self.deconvolution = Deconvolution(config, linear_last=False)
        self.first = nn.Linear(config.widths[2], config.features)
        self.lstm = nn.LSTM(config.features, config.hidden, batch_first=True)
        self.out = nn.Linear(config.hidden, config.features)

    def forward(self, t: Tensor) -> Tensor:
        """Reconstruct."""
        v = self.deconvolution(t)
        steps = torch.cat([self.first(t).unsqueeze(1).to(v.dtype), v[:, :-1]], dim=1)
        return self.out(self.lstm(steps)[0])


class LSTMDecoder(nn.Module):
    """BL2: step 1 sees Linear(t̂), each later step what the step before it reconstructed."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        self.frames = config.frames
        self.first = nn.Linear(config.widths[2], config.features)
        self.cell = nn.LSTMCell(config.features, config.hidden)
        self.out = nn.Linear(config.hidden, config.features)

    def forward(self, t: Tensor) -> Tensor:
        """Reconstruct step by step."""
        step, state, out = self.first(t), None, []
        for _ in range(self.frames):
            state = self.cell(step, state)
            step = self.out(state[0])
            out.append(step)
        return torch.stack(out, dim=1)


class FrameDecoder(nn.Module):
    """BL1: each frame from its own t̂, 256 → 512 → F: ``[n, T, 256]`` → ``[n, T, F]``."""

    def __init__(self, config: UVVHConfig):
        super().__init__()
        wide = config.widths[0]
        self.up, self.norm = nn.Linear(config.widths[2], wide), nn.BatchNorm1d(wide)
        self.out = nn.Linear(wide, config.features)

    def forward(self, t: Tensor) -> Tensor:
        """Reconstruct every frame."""
        y = self.norm(self.up(t.flatten(0, 1))).tanh()
        return self.out(y).unflatten(0, t.shape[:2])


def _decoder(config: UVVHConfig) -> nn.Module:
    if config.decoder == "deconv":
        return Deconvolution(config, linear_last=True)
    return {"deconv-lstm": DeconvolutionLSTM, "lstm": LSTMDecoder, "frame": FrameDecoder}[config.decoder](
        config
    )


class UVVH(nn.Module):
    """Encoder, code, projection and decoder, by configuration.

    ``features [n, T, F_raw]`` may come in any float type; buffers ``scale``, ``centre`` and
    ``basis`` turn them into what the network sees.
    """

    def __init__(self, config: UVVHConfig):
        super().__init__()
        if (config.encoder == "frame") != (config.decoder == "frame"):
            raise ValueError(
                f"encoder {config.encoder!r} with decoder {config.decoder!r}: frame goes with frame"
            )
        self.config = config
        width = config.widths[2]
        kinds = {"conv": ConvEncoder, "frame": FrameEncoder, "lstm": LSTMEncoder}
        self.encoder = kinds[config.encoder](config)
        self.mu, self.log_sigma = nn.Linear(width, config.bits), nn.Linear(width, config.bits)
        if config.projection:
            self.projection = nn.Sequential(
                nn.Linear(config.bits, config.projection),
                nn.Tanh(),
                nn.Dropout(0.5),
                nn.Linear(config.projection, width),
                nn.Tanh(),
            )
        else:
            self.projection = nn.Sequential(nn.Linear(config.bits, width), nn.Tanh())
        self.decoder = _decoder(config)
        self.register_buffer("scale", torch.ones(()))
        if config.raw_features:
            self.register_buffer("centre", torch.zeros(config.raw_features))
            self.register_buffer("basis", torch.zeros(config.raw_features, config.features))
        self.apply(_xavier)

    def set_input(self, scale: float, centre: Tensor | None = None, basis: Tensor | None = None) -> None:
        """Fix how stored features become the network's input: (v − centre) · basis · scale."""
        self.scale.fill_(scale)
        if centre is not None and basis is not None:
            self.centre.copy_(centre)
            self.basis.copy_(basis)

    def see(self, features: Tensor) -> Tensor:
        """Stored features ``[n, T, F_raw]`` as the network sees them, float32 ``[n, T, F]``."""
        v = features.float()
        if self.config.raw_features:
            v = (v - self.centre) @ self.basis
        return v * self.scale

    def embed(self, v: Tensor) -> Tensor:
        """tanh(t) of seen features, ``[n, 256]`` (``[n, T, 256]`` for BL1)."""
        return self.encoder(v).tanh()

    def code(self, v: Tensor, *, sample: bool) -> Coded:
        """Code of seen features; ``sample`` draws z (stage 2), otherwise z = μ (eq. 5)."""
        t = self.embed(v)
        mu, log_sigma = self.mu(t).float(), self.log_sigma(t).float().clamp(*LOG_SIGMA)
        z = mu + log_sigma.exp() * torch.randn_like(mu) if sample else mu
        return Coded(mu, log_sigma, z, sign_straight_through(z))

    def reconstruct(self, coded: Coded) -> Tensor:
        """Reconstructed features ``[n, T, F]`` from a code."""
        return self.decoder(self.projection(coded.h if self.config.straight_through else coded.z)).float()

    def logits(self, features: Tensor) -> Tensor:
        """Inference: stored features ``[n, T, F_raw]`` → ``[n, k]``, the bit is logit ≥ 0.

        BL1 takes the mean over frames of μ, then its sign.
        """
        mu = self.mu(self.embed(self.see(features)))
        return mu.mean(dim=1) if self.config.encoder == "frame" else mu

    def parameter_count(self) -> int:
        """All learned parameters."""
        return sum(p.numel() for p in self.parameters())

    def inference_parameter_count(self) -> int:
        """Learned parameters that a code needs: encoder and the head of μ."""
        return sum(p.numel() for part in (self.encoder, self.mu) for p in part.parameters())


def _xavier(module: nn.Module) -> None:
    """Xavier-uniform weights, zero biases; an LSTM's four gates are initialised one by one."""
    if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LSTM | nn.LSTMCell):
        for name, parameter in module.named_parameters():
            if name.startswith("weight"):
                for gate in parameter.chunk(4):
                    nn.init.xavier_uniform_(gate)
            else:
                nn.init.zeros_(parameter)


def feature_scale(features: Tensor) -> float:
    """The scalar that makes mean‖v‖² over all frames equal F.

    >>> feature_scale(torch.full((2, 3, 4), 2.0))
    0.5
    """
    square = sum(float(chunk.float().square().sum(dtype=torch.float64)) for chunk in features.split(256))
    return float((features.numel() / square) ** 0.5)
