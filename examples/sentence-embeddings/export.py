"""Exports all-MiniLM-L6-v2 to the folder minilm beside this file, with golden.json. Another model: python export.py NAME."""

import json
import sys
from pathlib import Path

from sentence_transformers import SentenceTransformer

FOLDER = Path(__file__).parent / "minilm"
NAME = sys.argv[1] if len(sys.argv) > 1 else "sentence-transformers/all-MiniLM-L6-v2"
SENTENCES = ["The sun shines.", "Rain all day.", "How do I reset my password?", ""]

# Exports the model with Optimum, unless its repository has onnx/model.onnx, and writes tokenizer and modules beside it.
SentenceTransformer(NAME, backend="onnx").save_pretrained(FOLDER)

# The embeddings of the original model in PyTorch, which the exported one must give before it serves.
embeddings = SentenceTransformer(NAME, backend="torch").encode(SENTENCES)
rows = [
    {"features": sentence, "outputs": {"embedding": embedding}}
    for sentence, embedding in zip(SENTENCES, embeddings.tolist())
]
(FOLDER / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}) + "\n")
