"""Trains a classifier of pictures of digits, and writes model.onnx, model.json, golden.json and four.png beside this file."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).parent


class Classifier(nn.Module):
    """Pictures [batch, 3, 8, 8] with values from 0 (black) to 1 (white) -> scores [batch, 10]."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(48, 10),
        )

    def forward(self, pixel_values):
        return self.layers(1 - pixel_values.mean(dim=1, keepdim=True))


torch.manual_seed(0)
digits = load_digits()
# The digits have values from 0 (white) to 16 (black).
levels = (255 - np.rint(digits.images * 255 / 16)).astype(np.uint8)
train, test, y_train, y_test = train_test_split(levels, digits.target, train_size=1400, random_state=0)


def as_input(pictures):
    return torch.tensor(pictures / 255, dtype=torch.float32).unsqueeze(1).repeat(1, 3, 1, 1)


X_train, X_test = as_input(train), as_input(test)
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
loss = nn.CrossEntropyLoss()
for epoch in range(15):
    for batch in torch.randperm(len(X_train)).split(32):
        optimizer.zero_grad()
        loss(model(X_train[batch]), y_train[batch]).backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    logits = model(X_test)
print(f"accuracy on {len(X_test)} other pictures: {(logits.argmax(dim=1) == y_test).float().mean():.3f}")

# The batch is of any size, so that the server can run pictures of several requests together.
torch.onnx.export(
    model,
    (X_test[:2],),
    FOLDER / "model.onnx",
    input_names=["pixel_values"],
    output_names=["logits"],
    dynamic_shapes=({0: torch.export.Dim("batch")},),
    dynamo=True,
    external_data=False,
)

manifest = {
    "description": "A picture of a handwritten digit, dark on white.",
    # Callers send JPEG, PNG and other files: the server resizes them to 8 x 8, and divides by 255.
    "input": {"image": {"size": 8, "filter": "box"}},
    "output": {"activation": "softmax", "top": 3},
    "classes": [str(digit) for digit in range(10)],
}
(FOLDER / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


rows = [
    {"features": png(picture), "outputs": {"logits": scores}} for picture, scores in zip(test[:10], logits[:10].tolist())
]
(FOLDER / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}) + "\n")

four = test[y_test == 4][0]
Image.fromarray(four).resize((240, 240), Image.Resampling.BILINEAR).save(FOLDER / "four.png")
