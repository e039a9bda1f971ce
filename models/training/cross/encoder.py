"""all-MiniLM-L6-v2 as a cross-encoder, with low-rank additions to its matrices (LoRA) and a head of several outputs, in JAX."""
import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
MATRICES = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense",
            "output.dense"]
RANK = 16
OUTPUTS = 4  # answers, which is what it is for; entails, contradicts and same question, which it is trained on beside
CLS, SEP = 101, 102


def tensors(folder):
    raw = (folder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    found = {}
    for name, about in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            start, end = about["data_offsets"]
            found[name] = np.frombuffer(raw[8 + size + start:8 + size + end], np.float32).reshape(about["shape"])
    return found


def frozen(found):
    """What is not trained."""
    norm = lambda name: (found[f"{name}.weight"], found[f"{name}.bias"])
    layers = [{
        "matrices": [(found[f"encoder.layer.{layer}.{name}.weight"], found[f"encoder.layer.{layer}.{name}.bias"]) for name in MATRICES],
        "attended": norm(f"encoder.layer.{layer}.attention.output.LayerNorm"),
        "fed": norm(f"encoder.layer.{layer}.output.LayerNorm"),
    } for layer in range(LAYERS)]
    table = lambda name: found[f"embeddings.{name}_embeddings.weight"]
    whole = {"words": table("word"), "positions": table("position"), "kinds": table("token_type"), "norm": norm("embeddings.LayerNorm"),
             "layers": layers}
    return jax.tree.map(jnp.asarray, whole)


def fresh(found, seed=0):
    """What is: at first it adds nothing."""
    random = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(random.normal(size=shape).astype(np.float32))
    adapter = {"matrices": []}
    for layer in range(LAYERS):
        sides = [found[f"encoder.layer.{layer}.{name}.weight"].shape for name in MATRICES]
        adapter["matrices"].append([(normal(RANK, inputs) / np.sqrt(inputs), jnp.zeros((outputs, RANK))) for outputs, inputs in sides])
    adapter["pooler"] = (normal(WIDTH, WIDTH) * 0.02, jnp.zeros(WIDTH))
    adapter["classifier"] = (normal(OUTPUTS, WIDTH) * 0.02, jnp.zeros(OUTPUTS))
    adapter["kinds"] = jnp.zeros((2, WIDTH))
    return adapter


def normalise(rows, norm):
    mean = rows.mean(-1, keepdims=True)
    variance = ((rows - mean) ** 2).mean(-1, keepdims=True)
    return (rows - mean) * jax.lax.rsqrt(variance + 1e-12) * norm[0] + norm[1]


def layers(trunk, rows, mask, adapter=None, dropped=lambda rows, at: rows, lowest=0):
    batch, length, _ = rows.shape
    hidden = jnp.where(mask, 0, -1e9)[:, None, None, :]
    for at, layer in enumerate(trunk["layers"]):
        def product(which, rows):
            weights, bias = layer["matrices"][which]
            if adapter is None:
                return rows @ weights.T + bias
            down, up = adapter["matrices"][at][which]
            if at < lowest:
                down, up = jax.lax.stop_gradient((down, up))
            return rows @ weights.T + bias + (rows @ down.T) @ up.T
        query, key, value = (product(which, rows).reshape(batch, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3) for which in range(3))
        seen = jax.nn.softmax(query @ key.transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS) + hidden, -1)
        attended = (seen @ value).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        rows = normalise(rows + dropped(product(3, attended), 10 * at + 1), layer["attended"])
        inner = jax.nn.gelu(product(4, rows), approximate=False)
        rows = normalise(rows + dropped(product(5, inner), 10 * at + 2), layer["fed"])
    return rows


def read(trunk, adapter, tokens, kinds, mask, drop=0.0, key=None, lowest=0):
    """The outputs for pairs; with `key`, as in training. What is added below the `lowest` layer is not trained."""
    def dropped(rows, at):
        if key is None:
            return rows
        return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, at), 1 - drop, rows.shape), rows / (1 - drop), 0)
    told = trunk["words"][tokens] + trunk["positions"][:tokens.shape[1]] + trunk["kinds"][kinds] + adapter["kinds"][kinds]
    rows = layers(trunk, dropped(normalise(told, trunk["norm"]), 99), mask, adapter, dropped, lowest)
    pooled = jnp.tanh(rows[:, 0] @ adapter["pooler"][0].T + adapter["pooler"][1])
    return dropped(pooled, 1000) @ adapter["classifier"][0].T + adapter["classifier"][1]


class Texts:
    """Texts as the model takes them."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def tokens(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def pair(self, first, second, most, first_most=96):
        first = self.tokens(first)[:first_most]
        second = self.tokens(second)[:most - len(first) - 3]
        return [CLS, *first, SEP, *second, SEP], len(first) + 2


def batch(pairs, step):
    """Tokens, kinds and mask, as long as the longest, in whole steps."""
    length = -(-max(len(tokens) for tokens, _ in pairs) // step) * step
    tokens, kinds, mask = np.zeros((len(pairs), length), np.int32), np.zeros((len(pairs), length), np.int32), np.zeros((len(pairs), length), bool)
    for at, (own, second) in enumerate(pairs):
        tokens[at, :len(own)], kinds[at, second:len(own)], mask[at, :len(own)] = own, 1, True
    return tokens, kinds, mask


def embed(trunk, texts, all_texts):
    """What the model makes of texts by themselves: vectors of length one."""
    @jax.jit
    def run(tokens, mask):
        told = trunk["words"][tokens] + trunk["positions"][:tokens.shape[1]] + trunk["kinds"][0]
        rows = layers(trunk, normalise(told, trunk["norm"]), mask)
        mean = (rows * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)
    framed = [([CLS, *texts.tokens(text)[:126], SEP], 0) for text in all_texts]
    order, vectors = np.argsort([len(own) for own, _ in framed], kind="stable"), np.zeros((len(framed), WIDTH), np.float32)
    for start in range(0, len(order), 64):
        at = order[start:start + 64]
        rows = [framed[one] for one in at]
        tokens, _, mask = batch(rows + [rows[-1]] * (64 - len(rows)), 32)
        vectors[at] = np.asarray(run(tokens, mask))[:len(rows)]
    return vectors


def written(adapter):
    """The adapter as safetensors of 16-bit floats, named as the product takes them."""
    named = {"embeddings.token_type_embeddings.weight": adapter["kinds"]}
    for layer, matrices in enumerate(adapter["matrices"]):
        for name, (down, up) in zip(MATRICES, matrices):
            named[f"encoder.layer.{layer}.{name}.lora_A.weight"], named[f"encoder.layer.{layer}.{name}.lora_B.weight"] = down, up
    named["pooler.dense.weight"], named["pooler.dense.bias"] = adapter["pooler"]
    # Of the outputs the product takes the first.
    named["classifier.weight"], named["classifier.bias"] = (side[:1] for side in adapter["classifier"])
    header, data = {}, b""
    for name, numbers in sorted(named.items()):
        numbers = np.asarray(numbers, np.float16)
        header[name] = {"dtype": "F16", "shape": list(numbers.shape), "data_offsets": [len(data), len(data) + numbers.nbytes]}
        data += numbers.tobytes()
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data
