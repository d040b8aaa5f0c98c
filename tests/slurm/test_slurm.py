"""The embedded experiment on a real Slurm of two nodes, where jobs die in every way that a cluster knows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from .cluster import Slurm, wait_for
from .conftest import Experiment, experiment, kill

pytestmark = pytest.mark.slow
PROFILE = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "4")
CHAIN = "cluster_estimate_pointcloud_survey"
Job = dict[str, str]
Process = subprocess.Popen[bytes]


@dataclass
class Story:
    """What happened on the cluster: the two starts of Snakemake, its jobs, and which of them was ended how."""

    folder: Experiment
    first_jobs: list[Job] = field(default_factory=list)
    second_jobs: list[Job] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)  # how → job
    node: str = ""  # that went down

    def job(self, how: str) -> Job:
        """How the job that was ended stood at the end."""
        (found,) = [job for job in self.first_jobs + self.second_jobs if job["id"] == self.ended[how]]
        return found

    def successor(self, how: str) -> Job:
        """The job that was submitted in place of one that was ended."""
        lost = self.job(how)
        return next(
            job
            for job in self.first_jobs + self.second_jobs
            if job["comment"] == lost["comment"] and int(job["id"]) > int(lost["id"])
        )


@contextmanager
def explained(slurm: Slurm, folder: Experiment, log: str) -> Iterator[None]:
    """Whatever fails inside says what Snakemake and Slurm said."""
    try:
        yield
    except Exception as error:
        pytest.fail(f"{error}\n{folder.said(log)[-6000:]}\n{slurm.jobs()}\n{slurm.logs()}")


def caught(slurm: Slurm, snakemake: Process, seen: Path, *words: str) -> Job:
    """The running job of a stage that misbehaves, once it does."""
    wait_for(f"misbehaviour of {seen.stem}", seen.exists, 300, of=snakemake)
    job = slurm.running(*words)
    assert job is not None, slurm.jobs()
    return job


@pytest.fixture(scope="module")
def local(slurm: Slurm, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """The experiment analysed on this machine alone."""
    folder = experiment(checkout, tmp_path_factory.mktemp("slurm") / "local")
    folder.finish(folder.start("local.log", "--cores", "2"), "local.log", 600)
    return folder


@pytest.fixture(scope="module")
def story(slurm: Slurm, checkout: Path, local: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same on the cluster, while jobs are ended and Snakemake is killed and started again."""
    told = Story(experiment(checkout, tmp_path_factory.mktemp("slurm") / "cluster"))
    with explained(slurm, told.folder, "first.log"):
        first_start(slurm, told)
    with explained(slurm, told.folder, "second.log"):
        second_start(slurm, told)
    return told


def first_start(slurm: Slurm, told: Story) -> None:
    """Run 1 dies by its time limit, run 2 by memory; Snakemake is killed when both have got as far as the fits."""
    folder = told.folder
    late, greedy = folder.order("hang", "cluster", 1), folder.order("4500", "cluster", 2)
    fits = [folder.order("hang", "solve", run) for run in (1, 2)]
    snakemake = folder.start("first.log", *PROFILE)
    try:
        told.ended["time limit"] = job = caught(slurm, snakemake, late, "run_0001", "cluster")["id"]
        end = datetime.now() + timedelta(seconds=2)
        slurm.command("scontrol", "update", f"JobId={job}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")
        wait_for("greed", greedy.exists, 200, of=snakemake)
        told.ended["memory"] = next(job["id"] for job in slurm.jobs() if "run_0002" in job["comment"])
        for seen in fits:
            caught(slurm, snakemake, seen, "solve")
    finally:
        kill(snakemake)
    (name,) = re.findall(r"SLURM run ID: (\S+)", folder.said("first.log"))
    slurm.command("scancel", f"--name={name}")
    wait_for("the end of the jobs left behind", slurm.idle, 30)
    told.first_jobs = slurm.jobs()


