"""The page's words. Every number comes from methods.json; what the words say besides stands in claims.py."""

from __future__ import annotations

# isort: off
from tools.methods_page.asked import (
    BLACK, BLUR, CLASS, MEAN, REGION_MEAN, STABLE, Told,
    agreement, alike, beats_chance, behind, middle, order, score_of,
)  # fmt: skip

# isort: on
from tools.methods_page.notes import controls, disagreement, limits, measured
from tools.methods_page.rows import laid, winners


def page(told: Told) -> str:
    """docs/methods.md."""
    d, p = told["digits"], told["photos"]
    last = disagreement(d, p), controls(told), limits(told), measured(told)
    parts = top(told), cat(told), ten(told), digits(d), photos(p), *last
    return laid("\n\n".join(part.strip() for part in parts)) + "\n"


def top(told: Told) -> str:
    """What it shows, in short."""
    d, p = told["digits"], told["photos"]
    return f"""
# Which method, by which score?

Every native method on {d["inputs"]} held-out digits and on {p["inputs"]} views of {p["groups"]}
photographs, scored by every metric of [evaluate.md](evaluate.md); and heatmaps side by side, with LIME and
KernelSHAP. Where the place of the evidence is known, [other methods lead](ground_truth.md). In short:

- **On digits**, `epsilon_gamma_box` is best where removed pixels become the data's mean or a blur: a
  most-minus-least of {score_of(d, "epsilon_gamma_box", MEAN)} logits by the mean fill, ahead of `composite`
  by {behind(d, "composite", MEAN)}, of `dtd` by {behind(d, "dtd", MEAN)} and of `gradient` by
  {behind(d, "gradient", MEAN)}. Where they become black, `occlusion` is best, ahead of `epsilon_gamma_box`
  by {behind(d, "epsilon_gamma_box", BLACK)}: it measures just that.
- **On photographs**, `composite` leads, with `epsilon_gamma` and its kin and `epsilon_plus` close
  behind: {score_of(p, "composite", MEAN)} logits for `composite` by the mean fill,
  {score_of(p, "dtd", MEAN)} for `dtd` (behind by {behind(p, "dtd", MEAN)}), {score_of(p, "gradient", MEAN)}
  for `gradient` (behind by {behind(p, "gradient", MEAN)}). So few photographs hardly tell the leaders from
  each other.
- **The fill decides.** On digits the places of methods by pixel flipping with a blur and with black have a
  rank correlation of {agreement(d, BLUR, BLACK):.2f}; pixels or regions hardly matter
  ({agreement(d, MEAN, REGION_MEAN):.2f}). No method wins with every fill.
- **Faithful, stable and specific are three things.** `dtd` is among the most stable methods, and nearly the
  same for every class (cosine {score_of(d, "dtd", CLASS)} on digits, {score_of(p, "dtd", CLASS)} on
  photographs).
- **Controls are at chance** where there is a known one: on digits in every score, on photographs `random`
  in every score and `constant` in the mean over {told["chance"]["seeds"]} seeds.

By one command, half an hour on two busy cores; stopped, it goes on where it was:

    pip install -e ".[compare]"
    python -m tools.methods_page --work /somewhere/else"""


def cat(told: Told) -> str:
    """The comparison of one photograph."""
    a, c = told["alike"]["cat"], told["cat"]
    return f"""
## The cat, side by side

![The cat and the espresso by eleven methods](compare.jpg)

Each target is a row; red speaks for it, blue against it ([compare.md](compare.md)). `dtd` and
`guided_backprop` show the cat for the class *espresso* as well, in the same colours (cosine
{c["classes"]["dtd"]:.2f} and {c["classes"]["guided_backprop"]:.2f} with the map of *tiger cat*);
`epsilon_plus` and `composite` turn its eyes blue ({c["classes"]["epsilon_plus"]:.2f} and
{c["classes"]["composite"]:.2f}). `gradient` is speckles: of two pixels side by side,
{c["speckle"]["gradient"]:.0%} have opposite signs, for `dtd` {c["speckle"]["dtd"]:.0%}.

The methods do not show the same cat: the median cosine of all pairs of methods is {middle(a):.2f}.
`dtd` is like `epsilon_plus_flat` ({alike(a, "dtd", "epsilon_plus_flat"):.2f}); `epsilon_plus` and
`excitation_backprop` are one map ({alike(a, "epsilon_plus", "excitation_backprop"):.2f}), as the network
has one dense layer, where alone they differ; LIME and KernelSHAP agree with each other
({alike(a, "lime", "kernel_shap"):.2f}) more than with anything else. `occlusion` is like none
({alike(a, "occlusion", "dtd"):.2f} with `dtd`, {alike(a, "occlusion", "lime"):.2f} with LIME, which covers
pieces of another shape in another colour).

![Cosines between methods](figures/methods_alike.png)"""


