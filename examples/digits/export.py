"""Trains a small convolutional network on handwritten digits, and writes model.onnx, model.json and golden.json beside this file."""

import json
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).parent


class Digits(nn.Module):
    """Pictures [batch, 8, 8] with values from 0 (white) to 16 (black) -> probabilities [batch, 10]."""

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

    def scores(self, pixels):
        return self.layers((pixels / 16).unsqueeze(1))

    def forward(self, pixels):
        # What clients send is scaled here, and not by each of them.
        return self.scores(pixels).softmax(dim=1)


torch.manual_seed(0)
digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(digits.images, digits.target, train_size=1400, random_state=0)
X_train, X_test = (torch.tensor(images, dtype=torch.float32) for images in (X_train, X_test))
y_train, y_test = (torch.tensor(labels) for labels in (y_train, y_test))

model = Digits()
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
loss = nn.CrossEntropyLoss()
for epoch in range(15):
    for batch in torch.randperm(len(X_train)).split(32):
        optimizer.zero_grad()
        loss(model.scores(X_train[batch]), y_train[batch]).backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    probabilities = model(X_test)
accuracy = (probabilities.argmax(dim=1) == y_test).float().mean()
print(f"accuracy on {len(X_test)} other pictures: {accuracy:.3f}")

# The batch is of any size, so that the server can run pictures of several requests together.
torch.onnx.export(
    model,
    (X_test[:2],),
    FOLDER / "model.onnx",
    input_names=["pixels"],
    output_names=["probabilities"],
    dynamic_shapes=({0: torch.export.Dim("batch")},),
    dynamo=True,
    external_data=False,
)

manifest = {
    "description": "A handwritten digit of 8 x 8 pixels, each from 0 (white) to 16 (black).",
    "output": "probabilities",
    "classes": [str(digit) for digit in range(10)],
    "example": {"features": X_test[0].tolist()},
}
(FOLDER / "model.json").write_text(json.dumps(manifest) + "\n")

rows = [
    {"features": features, "outputs": {"probabilities": p}}
    for features, p in zip(X_test[:10].tolist(), probabilities[:10].tolist())
]
(FOLDER / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}) + "\n")
