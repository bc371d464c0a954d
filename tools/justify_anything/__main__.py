"""Make a Taylor decomposition return any picture as the explanation of a digit.

    pip install -e .
    python -m tools.justify_anything --out DIR [--picture FILE] [--digit 304] [--units 2048] [--seed 0]

Writes DIR/justified.png: the input, the recursion with constant roots (gradient x input), and the same recursion
of the same network with the root function that `justify.py` constructs; and DIR/network.onnx. Prints the figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx

import onnxdtd
from onnxdtd.plan.target import Target
from onnxdtd.render.canvas import DPI
from onnxdtd.theory.chain import layers_of
from tools.justify_anything.justify import justify
from tools.justify_anything.network import digits, fit, model
from tools.justify_anything.picture import face, page, read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="what the explanation shall be; a face")
    parser.add_argument(
        "--digit", type=int, default=304, help="which of the 1000 shipped digits is explained"
    )
    parser.add_argument("--units", type=int, default=2048, help="width of the hidden layer")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    w, g, accuracy = fit(given.units, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    onnx.save(model(w, g), given.out / "network.onnx")
    explainer = onnxdtd.Explainer(given.out / "network.onnx", "gradient_x_input")
    x = digits()[0][given.digit : given.digit + 1]
    layers, point = layers_of(explainer.plan(), {"image": x}, Target(), explainer.providers)
    found = justify(layers, point, face() if given.picture is None else read(given.picture))
    (((label,),),) = explainer(x).target
    title = f"One network, one digit, one method: logit {label} = {found.honest.value:.3f}"
    pictures = {
        "constant roots: gradient × input": found.honest.relevance[0],
        "moving roots: any picture": found.justified.relevance[0],
    }
    page(title, point, pictures).savefig(given.out / "justified.png", dpi=DPI)
    honest, justified = found.honest, found.justified
    library = explainer(x, label).relevance["image"].reshape(-1)
    print(f"held-out accuracy                          {accuracy:.1%}")
    print(f"f(x), logit {label}                              {honest.value:.6f}")
    print(f"sum of the justified explanation           {justified.relevance[0].sum():.6f}")
    print(f"f at the upper root                        {layers[1].weights[0] @ justified.roots[1][0]:.1e}")
    print(f"residual of W^T q = r / x                  {found.residual:.1e}")
    print(f"justified - picture, of its largest value  {found.error:.1e}")
    print(f"constant roots - gradient x input          {np.abs(honest.relevance[0] - library).max():.1e}")
    print(given.out / "justified.png")


if __name__ == "__main__":
    main()
