"""Trains a classifier of late invoices on invoices.jsonl, and writes model.onnx, model.json and golden.json beside this file."""

import json
from datetime import date
from math import log
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parent


def days(start, end):
    return (date.fromisoformat(end) - date.fromisoformat(start)).days


def features(invoice):
    """What preprocess of transform.ts computes in production."""
    late = [max(0, days(one["due"], one["paid"])) for one in invoice["history"]]
    count = max(1, len(late))
    return [
        log(invoice["amount"]),
        days(invoice["issued"], invoice["due"]),
        len(late),
        sum(one > 0 for one in late) / count,
        sum(late) / count,
    ]


invoices = [json.loads(line) for line in (FOLDER / "invoices.jsonl").read_text().splitlines()]
X = [features(invoice) for invoice in invoices]
y = [invoice.pop("late") for invoice in invoices]

model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=1000))
model.fit(X[:240], y[:240])
print(f"accuracy on {len(X) - 240} other invoices: {model.score(X[240:], y[240:]):.3f}")

# Without ZipMap, the probabilities are a tensor instead of a list of maps.
onx = to_onnx(model, initial_types=[("X", FloatTensorType([None, 5]))], options={"zipmap": False})
(FOLDER / "model.onnx").write_bytes(onx.SerializeToString())

manifest = {
    "description": "Whether an invoice is paid late, and when to remind the customer.",
    "example": {"features": invoices[240]},
}
(FOLDER / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")

# The answers that transform.ts must give: they show that it computes the same features.
rows = []
for invoice, (_, late) in zip(invoices[240:245], model.predict_proba(X[240:245])):
    answer = {"late": round(float(late), 3), "remind": "before" if late > 0.5 else "after", "due": invoice["due"]}
    rows.append({"features": invoice, "outputs": {"result": answer}})
(FOLDER / "golden.json").write_text(json.dumps({"tolerance": 1e-3, "rows": rows}, indent=2) + "\n")
