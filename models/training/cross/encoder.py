"""all-MiniLM-L6-v2 as a cross-encoder, with low-rank additions to its matrices (LoRA) and a head of several outputs, in PyTorch."""
import json
import struct

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
MATRICES = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense",
            "output.dense"]
RANK = 64
OUTPUTS = 4  # answers, entails, contradicts, same
CLS, SEP = 101, 102
CAST = dict(device_type="cpu", dtype=torch.bfloat16)  # products of matrices are of 16 bits: several times faster where the processor has them


class Texts:
    """Texts as the model takes them."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.known = {}

    def tokens(self, text):
        if text not in self.known:
            self.known[text] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.known[text]

    def pair(self, first, second, most, first_most=96):
        first = self.tokens(first)[:first_most]
        second = self.tokens(second)[:max(0, most - len(first) - 3)]
        return [CLS, *first, SEP, *second, SEP], len(first) + 2


def batch(pairs, step=8):
    """Tokens, kinds and mask, as long as the longest, in whole steps."""
    length = -(-max(len(tokens) for tokens, _ in pairs) // step) * step
    tokens, kinds, mask = torch.zeros(len(pairs), length, dtype=torch.long), torch.zeros(len(pairs), length, dtype=torch.long), torch.zeros(len(pairs), length, dtype=torch.bool)
    for at, (own, second) in enumerate(pairs):
        tokens[at, :len(own)] = torch.tensor(own)
        kinds[at, second:len(own)] = 1
        mask[at, :len(own)] = True
    return tokens, kinds, mask


class Reader(torch.nn.Module):
    """The embedding model, which is not trained, and what is added to it; at first that is nothing."""

    def __init__(self, folder, rank=RANK, drop=0.0):
        super().__init__()
        raw = (folder / "model.safetensors").read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        self.trunk = {}
        for name, about in json.loads(raw[8:8 + size]).items():
            if name != "__metadata__" and about["dtype"] == "F32":
                start, end = about["data_offsets"]
                numbers = np.frombuffer(raw[8 + size + start:8 + size + end], np.float32).reshape(about["shape"])
                self.trunk[name] = torch.from_numpy(numbers.copy())
        random = torch.Generator().manual_seed(0)
        normal = lambda *shape: torch.randn(*shape, generator=random)
        self.added, self.drop = torch.nn.ParameterDict(), drop
        for layer in range(LAYERS):
            for name in MATRICES:
                outputs, inputs = self.trunk[f"encoder.layer.{layer}.{name}.weight"].shape
                self.added[self.key(layer, name, "A")] = torch.nn.Parameter(normal(rank, inputs) / inputs ** 0.5)
                self.added[self.key(layer, name, "B")] = torch.nn.Parameter(torch.zeros(outputs, rank))
        self.kinds = torch.nn.Parameter(torch.zeros(2, WIDTH))
        self.pooler = torch.nn.Linear(WIDTH, WIDTH)
        self.classifier = torch.nn.Linear(WIDTH, OUTPUTS)
        with torch.no_grad():
            for matrix in (self.pooler, self.classifier):
                matrix.weight.copy_(normal(*matrix.weight.shape) * 0.02)
                matrix.bias.zero_()

    @staticmethod
    def key(layer, name, side):
        return f"{layer} {name} {side}".replace(".", "_")

    def norm(self, rows, name):
        return F.layer_norm(rows, (WIDTH,), self.trunk[f"{name}.weight"], self.trunk[f"{name}.bias"], 1e-12)

    def dropped(self, rows):
        """Left out alike at every place of a text."""
        if not self.training or not self.drop:
            return rows
        kept = (torch.rand(len(rows), 1, WIDTH) >= self.drop).to(rows.dtype) / (1 - self.drop)
        return rows * kept.reshape(len(rows), *[1] * (rows.dim() - 2), WIDTH)

    def layers(self, rows, mask, adapted):
        hidden = torch.where(mask, 0.0, -1e4)[:, None, None, :].to(torch.bfloat16)
        for layer in range(LAYERS):
            def product(name, rows):
                weights, bias = self.trunk[f"encoder.layer.{layer}.{name}.weight"], self.trunk[f"encoder.layer.{layer}.{name}.bias"]
                if adapted:
                    weights = weights + self.added[self.key(layer, name, "B")] @ self.added[self.key(layer, name, "A")]
                return F.linear(rows, weights, bias)
            query, key, value = (product(name, rows).unflatten(-1, (HEADS, -1)).transpose(1, 2) for name in MATRICES[:3])
            likes = query @ key.transpose(2, 3) * (WIDTH / HEADS) ** -0.5 + hidden
            seen = (likes.softmax(-1, dtype=torch.bfloat16) @ value).transpose(1, 2).flatten(2)
            rows = self.norm(rows + self.dropped(product(MATRICES[3], seen)), f"encoder.layer.{layer}.attention.output.LayerNorm")
            inner = F.gelu(product(MATRICES[4], rows))
            rows = self.norm(rows + self.dropped(product(MATRICES[5], inner)), f"encoder.layer.{layer}.output.LayerNorm")
        return rows

    def table(self, name):
        return self.trunk[f"embeddings.{name}_embeddings.weight"]

    def forward(self, tokens, kinds, mask):
        """The outputs for pairs."""
        told = self.table("word")[tokens] + self.table("position")[:tokens.shape[1]] + (self.table("token_type") + self.kinds)[kinds]
        with torch.autocast(**CAST):
            rows = self.layers(self.dropped(self.norm(told, "embeddings.LayerNorm")), mask, True)
        pooled = torch.tanh(self.pooler(rows[:, 0].float()))
        return self.classifier(self.dropped(pooled))

    @torch.no_grad()
    def outputs(self, pairs, size=64):
        """The outputs for any number of pairs."""
        self.eval()
        order, found = np.argsort([len(tokens) for tokens, _ in pairs], kind="stable"), np.zeros((len(pairs), OUTPUTS), np.float32)
        for start in range(0, len(order), size):
            at = order[start:start + size]
            found[at] = self(*batch([pairs[one] for one in at])).numpy()
        self.train()
        return found

    @torch.no_grad()
    def embed(self, texts, all_texts, size=64):
        """What the embedding model makes of texts by themselves: vectors of length one."""
        framed = [([CLS, *texts.tokens(text)[:126], SEP], 0) for text in all_texts]
        order, vectors = np.argsort([len(own) for own, _ in framed], kind="stable"), np.zeros((len(framed), WIDTH), np.float32)
        for start in range(0, len(order), size):
            at = order[start:start + size]
            tokens, _, mask = batch([framed[one] for one in at])
            told = self.table("word")[tokens] + self.table("position")[:tokens.shape[1]] + self.table("token_type")[0]
            with torch.autocast(**CAST):
                rows = self.layers(self.norm(told, "embeddings.LayerNorm"), mask, False)
            mean = (rows.float() * mask[..., None]).sum(1) / mask.sum(1)[:, None]
            vectors[at] = F.normalize(mean, dim=-1).numpy()
        return vectors

    def write(self, path, outputs):
        """The adapter as safetensors of 16-bit floats, named as the product takes them; of the outputs those that are named."""
        named = {"embeddings.token_type_embeddings.weight": self.kinds, "pooler.dense.weight": self.pooler.weight, "pooler.dense.bias": self.pooler.bias,
                 "classifier.weight": self.classifier.weight[outputs], "classifier.bias": self.classifier.bias[outputs]}
        for layer in range(LAYERS):
            for name in MATRICES:
                for side in "AB":
                    named[f"encoder.layer.{layer}.{name}.lora_{side}.weight"] = self.added[self.key(layer, name, side)]
        header, data = {}, b""
        for name, numbers in sorted(named.items()):
            numbers = numbers.detach().numpy().astype(np.float16)
            header[name] = {"dtype": "F16", "shape": list(numbers.shape), "data_offsets": [len(data), len(data) + numbers.nbytes]}
            data += numbers.tobytes()
        head = json.dumps(header, separators=(",", ":")).encode()
        head += b" " * (-len(head) % 8)
        path.write_bytes(struct.pack("<Q", len(head)) + head + data)
