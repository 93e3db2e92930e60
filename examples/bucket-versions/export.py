"""Trains a version of the model on the first hours of rentals.csv, and writes its folder: python export.py 2 --hours 700 --trees 40"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBRegressor

FOLDER = Path(__file__).parent
FEATURES = ["hour", "temperature", "humidity", "workday"]

parser = argparse.ArgumentParser()
parser.add_argument("version", type=int, help="the number of the version, and of its folder")
parser.add_argument("--hours", type=int, default=700, help="how many hours of rentals.csv are known")
parser.add_argument("--trees", type=int, default=40)
arguments = parser.parse_args()

rentals = pd.read_csv(FOLDER / "rentals.csv")
X, y = rentals[FEATURES].to_numpy(np.float32), rentals["rentals"].to_numpy(np.float32)
X_test, y_test = X[700:], y[700:]

X_train, y_train = X[: arguments.hours], y[: arguments.hours]
# The default of base_score differs between versions of XGBoost.
model = XGBRegressor(n_estimators=arguments.trees, max_depth=3, tree_method="exact", base_score=float(y_train.mean()))
model.fit(X_train, y_train)
error = np.abs(model.predict(X_test) - y_test).mean()
print(f"version {arguments.version}: mean absolute error on {len(X_test)} other hours: {error:.1f}")

onx = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, len(FEATURES)]))])

folder = FOLDER / "rentals" / str(arguments.version)
folder.mkdir(parents=True, exist_ok=True)
manifest = {
    "description": "Bicycles that are rented within an hour, by the hour of the day and the weather.",
    "input": {"features": FEATURES},
    "example": {"features": dict(zip(FEATURES, [8, 18.5, 60, 1]))},
}
(folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")

# A regressor's output has a column.
output = onx.graph.output[0].name
rows = [
    {"features": x, "outputs": {output: [y]}}
    for x, y in zip(X_test[:5].tolist(), model.predict(X_test[:5]).tolist())
]
(folder / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}, indent=2) + "\n")

# A version exists once its model.onnx does, so it comes last.
(folder / "model.onnx").write_bytes(onx.SerializeToString())
