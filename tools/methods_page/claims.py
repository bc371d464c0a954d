"""What the page says in words, as conditions on methods.json: a claim that no longer holds is to be rewritten."""

from __future__ import annotations

# isort: off
from tools.methods_page.asked import (
    BLACK, BLUR, CLASS, CONTROLS, DELETION, INSERTION, MEAN, REGION_BLACK, REGION_BLUR, REGION_MEAN, STABLE, Told,
    agreement, alike, beats_chance, flips, holds_zero, middle, order, removal, tied,
)  # fmt: skip
# isort: on

Claims = list[tuple[str, bool]]
BEST = "epsilon_gamma_box"
LEADERS = (
    "composite", "epsilon_gamma", "gamma_vit", BEST, "epsilon_plus", "epsilon_plus_flat", "excitation_backprop",
    "dtd",
)  # fmt: skip
FILLED = (MEAN, BLUR, REGION_MEAN, REGION_BLUR)


def claims(told: Told) -> Claims:
    """Each claim, and whether it holds."""
    parts = _digits(told["digits"]), _photos(told["photos"]), _both(told), _alike(told["alike"], told["cat"])
    return [claim for part in parts for claim in part]


def _digits(d: Told) -> Claims:
    mean = {s: {m: d["table"][m][s]["mean"] for m in d["place"]} for s in d["scores"]}
    falls = sorted(d["place"], key=lambda m: mean[BLACK][m] - mean[BLUR][m])
    lower = [m for m in d["place"] if mean[CLASS][m] <= d["table"]["random"][CLASS]["mean"]]
    return [
        (f"{BEST} alone is best on digits with the mean and the blur", all(tied(d, s) == [BEST] for s in FILLED)),
        ("composite is next to it there", all(d["place"]["composite"][s] == 2 for s in FILLED)),
        ("occlusion alone is best where pixels become black",
         tied(d, BLACK) == tied(d, REGION_BLACK) == ["occlusion"]),
        ("only epsilon_gamma stands between it and smoothgrad by pixels",
         (d["place"]["epsilon_gamma"][BLACK], d["place"]["smoothgrad"][BLACK]) == (2, 3)),
        ("gradient and smoothgrad fall most from black to blur", {*falls[-2:]} == {"gradient", "smoothgrad"}),
        ("every method beats random in all eight removal scores of digits",
         len(removal(d)) == 8 and all(beats_chance(d, m, s) for m in d["place"] for s in removal(d))),
        ("grad_cam is last on digits", order(d)[-1] == "grad_cam"),
        ("deletion puts integrated_gradients first", d["best"][DELETION] == "integrated_gradients"),
        (f"insertion puts {BEST} first", d["best"][INSERTION] == BEST),
        ("no method wins with every fill", len({d["best"][s] for s in (MEAN, BLUR, BLACK)}) > 1),
        ("blur and black disagree about digits", abs(agreement(d, BLUR, BLACK)) < 0.4),
        ("pixels and regions hardly matter", agreement(d, MEAN, REGION_MEAN) > 0.85),
        ("a random map has a better class cosine than most methods", len(lower) < len(d["place"]) / 2),
    ]  # fmt: skip


def _photos(p: Told) -> Claims:
    pair, regions, deconvnet = {"composite", BEST}, (REGION_MEAN, REGION_BLUR), p["table"]["deconvnet"]
    return [
        ("composite leads on photographs, gamma rules follow",
         (order(p)[0], {*order(p)[1:4]}) == ("composite", {BEST, "epsilon_gamma", "gamma_vit"})),
        ("the leaders are above chance with both fills, by pixels and by regions",
         all(beats_chance(p, m, s) for m in LEADERS for s in FILLED)),
        (f"photographs do not tell composite from {BEST}", all(pair <= {*tied(p, s)} for s in regions)),
        ("gradient and guided_backprop are not told from random by pixels",
         not any(beats_chance(p, m, MEAN) for m in ("gradient", "guided_backprop"))),
        ("guided_backprop is worse than random by regions",
         all(p["from_random"]["guided_backprop"][s]["high"] < 0 for s in regions)),
        ("deconvnet shows every photograph nearly the same picture",
         deconvnet[STABLE]["high"] < 0.005 and deconvnet[CLASS]["low"] > 0.99),
        ("by stability alone deconvnet is the best method", p["best"][STABLE] == "deconvnet"),
        ("on photographs the fills agree",
         min(agreement(p, MEAN, BLUR), agreement(p, REGION_MEAN, REGION_BLUR)) > 0.85),
    ]  # fmt: skip


def _both(told: Told) -> Claims:
    studies = {name: told[name] for name in ("digits", "photos")}
    at_chance = {
        (name, c): [s for s in flips(study) if holds_zero(study["table"][c][s])]
        for name, study in studies.items() for c in CONTROLS
    }  # fmt: skip
    return [
        ("both controls are at chance on digits",
         all(at_chance["digits", c] == flips(told["digits"]) for c in CONTROLS)),
        ("random is at chance on photographs", at_chance["photos", "random"] == flips(told["photos"])),
        ("constant is at chance on photographs by pixels alone", at_chance["photos", "constant"] == [MEAN, BLUR]),
        ("over other seeds it is at chance by regions", all(map(holds_zero, told["chance"]["regions"]))),
        *((f"dtd is nearly the same for every class on {name}", study["table"]["dtd"][CLASS]["low"] > 0.95)
          for name, study in studies.items()),
        *((f"dtd is among the most stable methods on {name}", study["place"]["dtd"][STABLE] <= 5)
          for name, study in studies.items()),
        *((f"constant is the most stable map of {name}", study["table"]["constant"][STABLE]["mean"] == 0)
          for name, study in studies.items()),
    ]  # fmt: skip


def _alike(alikes: Told, photo: Told) -> Claims:
    cat, digits, classes = alikes["cat"], alikes["digits"], photo["classes"]

    def others(method: str) -> dict[str, float]:
        return {m: alike(cat, method, m) for m in cat["methods"] if m != method}

    near = [max(others(m).items(), key=lambda item: item[1])[0] for m in ("lime", "kernel_shap")]
    return [
        ("digits agree more than the cat", middle(digits) > middle(cat)),
        ("LIME and KernelSHAP are most like each other on the cat", near == ["kernel_shap", "lime"]),
        ("epsilon_plus and excitation_backprop are one map of the cat",
         alike(cat, "epsilon_plus", "excitation_backprop") > 0.995),
        ("occlusion is like no method on the cat", max(others("occlusion").values()) < 0.1),
        ("dtd and guided_backprop show the cat for espresso, the same colours",
         min(classes["dtd"], classes["guided_backprop"]) > 0.98),
        ("epsilon_plus and composite turn it blue", max(classes["epsilon_plus"], classes["composite"]) < -0.3),
        ("the gradient is speckles", photo["speckle"]["gradient"] > 0.3 > 2 * photo["speckle"]["dtd"]),
        ("attnlrp is gradient_x_input on digits", alike(digits, "attnlrp", "gradient_x_input") > 0.999),
    ]  # fmt: skip
