# id: F1k
# problem: conv
# expect: wrong
# reason:
# Two bfloat16 parts in the products of Winograd's F(2x2, 3x3).
import torch
from torch import nn


_B = torch.tensor([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_G = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_A = torch.tensor([[1.0, 1, 1, 0], [0, 1, -1, -1]])


def parts(x, count):
    """`x` as a sum of bfloat16 values."""
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


class ModelNew(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)

    def forward(self, x):
        n, _c, h, w = x.shape
        th, tw = (h + 1) // 2, (w + 1) // 2
        padded = nn.functional.pad(x, (1, 1 + 2 * tw - w, 1, 1 + 2 * th - h))
        tiles = padded.unfold(2, 4, 2).unfold(3, 4, 2)
        v = torch.einsum("ij,nctsjk,lk->ncilts", _B, tiles, _B)
        u = torch.einsum("ij,ocjk,lk->ocil", _G, self.conv.weight, _G)
        (uh, ul), (vh, vl) = parts(u, 2), parts(v, 2)
        m = sum(
            torch.einsum("ocil,ncilts->noilts", a, b)
            for a, b in ((ul, vh), (uh, vl), (uh, vh))
        )
        y = torch.einsum("ai,noilts,bl->notasb", _A, m, _A).reshape(
            n, -1, 2 * th, 2 * tw
        )[:, :, :h, :w]
        return torch.relu(y + self.conv.bias[:, None, None])
