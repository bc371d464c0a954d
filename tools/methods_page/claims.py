"""What the page says in words, as conditions on methods.json: a claim that no longer holds is to be rewritten."""

from __future__ import annotations

from statistics import median

from tools.methods_page.asked import (
    BLACK,
    BLUR,
    CLASS,
    CONTROLS,
    DELETION,
    INSERTION,
    MEAN,
    REGION_BLACK,
    REGION_BLUR,
    REGION_MEAN,
    STABLE,
    Told,
    agreement,
    alike,
    beats_chance,
    flips,
    order,
    removal,
    tied,
)  # fmt: skip

LEADERS = (
    "composite",
    "epsilon_gamma_box",
    "epsilon_plus",
    "epsilon_plus_flat",
    "excitation_backprop",
    "dtd",
)


def claims(told: Told) -> list[tuple[str, bool]]:
    """Each claim, and whether it holds."""
    return [
        *_digits(told["digits"]),
        *_photos(told["photos"]),
        *_both(told),
        *_alike(told["alike"], told["cat"]),
    ]


def _digits(d: Told) -> list[tuple[str, bool]]:
    mean = {s: {m: d["table"][m][s]["mean"] for m in d["place"]} for s in d["scores"]}
    falls = {m: mean[BLACK][m] - mean[BLUR][m] for m in d["place"]}
    return [
        (
            "epsilon_gamma_box alone is best on digits with the mean and the blur",
            all(tied(d, s) == ["epsilon_gamma_box"] for s in (MEAN, BLUR, REGION_MEAN, REGION_BLUR)),
        ),
        (
            "composite is next to it there",
            all(d["place"]["composite"][s] == 2 for s in (MEAN, BLUR, REGION_MEAN, REGION_BLUR)),
        ),
        (
            "occlusion alone is best where pixels become black",
            all(tied(d, s) == ["occlusion"] for s in (BLACK, REGION_BLACK)),
        ),
        ("smoothgrad is second to it by pixels", d["place"]["smoothgrad"][BLACK] == 2),
        (
            "gradient and smoothgrad fall most from black to blur",
            set(sorted(falls, key=falls.__getitem__)[-2:]) == {"gradient", "smoothgrad"},
        ),
        ("every method beats random in all eight removal scores of digits",
         len(removal(d)) == 8 and all(beats_chance(d, m, s) for m in d["place"] for s in removal(d))),
        ("grad_cam is last on digits", order(d)[-1] == "grad_cam"),
        ("deletion puts integrated_gradients first", d["best"][DELETION] == "integrated_gradients"),
        ("insertion puts epsilon_gamma_box first", d["best"][INSERTION] == "epsilon_gamma_box"),
        ("no method wins with every fill", len({d["best"][s] for s in (MEAN, BLUR, BLACK)}) > 1),
        ("blur and black disagree about digits", abs(agreement(d, BLUR, BLACK)) < 0.4),
        ("pixels and regions hardly matter", agreement(d, MEAN, REGION_MEAN) > 0.85),
        ("a random map has a better class cosine than most methods",
         sum(mean[CLASS][m] > d["table"]["random"][CLASS]["mean"] for m in d["place"]) > len(d["place"]) / 2),
    ]  # fmt: skip


def _photos(p: Told) -> list[tuple[str, bool]]:
    below = {m for m in p["place"] if not beats_chance(p, m, MEAN)}
    fills = (MEAN, BLUR, REGION_MEAN, REGION_BLUR)
    return [
        ("composite and epsilon_gamma_box lead on photographs",
         set(order(p)[:2]) == {"composite", "epsilon_gamma_box"}),
        ("the leaders are above chance with both fills, by pixels and by regions",
         all(beats_chance(p, m, s) for m in LEADERS for s in fills)),
        ("photographs do not tell the two leaders from each other",
         all({"composite", "epsilon_gamma_box"} <= set(tied(p, s)) for s in (REGION_MEAN, REGION_BLUR))),
        ("gradient and guided_backprop are not told from random by pixels", {"gradient", "guided_backprop"} <= below),
        ("guided_backprop is worse than random by regions",
         all(p["from_random"]["guided_backprop"][s]["high"] < 0 for s in (REGION_MEAN, REGION_BLUR))),
        ("deconvnet shows every photograph nearly the same picture",
         p["table"]["deconvnet"][STABLE]["high"] < 0.005 and p["table"]["deconvnet"][CLASS]["low"] > 0.99),
        ("by stability alone deconvnet is the best method", p["best"][STABLE] == "deconvnet"),
        ("on photographs the fills agree",
         min(agreement(p, MEAN, BLUR), agreement(p, REGION_MEAN, REGION_BLUR)) > 0.85),
    ]  # fmt: skip


def _both(told: Told) -> list[tuple[str, bool]]:
    def at_chance(name: str, control: str) -> list[str]:
        table = told[name]["table"][control]
        return [s for s in flips(told[name]) if table[s]["low"] <= 0 <= table[s]["high"]]

    found = [
        ("both controls are at chance on digits",
         all(at_chance("digits", c) == flips(told["digits"]) for c in CONTROLS)),
        ("random is at chance on photographs", at_chance("photos", "random") == flips(told["photos"])),
        ("constant is at chance on photographs by pixels alone", at_chance("photos", "constant") == [MEAN, BLUR]),
        ("over other seeds it is at chance by regions",
         all(one["low"] <= 0 <= one["high"] for one in told["chance"]["regions"])),
    ]  # fmt: skip
    for name in ("digits", "photos"):
        study = told[name]
        found += [
            (f"dtd is nearly the same for every class on {name}", study["table"]["dtd"][CLASS]["low"] > 0.95),
            (f"dtd is among the most stable methods on {name}", study["place"]["dtd"][STABLE] <= 5),
            (f"constant is the most stable map of {name}", study["table"]["constant"][STABLE]["mean"] == 0),
        ]
    return found


def _alike(alikes: Told, photo: Told) -> list[tuple[str, bool]]:
    cat, digits, classes = alikes["cat"], alikes["digits"], photo["classes"]
    middle = {
        name: median(v for i, line in enumerate(one["cosine"]) for v in line[i + 1 :] if v != "nan")
        for name, one in alikes.items()
    }
    near = [max((m for m in cat["methods"] if m != a), key=lambda m, a=a: alike(cat, a, m))
            for a in ("lime", "kernel_shap")]  # fmt: skip
    return [
        ("digits agree more than the cat", middle["digits"] > middle["cat"]),
        ("LIME and KernelSHAP are most like each other on the cat", near == ["kernel_shap", "lime"]),
        ("epsilon_plus and excitation_backprop are one map of the cat",
         alike(cat, "epsilon_plus", "excitation_backprop") > 0.995),
        ("occlusion is like no method on the cat",
         max(alike(cat, "occlusion", m) for m in cat["methods"] if m != "occlusion") < 0.1),
        ("dtd and guided_backprop show the cat for espresso, the same colours",
         min(classes["dtd"], classes["guided_backprop"]) > 0.98),
        ("epsilon_plus and composite turn it blue", max(classes["epsilon_plus"], classes["composite"]) < -0.3),
        ("the gradient is speckles", photo["speckle"]["gradient"] > 0.3 > 2 * photo["speckle"]["dtd"]),
        ("attnlrp is gradient_x_input on digits", alike(digits, "attnlrp", "gradient_x_input") > 0.999),
    ]  # fmt: skip