def second_start(slurm: Slurm, told: Story) -> None:
    """One fit is cancelled, the node of the other goes down."""
    folder = told.folder
    folder.finish(folder.start("unlock.log", "--unlock"), "unlock.log", 60)
    fits = {run: folder.order("hang", "solve", run) for run in (1, 2)}
    snakemake = folder.start("second.log", *PROFILE)
    try:
        jobs = {run: caught(slurm, snakemake, seen, "solve", f"000{run}") for run, seen in fits.items()}
        told.ended = {**told.ended, "scancel": jobs[1]["id"], "node": jobs[2]["id"]}
        slurm.command("scancel", jobs[1]["id"])
        told.node = jobs[2]["node"]
        slurm.command("scontrol", "update", f"NodeName={told.node}", "State=DOWN", "Reason=test")
        try:
            folder.finish(snakemake, "second.log", 400)
        finally:
            slurm.command("scontrol", "update", f"NodeName={told.node}", "State=RESUME")
    finally:
        kill(snakemake)
    known = {job["id"] for job in told.first_jobs}
    told.second_jobs = [job for job in slurm.jobs() if job["id"] not in known]


def megabytes(job: Job) -> float:
    """The memory that a job asked for."""
    return float(job["memory"][:-1]) * {"M": 1, "G": 1024}[job["memory"][-1]]


def minutes(job: Job) -> int:
    """The time that a job asked for."""
    hours, minute, _ = ("0:" + job["limit"]).split(":")[-3:]
    return 60 * int(hours) + int(minute)


def test_every_table_is_that_of_the_local_run(story: Story, local: Experiment) -> None:
    expected = local.tables()
    assert len(expected) == 2 * 12
    assert story.folder.tables() == expected
    assert (story.folder.folder / "results/report.html").stat().st_size > 10_000


def test_the_short_stages_of_a_run_are_one_job(story: Story) -> None:
    done = [job["comment"] for job in story.first_jobs if job["state"] == "COMPLETED"]
    assert sorted(job for job in done if "survey" in job) == [f"rule_run_000{run}_{CHAIN}" for run in (1, 2)]
    assert sorted(job for job in done if "simulate" in job) == [f"rule_simulate_wildcards_000{run}" for run in (1, 2)]


def test_jobs_take_the_cores_of_a_node(story: Story) -> None:
    assert {job["cpus"] for job in story.first_jobs if "rule_" in job["comment"]} == {"2"}


def test_names_and_logs_tell_rule_and_run(story: Story) -> None:
    names = {job["comment"] for job in story.second_jobs}
    assert names == {"rule_report", "rule_solve_wildcards_all_0001", "rule_solve_wildcards_all_0002"}
    lost = story.ended["time limit"]
    assert f"slurm_logs/group_run_0001_{CHAIN}/{lost}.log" in story.folder.said("first.log")


def test_a_job_over_its_time_is_tried_again_with_more(story: Story) -> None:
    lost, again = story.job("time limit"), story.successor("time limit")
    assert (lost["state"], again["state"]) == ("TIMEOUT", "COMPLETED")
    assert 40 < minutes(again) <= 60  # twice what the first asked for, were it not for the walltime
    assert megabytes(again) > megabytes(lost)


def test_a_job_over_its_memory_is_tried_again_with_more(story: Story) -> None:
    lost, again = story.job("memory"), story.successor("memory")
    assert lost["state"] in ("FAILED", "OUT_OF_MEMORY")
    assert again["state"] == "COMPLETED"
    assert megabytes(lost) < megabytes(again) <= 4000
    log = story.folder.folder / f".snakemake/slurm_logs/group_run_0002_{CHAIN}/{lost['id']}.log"
    assert "Exceeded job memory limit" in log.read_text() or "exceeded memory limit" in log.read_text()


def test_a_cancelled_job_is_tried_again(story: Story) -> None:
    assert story.job("scancel")["state"] == "CANCELLED"
    assert story.successor("scancel")["state"] == "COMPLETED"


def test_a_job_whose_node_goes_down_finishes_on_another(story: Story) -> None:
    assert story.node != ""
    job = story.job("node")
    assert job["state"] == "COMPLETED"
    assert job["node"] != story.node


def test_finished_work_is_not_submitted_again_after_a_killed_snakemake(story: Story) -> None:
    assert {job["comment"].split("_")[1] for job in story.second_jobs} == {"solve", "report"}
    assert len([job for job in story.second_jobs if "solve" in job["comment"]]) == 3  # two, and one after its scancel
