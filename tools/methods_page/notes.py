"""What the page says last: where scores disagree, controls, limits, settings."""

from __future__ import annotations

# isort: off
import onnxdtd
from tools.methods_page.asked import (
    BLACK, BLUR, CLASS, CONTROLS, DELETION, INSERTION, MEAN, REGION_MEAN, STABLE, Told,
    agreement, flips, interval, score_of, short, table, tied,
)  # fmt: skip
# isort: on


def disagreement(d: Told, p: Told) -> str:
    """Between scores."""
    random = p["curves"]["deletion.most"]["random"]["mean"]
    return f"""
## Where the scores disagree

![The place of every method by every score](figures/methods_places.png)

Rank correlations between the methods' places, on digits and on photographs, where 0 is grey and no fill of
its own:

{_correlations(d, p)}

Deletion paints black and insertion starts from a blur, so on digits they repeat the quarrel of the fills:
deletion puts `integrated_gradients` first ({score_of(d, "integrated_gradients", DELETION, 3)}), insertion
`epsilon_gamma_box` ({score_of(d, "epsilon_gamma_box", INSERTION, 3)}). On photographs the fills agree, but
deletion says little: even in random order the class probability falls from {random[0]:.2f} to
{random[1]:.2f} once a sixth of the pixels is grey, and {len(tied(p, DELETION)) - 1} of
{len(p["place"]) - 1} methods are not told from the best."""


def controls(told: Told) -> str:
    """Random and constant."""
    d, p = told["digits"], told["photos"]
    columns = [(study, control) for study in (d, p) for control in CONTROLS]
    head = ("score", *(f"`{c}`, {name}" for name in ("digits", "photographs") for c in CONTROLS))
    rows = [
        (
            short(score),
            *(score_of(study, c, score) if score in study["scores"] else "" for study, c in columns),
        )
        for score in flips(d)
    ]
    return f"""
## Controls

{table(head, rows)}

Chance is 0. On digits every interval holds it, on photographs all but those of `constant` by regions, one
draw of ties for both fills. With {told["chance"]["seeds"]} other seeds its mean is
{interval(told["chance"]["regions"][0])} with the mean fill and {interval(told["chance"]["regions"][1])}
with the blur: the draw was an unlucky one, and an interval over {told["photos"]["groups"]} photographs is
too narrow. Deletion and insertion have no such level; on digits `random` has
{score_of(d, "random", DELETION)} and {score_of(d, "random", INSERTION)}. A constant map is the most stable
of all and has a class cosine of 1; a random one has a class cosine of {score_of(d, "random", CLASS)},
better than most methods. These two scores reward maps that say nothing, each of another kind."""


def limits(told: Told) -> str:
    """What this does not show."""
    p = told["photos"]
    return f"""
## What this does not show

- **Two networks**, one small. Which method is best here is not which is best for yours: run `onnxdtd
  evaluate`.
- **Removed pixels are inputs the networks were not trained on.** A falling logit may be the fill's doing.
  The scores ask what the network does with such inputs, not what it used in this one; that they disagree by
  fill shows how much.
- **{p["groups"]} photographs**, of which some show nothing that ImageNet names (a retina, old coins), each
  whole, mirrored and zoomed. The three views of one are not independent: an interval is over photographs,
  each the mean of its views, and with so few it is rough, and if anything too narrow.
- **The most-minus-least rewards the size of an effect**, in logits: inputs with large logits count more.
- **`occlusion` has the home advantage** wherever the fill is its own baseline.
- **Many intervals at once**: of a hundred, five miss by chance; and the best of many methods is partly a
  lucky one.
- **LIME, KernelSHAP** stand in the comparison only: scores ask a method up to a dozen times about each
  input, and LIME asks the model {told["cat"]["predictions"]["lime"]:,} times for one map of the cat,
  KernelSHAP {told["cat"]["predictions"]["kernel_shap"]:,} times."""


def measured(told: Told) -> str:
    """Settings."""
    d, p = told["digits"], told["photos"]
    options = "; ".join(
        f"`{m}` {', '.join(f'{k} {v}' for k, v in given.items())}" for m, given in p["options"].items()
    )
    names = list(dict.fromkeys(name.split(",")[0] for name in p["names"]))
    left = {m: why for m, why in p["left_out"].items() if m not in d["left_out"]}
    measured_ones = {*d["methods"], *d["left_out"], *p["methods"], *p["left_out"]}
    unmeasured = ", ".join(f"`{m}`" for m in sorted({*onnxdtd.METHODS, *onnxdtd.PASSES} - measured_ones))
    newer = f" Newer than these measurements: {unmeasured}." if unmeasured else ""
    return f"""
## How it was measured

- **Digits**: the shipped CNN (`mnist_cnn`), the first {d["inputs"] // 10} held-out digits of each class,
  each explained for the class the network names; {d["settings"]["steps"]} steps, {d["settings"]["draws"]}
  draws of noise, all three fills (constant: black), every method with its defaults.
- **Photographs**: EfficientNet-Lite0; {", ".join(f"`{n}`" for n in names)}, as scikit-image's wheel ships
  them, prepared as the model's metadata say; *whole*, *mirrored* left to right, and *zoomed* to the middle
  square of 0.6 of the shorter side. {p["settings"]["steps"]} steps, {p["settings"]["draws"]} draws, fills
  {" and ".join(p["settings"]["fills"])}; deletion to 0, which is grey here. Smaller than their defaults for
  the sake of time: {options}.
- **Left out**: `natural`, `saabas` and `tree_shap`, on both: the models are no sums of functions of single
  inputs, and no trees.{newer} On photographs
  {"; ".join(f"`{m}`: {why}" for m, why in left.items())} (one explanation of the cat took the time of
  {told["cat"]["passes"]["taylor"]:,} forward passes, on a busy machine; the removal curves of one input
  take {_passes(p)} in all).
- **Ties in a max pool**, such as the windows of zeros behind a ReLU: every method shares equally among the winners;
  `deconvnet` hands all to the first one, as the switches of Zeiler and Fergus do, and captum and zennit.
- **The intervals** are bootstrapped over inputs (photographs), {d["settings"]["resamples"]:,} resamples,
  differences paired. Everything behind the figures is in [methods.json](figures/methods.json), seed
  {d["seed"]}, onnxdtd {told["onnxdtd"]}.
- **Time** of each method as a multiple of the forward pass:
  [figures/method_times.md](figures/method_times.md)."""


def _passes(study: Told) -> int:
    """Forward passes of the removal curves of one input, each point asked once."""
    inner = int(study["settings"]["steps"]) - 1
    fills = len(study["settings"]["fills"])
    return 1 + fills + 2 * 2 * fills * inner + inner + 1


def _correlations(d: Told, p: Told) -> str:
    pairs = [(MEAN, b) for b in (REGION_MEAN, BLUR, BLACK, DELETION, INSERTION, STABLE, CLASS)]
    rows = [
        (f"{short(a)} / {short(b)}",
         *(f"{agreement(s, a, b):.2f}" if {a, b} <= {*s["scores"]} else "" for s in (d, p)))
        for a, b in (*pairs, (BLUR, BLACK), (DELETION, INSERTION))
    ]  # fmt: skip
    return table(("scores", "digits", "photographs"), rows)
