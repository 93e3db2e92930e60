"""Trains a churn classifier on customers.csv, and writes model.onnx, model.json and golden.json beside this file."""

import json
from pathlib import Path

import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = Path(__file__).parent
NUMBERS = ["tenure_months", "monthly_charges", "support_calls"]
CATEGORIES = ["contract", "payment_method"]

customers = pd.read_csv(FOLDER / "customers.csv")
X, y = customers[NUMBERS + CATEGORIES], customers["churned"]
X_train, X_test, y_train, y_test = X[:480], X[480:], y[:480], y[480:]

columns = ColumnTransformer(
    [
        ("numbers", StandardScaler(), NUMBERS),
        ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
    ]
)
model = make_pipeline(columns, LogisticRegression(tol=1e-8, max_iter=1000))
model.fit(X_train, y_train)
print(f"accuracy on {len(X_test)} other customers: {model.score(X_test, y_test):.3f}")

# An input for each column: its name is the name that clients send.
inputs = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
inputs += [(name, StringTensorType([None, 1])) for name in CATEGORIES]
# Without ZipMap, the probabilities are a tensor instead of a list of maps.
onx = to_onnx(model, initial_types=inputs, options={"zipmap": False})
(FOLDER / "model.onnx").write_bytes(onx.SerializeToString())

manifest = {
    "description": "Whether a customer of a phone company leaves within the next three months.",
    "input": {"categories": {name: sorted(customers[name].unique()) for name in CATEGORIES}},
    "output": "label",
    "classes": ["stays", "leaves"],
    "example": {"features": X_test.iloc[0].to_dict()},
}
(FOLDER / "model.json").write_text(json.dumps(manifest, indent=2, default=float) + "\n")

label, probabilities = [output.name for output in onx.graph.output]
golden = X_test[:6]
rows = [
    {"features": features, "outputs": {label: y, probabilities: p}}
    for features, y, p in zip(
        golden.to_dict("records"), model.predict(golden).tolist(), model.predict_proba(golden).tolist()
    )
]
(FOLDER / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}, indent=2) + "\n")
