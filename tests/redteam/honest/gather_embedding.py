# problem: gather
# As an embedding.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, table, index):
        return nn.functional.embedding(index, table)
