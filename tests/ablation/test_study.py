import re

import pytest
import yaml

from hermtk.ablation.arms import Arm, arms_of, control_of
from hermtk.ablation.study import dump_study, make_study, read_study
from hermtk.errors import ConfigError, UnknownName


def test_every_variant_is_an_arm_of_every_subnet_at_every_size():
    study = make_study(
        {"variants": ["homogeneous", "hvnet"], "subnets": ["painn", "unite"], "sizes": [50, 200]}
    )
    arms = arms_of(study)
    assert [arm.name for arm in arms[:4]] == [
        "painn-homogeneous-50",
        "painn-hvnet-50",
        "unite-homogeneous-50",
        "unite-hvnet-50",
    ]
    assert len(arms) == 8
    assert arms[-1].config.data.n_train == 200
    assert control_of(arms[-1], study) == "unite-homogeneous-200"


def test_options_go_to_their_subnet_alone():
    study = make_study(
        {
            "variants": ["homogeneous", "hpnet"],
            "subnets": ["painn", "unite"],
            "options": {"unite": {"l_max": 1}},
            "run": {
                "model": {
                    "subnet": "painn",
                    "variant": "hpnet",
                    "subnet_options": {"hidden": 8},
                    "relation_options": {"ordered": False},
                }
            },
        }
    )
    options = {arm.name: arm.config.model for arm in arms_of(study)}
    assert options["painn-hpnet"].subnet_options == {"hidden": 8}
    assert options["unite-hpnet"].subnet_options == {"l_max": 1}
    assert options["painn-hpnet"].relation_options == {"ordered": False}
    assert options["painn-homogeneous"].relation_options == {}


def test_a_number_of_seeds_stands_for_the_first():
    assert make_study({"seeds": 3}).seeds == [0, 1, 2]
    assert make_study({"seeds": [4, 7]}).seeds == [4, 7]


def test_a_study_file_holds_the_whole_study(tmp_path):
    study = make_study({"variants": ["homogeneous", "hvnet"], "seeds": 2, "match": "params"})
    path = tmp_path / "study.yaml"
    path.write_text(dump_study(study))
    assert make_study(read_study(path)) == study
    assert yaml.safe_load(path.read_text())["run"]["training"]["learning_rate"] is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"variant": ["hvnet"]}, r"no configuration key named 'variant'. Did you mean 'variants'"),
        ({"variants": ["hvnet"]}, "the control homogeneous is not among the variants"),
        ({"variants": ["homogeneous", "homogeneous"]}, "variants holds homogeneous twice"),
        ({"match": "width"}, "match: Input should be 'none', 'params' or 'time'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds are 0 or larger"),
        ({"sizes": [0]}, "sizes are 1 or larger"),
        ({"budget": 0}, "budget"),
        ({"run": {"seed": 3}}, "run.seed is 3: the study's `seeds` take its place"),
        ({"run": {"data": {"seed": 3}}}, "run.data.seed is 3"),
        ({"run": {"trainin": {}}}, "Did you mean 'training'"),
        ({"run": {"training": {"max_minutes": 3}}}, "max_minutes"),
        ({"run": {"start": {"model": "model.pt"}}}, "fresh weights"),
        ({"run": {"model": {"subnet_overrides": {"H": "unite"}}}}, "one subnet each"),
        ({"sizes": [3], "run": {"data": {"n_train": 5}}}, "say the same"),
        ({"sizes": [3], "run": {"data": {"train": ["a.xyz", "b.xyz"]}}}, "trains on one file"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(values, said):
    with pytest.raises(ConfigError if "Did you" not in said else (ConfigError, UnknownName), match=said):
        make_study(values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"variants": ["homogeneous", "hvnett"]}, "hvnet"),
        ({"subnets": ["pain"]}, "painn"),
        ({"options": {"unite": {}}}, "painn"),
    ],
)
def test_names_that_do_not_exist_come_with_the_nearest(values, said):
    with pytest.raises(UnknownName, match=said):
        make_study(values)


def test_the_file_of_a_run_is_told_from_that_of_a_study(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: {subnet: painn}\n")
    with pytest.raises(ConfigError, match=re.escape("under `run:`")):
        read_study(path)


def test_an_arm_is_made_again_of_its_facts():
    arm = arms_of(make_study({"subnets": ["unite"], "sizes": [20]}))[1]
    assert Arm.from_facts(arm.facts()) == arm
