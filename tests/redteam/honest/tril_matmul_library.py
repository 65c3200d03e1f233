# problem: tril_matmul
# As the reference, with the mask in place.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return (a @ b).tril_()