def ten(told: Told) -> str:
    """Ten digits by many methods."""
    a = told["alike"]["digits"]
    return f"""
## Ten digits, side by side

![Ten digits by fourteen methods](figures/methods_digits.png)

Here methods agree more: the median of the pairs' mean cosines is {middle(a):.2f}. Families stand
out in the matrix above. `dtd`, `composite`, `epsilon_gamma_box` and the flat variants spread over the
stroke and its surroundings; `gradient_x_input` and `integrated_gradients`
({alike(a, "gradient_x_input", "integrated_gradients"):.2f}) and all others that multiply by the input see
strokes only, since a black pixel is 0; `gradient` and `smoothgrad`
({alike(a, "gradient", "smoothgrad"):.2f}) see what would change the answer, also where there is nothing.
`attnlrp` is `gradient_x_input` here ({alike(a, "attnlrp", "gradient_x_input"):.2f}): without attention and
norms it is LRP-0."""


def digits(d: Told) -> str:
    """The evaluation of digits."""
    last = order(d)[-1]
    return f"""
## {d["inputs"]} digits, every score

![Scores of all methods on digits](figures/methods_scores_digits.png)

{winners(d)}

Methods in the figure stand by their mean place in the removal scores; all numbers are in
[figures/methods.md](figures/methods.md).

![Removal curves of six methods on digits](figures/methods_curves.png)

- Every native method beats `random` in all eight removal scores. They differ by how much.
- `epsilon_gamma_box` ({score_of(d, "epsilon_gamma_box", BLUR)}) and `composite`
  ({score_of(d, "composite", BLUR)}) keep their value with every fill: their rule at the input knows that a
  black pixel may turn white, so the surroundings of a stroke count. Methods that multiply by the input give
  black pixels nothing, and cannot rank what a blur changes there: `gradient_x_input` falls from
  {score_of(d, "gradient_x_input", BLACK)} with black to {score_of(d, "gradient_x_input", BLUR)} with a
  blur.
- `gradient` and `smoothgrad` fall most: `smoothgrad` from {score_of(d, "smoothgrad", BLACK)} with black,
  where only `occlusion` and `epsilon_gamma` are better, to {score_of(d, "smoothgrad", BLUR)} with a blur.
  A slope tells which way to change a pixel, not what its present value does.
- `{last}` is last. Its map has the five by five places of the last convolution, on pictures of 28 by 28
  pixels."""


def photos(p: Told) -> str:
    """The evaluation of photographs."""
    below = [m for m in order(p) if not beats_chance(p, m, MEAN)]
    return f"""
## {p["inputs"]} views of {p["groups"]} photographs, every score

![Scores of all methods on photographs](figures/methods_scores_photos.png)

{winners(p)}

- `composite`, `epsilon_gamma`, `gamma_vit`, `epsilon_gamma_box`, `epsilon_plus`, `epsilon_plus_flat`,
  `excitation_backprop` and `dtd` are far above chance by pixels and by regions, with both fills. Their
  intervals are wide, as the photographs are few.
- By pixel flipping with the mean fill {_list(below)} do not beat `random`. The gradient's sign changes from
  pixel to pixel (see the cat), and removing a pixel is a large step, of which a slope at the photograph
  says little.
- `guided_backprop` is worse than random by regions ({score_of(p, "guided_backprop", REGION_MEAN)}).
- `deconvnet` shows every photograph nearly the same picture: noise changes it by
  {score_of(p, "deconvnet", STABLE)}, the class hardly (cosine {score_of(p, "deconvnet", CLASS)}). It never
  looks at the input: it has no ReLU mask, and this network no max pooling. By stability alone it would be the
  best method."""


def _list(methods: list[str]) -> str:
    quoted = [f"`{m}`" for m in methods]
    return ", ".join([*quoted[:-2], " and ".join(quoted[-2:])])
