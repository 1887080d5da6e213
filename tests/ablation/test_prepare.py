from dataclasses import replace

import pytest
import yaml
from study_world import prepared, study_values

from hermtk.ablation.prepare import digests_of, key_of
from hermtk.ablation.study import read_study
from hermtk.data.dataset import file_digest
from hermtk.errors import ConfigError, DataError, RunError
from hermtk.training.config import make_config, read_config


def test_runs_are_arms_with_seeds_the_arms_of_a_seed_together(clusters_file, tmp_path):
    jobs = prepared(study_values(clusters_file), tmp_path / "study").jobs
    assert [job.name for job in jobs[:4]] == [
        "painn-homogeneous seed 0",
        "painn-hvnet seed 0",
        "painn-hpnet seed 0",
        "painn-homogeneous seed 1",
    ]
    for job in jobs:
        assert job.config.seed == job.config.data.seed == job.seed
        assert job.config.threads == 1
    assert len({job.folder for job in jobs}) == len(jobs)
    assert not (tmp_path / "study").exists()


def test_a_run_is_named_by_what_decides_its_result(clusters_file, tmp_path):
    config = make_config(study_values(clusters_file)["run"])
    digests = digests_of(config.data)
    assert digests == {str(clusters_file): file_digest(clusters_file)}
    key = key_of(config, digests)
    moved = tmp_path / "moved.xyz"
    moved.write_bytes(clusters_file.read_bytes())
    elsewhere = make_config(study_values(moved)["run"])
    assert key_of(elsewhere, digests_of(elsewhere.data)) == key
    assert key_of(config.model_copy(update={"seed": 1}), digests) != key
    moved.write_bytes(clusters_file.read_bytes() * 2)
    assert key_of(elsewhere, digests_of(elsewhere.data)) != key


def test_seeds_can_be_added_to_a_study_and_its_runs_are_kept(clusters_file, tmp_path):
    folder = tmp_path / "study"
    first = prepared(study_values(clusters_file), folder)
    first.write()
    more = prepared(study_values(clusters_file, seeds=4), folder)
    assert [job.folder for job in more.jobs[:6]] == [job.folder for job in first.jobs]
    assert more.arms == first.arms


def test_a_study_follows_its_data_to_where_they_are_now(clusters_file, tmp_path):
    folder, elsewhere = tmp_path / "study", tmp_path / "elsewhere.xyz"
    first = prepared(study_values(clusters_file, match="time"), folder)
    first.write()
    elsewhere.write_bytes(clusters_file.read_bytes())
    moved = prepared(study_values(elsewhere, match="time"), folder)
    assert [job.folder for job in moved.jobs] == [job.folder for job in first.jobs]
    assert {job.config.data.train for job in moved.jobs} == {str(elsewhere)}
    moved.write()
    for job in moved.jobs:
        assert make_config(read_config(job.given)) == job.config
    elsewhere.write_bytes(clusters_file.read_bytes() * 2)
    with pytest.raises(RunError, match=r"different: data or version"):
        prepared(study_values(elsewhere, match="time"), folder)


def test_the_folder_of_another_study_is_refused(clusters_file, tmp_path):
    folder = tmp_path / "study"
    prepared(study_values(clusters_file), folder).write()
    with pytest.raises(RunError, match=r"holds another study \(different: variants\): choose another --out"):
        prepared(study_values(clusters_file, variants=["homogeneous", "htnet"]), folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no study"):
        prepared(study_values(clusters_file), tmp_path / "other")


def test_equal_parameters_are_those_of_the_models(clusters_file, tmp_path):
    values = study_values(clusters_file, match="params")
    values["run"] = {**values["run"], "model": {**values["run"]["model"], "channels": 40}}
    arms = prepared(values, tmp_path / "study").arms
    numbers = [arm.parameters for arm in arms]
    assert max(numbers) / min(numbers) <= 1.03
    assert arms[0].config.model.channels > arms[2].config.model.channels


def test_equal_time_and_budgets_decide_steps_once_and_for_all(clusters_file, tmp_path):
    folder = tmp_path / "study"
    values = study_values(clusters_file, match="time", budget=1.0, variants=["homogeneous", "hpnet"])
    made = prepared(values, folder)
    for arm in made.arms:
        assert arm.run_seconds == pytest.approx(60 / 4, rel=0.1)
        assert arm.step_seconds > 0
        assert arm.config.training.steps > 6
    made.write()
    # times would be a little different if they were measured again
    assert prepared(values, folder).arms == made.arms
    assert yaml.safe_load((folder / "study.yaml").read_text()) == read_study(folder / "study.yaml")


def test_a_study_without_structures_to_test_on_is_refused(clusters_file, tmp_path):
    values = study_values(clusters_file)
    values["run"] = {**values["run"], "data": {**values["run"]["data"], "n_test": 0}}
    with pytest.raises(ConfigError, match=r"test"):
        prepared(values, tmp_path / "study")
    with pytest.raises(DataError, match="nowhere"):
        prepared(study_values(clusters_file.with_name("nowhere.xyz")), tmp_path / "study")


def test_configurations_of_runs_are_complete(finished):
    for job in finished.jobs:
        assert make_config(yaml.safe_load(job.given.read_text())) == job.config
    assert replace(finished.jobs[0]).finished
    assert not finished.jobs[-1].finished
