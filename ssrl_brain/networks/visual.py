"""The visual encoder: a ResNet34 of face images (DLG-LC, Table II)."""

import torch


class ResidualBlock(torch.nn.Module):
    """Two 3 x 3 convolutions around a shortcut.

    Arguments
    ---------
    in_channels, out_channels : int
    stride : int
        Of the first convolution, and of the shortcut.

    Example
    -------
    >>> ResidualBlock(3, 8, stride=2)(torch.rand(1, 3, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.convolutions = torch.nn.Sequential(
            _convolution(in_channels, out_channels, stride),
            torch.nn.BatchNorm2d(out_channels),
            torch.nn.ReLU(inplace=True),
            _convolution(out_channels, out_channels),
            torch.nn.BatchNorm2d(out_channels),
        )
        self.shortcut = torch.nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = torch.nn.Sequential(
                torch.nn.Conv2d(
                    in_channels, out_channels, 1, stride, bias=False
                ),
                torch.nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        """(N, C, H, W) -> (N, C', H / stride, W / stride)"""
        return torch.relu(self.convolutions(x) + self.shortcut(x))


class Pixels(torch.nn.Module):
    """Brings pixels from 0 to 255 to [-0.5, 0.5] (DLG-LC, V-C2).

    Example
    -------
    >>> Pixels()(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-0.5000,  0.5000])
    """

    def forward(self, images):
        """Of any shape."""
        return images / 255 - 0.5


class VisualResNet(torch.nn.Module):
    """Embeds images of faces; no max-pool, and every stage halves the image.

    Defaults are Table II: of an image of 224 x 224 the last stage makes
    256 x 14 x 14. That it is then averaged over the image is a choice.

    Arguments
    ---------
    channels : list of int
        Of the first convolution and the first stage, then of each stage.
    block_sizes : list of int
        Residual blocks of each stage.
    lin_neurons : int
        Dimensions of the embedding; named as in the toolkit's encoders.

    Example
    -------
    >>> network = VisualResNet([4, 4, 8, 8], [1, 1, 1, 1], lin_neurons=5)
    >>> images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    >>> network.feature_map(images).shape, network(images).shape
    (torch.Size([2, 8, 2, 2]), torch.Size([2, 1, 5]))
    """

    def __init__(
        self,
        channels=(32, 64, 128, 256),
        block_sizes=(3, 4, 6, 3),
        lin_neurons=192,
    ):
        super().__init__()
        self.pixels = Pixels()
        layers = [
            _convolution(3, channels[0]),
            torch.nn.BatchNorm2d(channels[0]),
            torch.nn.ReLU(inplace=True),
        ]
        width = channels[0]
        for wanted, number in zip(channels, block_sizes, strict=True):
            for block in range(number):
                stride = 1 if block else 2
                layers.append(ResidualBlock(width, wanted, stride))
                width = wanted
        self.layers = torch.nn.Sequential(*layers)
        self.fc = torch.nn.Linear(width, lin_neurons)
        for module in self.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def feature_map(self, images):
        """(N, 3, L, L) pixels from 0 to 255 -> (N, C, L / 16, L / 16)"""
        return self.layers(self.pixels(images))

    def forward(self, images):
        """(N, 3, L, L) pixels from 0 to 255 -> (N, 1, D)"""
        return self.fc(self.feature_map(images).mean((2, 3))).unsqueeze(1)


class AudioVisualStudent(torch.nn.Module):
    """Two encoders with their heads, which share nothing.

    One module, so that one forward trains both under DDP.

    Arguments
    ---------
    audio, visual : EncoderWithHead

    Example
    -------
    >>> from ssrl_brain.networks.models import EncoderWithHead
    >>> audio = EncoderWithHead(torch.nn.Identity(), torch.nn.Linear(2, 3))
    >>> visual = EncoderWithHead(torch.nn.Identity(), torch.nn.Linear(4, 3))
    >>> student = AudioVisualStudent(audio, visual)
    >>> student(torch.rand(5, 2), torch.rand(5, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, audio, visual):
        super().__init__()
        self.audio = audio
        self.visual = visual

    @property
    def encoder(self):
        """The encoder of speech, which is what gets verified."""
        return self.audio.encoder

    def forward(self, features, images):
        """features (B, frames, F), images (B, 3, L, L) -> logits (2, B, K)"""
        _, audio = self.audio([features])
        _, visual = self.visual([images])
        return torch.stack([audio, visual])


def _convolution(in_channels, out_channels, stride=1):
    """3 x 3, which keeps the size at a stride of 1."""
    return torch.nn.Conv2d(
        in_channels, out_channels, 3, stride, padding=1, bias=False
    )
