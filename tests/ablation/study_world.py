"""Studies on small clusters that take seconds."""

from pathlib import Path

from hermtk.ablation.prepare import Prepared, prepare_study
from hermtk.ablation.study import make_study
from hermtk.planning.trials import Trials

SMALL = {"layers": 1, "channels": 4, "n_basis": 4, "cutoff": 4.0}


def study_values(data: Path, **values):
    """Of a study on clusters that takes seconds."""
    training = {"steps": 6, "warmup_steps": 1, "batch_size": 4}
    sizes = {"n_train": 12, "n_validation": 4, "n_test": 8}
    own = {
        "variants": ["homogeneous", "hvnet", "hpnet"],
        "seeds": 2,
        "run": {"data": {"train": str(data), **sizes}, "model": SMALL, "training": training},
    }
    return {**own, **values}


def prepared(study, folder: Path, **options) -> Prepared:
    """A study prepared with an own process for what is measured."""
    with Trials() as trials:
        return prepare_study(
            make_study(study), folder, trials, **{"workers": 1, "say": lambda _: None, **options}
        )
