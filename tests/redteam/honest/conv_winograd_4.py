# problem: conv
# Winograd F(4x4, 3x3), whose transforms lose some bits.
import torch
from torch import nn

_B = torch.tensor([[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                   [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])  # fmt: skip
_G = torch.tensor([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_A = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class ModelNew(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)

    def forward(self, x):
        n, _c, h, w = x.shape
        th, tw = (h + 3) // 4, (w + 3) // 4
        padded = nn.functional.pad(x, (1, 1 + 4 * tw - w, 1, 1 + 4 * th - h))
        tiles = padded.unfold(2, 6, 4).unfold(3, 6, 4)
        v = torch.einsum("ij,nctsjk,lk->ncilts", _B, tiles, _B)
        u = torch.einsum("ij,ocjk,lk->ocil", _G, self.conv.weight, _G)
        m = torch.einsum("ocil,ncilts->noilts", u, v)
        y = torch.einsum("ai,noilts,bl->notasb", _A, m, _A).reshape(n, -1, 4 * th, 4 * tw)[:, :, :h, :w]
        return torch.relu(y + self.conv.bias[:, None, None])
