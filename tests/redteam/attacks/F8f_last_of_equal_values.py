# id: F8
# problem: argmax
# expect: wrong
# reason:
# Among equal values of the input itself it names the last; the first is documented.
import torch


class ModelNew(torch.nn.Module):
    def forward(self, x):
        return x.shape[1] - 1 - torch.argmax(x.flip(1), dim=1)
