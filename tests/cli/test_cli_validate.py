"""`hermtk validate`: a config and its data, without training."""

from pathlib import Path

import pytest
import yaml

SMALL = {"model": {"channels": 4, "layers": 1, "n_basis": 4, "cutoff": 3.0}}


@pytest.fixture
def validate(hermtk, data):
    """`hermtk validate` of a config on the clusters, with some keys changed."""

    def command(**sections):
        values = {"data": {"train": str(data)}, **SMALL}
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        Path("run.yaml").write_text(yaml.safe_dump(values))
        return hermtk("validate", "run.yaml")

    return command


def test_what_training_would_use_is_shown(validate):
    shown = validate(model={"variant": "hpnet"}, data={"n_train": 8, "n_validation": 2})
    assert (shown.status, shown.err) == (0, "")
    for text in (
        "8 structures, 6 atoms each, with energy, forces",
        "2 structures, 6 atoms each",
        "H, C, O",
        "painn × hpnet: 9 relations",
        "run.yaml can be trained: hermtk train run.yaml",
    ):
        assert text in shown.out


def test_validating_writes_nothing(validate):
    validate()
    assert [path.name for path in Path().iterdir()] == ["run.yaml"]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"training": {"learning_rte": 1}},
            "no configuration key named 'learning_rte'. Did you mean 'learning_rate'?",
        ),
        ({"trainig": {}}, "no configuration key named 'trainig'. Did you mean 'training'?"),
        ({"training": {"batch_size": 0}}, "training.batch_size: "),
        ({"model": {"subnet": "pain"}}, "no subnet named 'pain'. Did you mean 'painn'?"),
        ({"model": {"variant": "hvnett"}}, "no variant named 'hvnett'. Did you mean 'hvnet'?"),
        (
            {"model": {"subnet_options": {"hiden": 3}}},
            "no option of subnet 'painn' named 'hiden'. Did you mean 'hidden'?",
        ),
        (
            {"model": {"subnet_options": {"hidden": "wide"}}},
            "option 'hidden' of subnet 'painn' cannot be 'wide'",
        ),
        ({"model": {"basis": "bessle"}}, "no radial basis named 'bessle'. Did you mean 'bessel'?"),
        ({"device": "warp"}, "the device 'warp' cannot be used here"),
        ({"data": {"train": "nowhere.xyz"}}, "there is no file nowhere.xyz"),
        ({"data": {"n_train": 100}}, "12"),
        ({"data": {"energy_unit": "kcal"}}, "no energy unit named 'kcal'. Did you mean 'kcal/mol'?"),
        ({"data": {"references": {"H": -1.0}}}, "no reference energy is given for C, O"),
        ({"training": {"loss": {"stress": 1.0}}}, "have no stress, which is trained on"),
    ],
)
def test_what_training_would_refuse_is_refused(validate, sections, said):
    shown = validate(**sections)
    assert shown.status == 1
    assert said in shown.error


def test_components_are_checked_before_the_data_are_read(validate):
    shown = validate(model={"subnet": "pain"}, data={"train": "nowhere.xyz"})
    assert "no subnet named 'pain'" in shown.error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no config file"),
        ("a: [", "cannot be read as YAML"),
        ("- 1\n", "must hold keys and values"),
    ],
)
def test_a_file_that_is_no_config_is_refused(hermtk, text, said):
    if text is not None:
        Path("run.yaml").write_text(text)
    shown = hermtk("validate", "run.yaml")
    assert shown.status == 1
    assert said in shown.error
