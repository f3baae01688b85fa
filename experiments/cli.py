"""`seuss experiments`: run the suite. Plugged into the command line by an entry point."""

from __future__ import annotations

import pathlib
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

import click

from experiments import arguments as arguments_experiment
from experiments import burst as burst_experiment
from experiments import comparison, crowds, run_report
from experiments import cores as cores_experiment
from experiments import density as density_experiment
from experiments import dirty_tracking as dirty_experiment
from experiments import latency as latency_experiment
from experiments import micro_latency as micro_latency_experiment
from experiments import micro_preemption as micro_preemption_experiment
from experiments import network_throughput as network_experiment
from experiments import sharing as sharing_experiment
from experiments import snapshots as snapshots_experiment
from experiments import suite as suite_experiments
from experiments import throughput as throughput_experiment
from experiments.experiment import (
    ARGUMENTS,
    BURST,
    CORES,
    DENSITY,
    DIRTY_TRACKING,
    EXPERIMENTS,
    LATENCY,
    MICRO_LATENCY,
    MICRO_PREEMPTION,
    NETWORK_THROUGHPUT,
    SHARING,
    SNAPSHOTS,
    THROUGHPUT,
    Experiment,
    Record,
)
from experiments.measurements import Report
from experiments.micro_runs import Plan as MicroPlan
from experiments.micro_runs import two_cores
from experiments.promises import Check
from experiments.suite import Scale
from orchestrator.cli import progress
from orchestrator.cli.options import settings_options
from orchestrator.settings import Settings


@click.group()
def experiments() -> None:
    """Measure: one experiment per table or figure of the papers."""


@experiments.group()
def run() -> None:
    """Run an experiment and write its raw data, plots and report."""


_out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder for the results.  [default: results/<time>]",
)
_seed_option = click.option(
    "--seed", type=int, help="Seed of what is random.  [default: a random one]"
)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    return _out_option(_seed_option(settings_options(command)))


def _quick_option(says: str = "Fewer samples.") -> Callable[..., Callable[..., None]]:
    return click.option("--quick", is_flag=True, help=says)


def _scale_option(scales: Iterable[str], says: str) -> Callable[..., Callable[..., None]]:
    return click.option(
        "--scale",
        type=click.Choice(list(scales)),
        default="default",
        show_default=True,
        envvar="SCALE",
        help=says,
    )


def _carry_out(
    experiment: Experiment[Record],
    out: pathlib.Path | None,
    start: Callable[[pathlib.Path, Report], Coroutine[Any, Any, Record]],
) -> None:
    folder = _results_folder(out, experiment)
    click.echo(f"{experiment.name}: results go to {folder}", err=True)
    record = progress.run(start(folder, _Bars(experiment.name)))
    _say(experiment.write(record, folder))
    click.echo(folder / experiment.report)


@run.command()
@_quick_option("10 samples per path instead of 30.")
@_run_options
def latency(quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Latency of each path, with and without AO, beside a fresh Linux process.

    Functions: NOP, JSON echo, CPU-bound, import-heavy. Paths: booted, cold, warm. NOP also on other
    systems (`make peers` installs what these need). All are interleaved in random order within one
    run, and every answer is checked. Takes its snapshots into a store of its own: --store and
    --ao have no effect here.

    \b
    Writes into the folder, and saves the first two after every round:
      latency.json  every sample, the environment, snapshot sizes
      latency.csv   every sample as a row
      latency.png, latency.pdf
      latency.md    medians, promises with verdicts, our figures beside the paper's
    """
    rounds = latency_experiment.QUICK_ROUNDS if quick else latency_experiment.ROUNDS
    plan = latency_experiment.Plan(settings, rounds, quick, _seed(seed))
    _carry_out(LATENCY, out, partial(latency_experiment.run, plan))


@run.command()
@click.option(
    "--most",
    type=click.IntRange(min=0),
    default=0,
    show_default="until the node's memory is used",
    metavar="N",
    help="Stop after N contexts.",
)
@_scale_option(crowds.SIZES, "How many instances of other systems.")
@_run_options
def density(
    most: int, scale: str, out: pathlib.Path | None, seed: int | None, settings: Settings
) -> None:
    """Idle contexts of NOP that one node holds; needs --isolation uc. --memory sets its size.

    Beside them, memory and creation of others' idle instances: a machine each, Linux processes,
    forks of a zygote, containers, Linux microVMs (`make peers` installs what these need). One that
    cannot run here is a row with the reason.

    \b
    Writes into the folder:
      density.json  memory and time while the node fills, guest time of each deploy, the others
      density.csv   memory and time as rows
      density.png, density.pdf
      density.md    the promises with verdicts, our figures beside the paper's
    """
    if settings.isolation != "uc":
        raise click.BadParameter(
            "only contexts are counted here; give --isolation uc", param_hint="--isolation"
        )
    plan = density_experiment.Plan(settings, most, _seed(seed), crowds.SIZES[scale])
    _carry_out(DENSITY, out, partial(density_experiment.run, plan))


@run.command()
@_quick_option("One sample per function instead of 5.")
@_out_option
@settings_options
def dirty_tracking(quick: bool, out: pathlib.Path | None, settings: Settings) -> None:
    """Pages that a function's import wrote in a context, found four ways.

    By the kernel's page-table walk, QEMU's migration bitmap, the host's pagemap, and a byte diff of
    the node's memory. The walk must find all that changed of the context. --isolation and --store
    have no effect here.

    \b
    Writes into the folder:
      dirty-tracking.json  every set of frames, every time, the environment
      dirty-tracking.csv   sizes by way and owner, and times, as rows
      dirty-tracking.png, dirty-tracking.pdf
      dirty-tracking.md    verdicts, sets, overlaps, times
    """
    rounds = dirty_experiment.QUICK_ROUNDS if quick else dirty_experiment.ROUNDS
    plan = dirty_experiment.Plan(settings, rounds)
    _carry_out(DIRTY_TRACKING, out, partial(dirty_experiment.run, plan))


@run.command()
@_quick_option("4 samples per way instead of 12.")
@_run_options
def cores(quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Warm requests per second of a node of one core and of one with two.

    Closed-loop clients; NOP, and a function that computes for a while. Two nodes of one core side
    by side show what the machine itself gives. Takes its snapshots into stores of its own:
    --store, --cores and --isolation have no effect here.

    \b
    Writes into the folder:
      cores.json    every sample: answers, CPU of the nodes, of the caller, of others
      cores.csv     the same as rows
      cores.png, cores.pdf
      cores.md      ratios with intervals and verdicts, CPU by user
    """
    rounds = cores_experiment.QUICK_ROUNDS if quick else cores_experiment.ROUNDS
    plan = cores_experiment.Plan(settings, rounds, _seed(seed))
    _carry_out(CORES, out, partial(cores_experiment.run, plan))


@run.command()
@_quick_option()
@_run_options
def snapshots(quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Size, capture and restore time of base, function and argument snapshots.

    Both isolations, both runtimes, AO in its three steps. Writes snapshots.json, .csv, .png, .pdf,
    and snapshots.md with the paper's Table 1 beside. --store, --isolation and --ao have no
    effect here.
    """
    rounds = snapshots_experiment.QUICK_ROUNDS if quick else snapshots_experiment.ROUNDS
    plan = snapshots_experiment.Plan(settings, rounds, _seed(seed))
    _carry_out(SNAPSHOTS, out, partial(snapshots_experiment.run, plan))


@run.command()
@_quick_option()
@_run_options
def sharing(quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Pages shared and owned along the lineage, memory by functions, faults by kind.

    By the kernel's counters in one node of contexts. Writes sharing.json, .csv, .png, .pdf and
    sharing.md. --store, --isolation and --ao have no effect here.
    """
    experiment = sharing_experiment
    rounds = experiment.QUICK_ROUNDS if quick else experiment.ROUNDS
    functions = experiment.QUICK_FUNCTIONS if quick else experiment.FUNCTIONS
    plan = experiment.Plan(settings, rounds, functions, _seed(seed))
    _carry_out(SHARING, out, partial(experiment.run, plan))


@run.command()
@_quick_option()
@_run_options
def arguments(quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """What argument snapshots gain, by the share of the computation that is common.

    Both isolations. Writes arguments.json, .csv, .png, .pdf and arguments.md. --store and
    --isolation have no effect here.
    """
    rounds = arguments_experiment.QUICK_ROUNDS if quick else arguments_experiment.ROUNDS
    plan = arguments_experiment.Plan(settings, rounds, _seed(seed))
    _carry_out(ARGUMENTS, out, partial(arguments_experiment.run, plan))


@run.command()
@_scale_option(
    throughput_experiment.SCALES,
    "How many calls, clients, functions and rounds; full is what the paper ran.",
)
@_run_options
def throughput(scale: str, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Calls per second over 2^k functions: a SEUSS node beside pools of containers.

    The pools are podman's and crun's (`make peers` installs both); one that cannot run here is a
    row with the reason. --memory sets the memory of each node; --cores, --store and --isolation
    have no effect: a node has the host's processors, as the pools have.

    \b
    Writes into the folder:
      throughput.json  every call's latency, paths and errors by trial, the environment
      throughput.csv   a row per call
      throughput.png, throughput.pdf
      throughput.md    verdicts, our figures beside the paper's
    """
    plan = throughput_experiment.Plan(settings, throughput_experiment.SCALES[scale], _seed(seed))
    _carry_out(THROUGHPUT, out, partial(throughput_experiment.run, plan))


@run.command()
@_scale_option(
    burst_experiment.SCALES,
    "Intervals, bursts and calls; full has the paper's, default a quarter of them.",
)
@_run_options
def burst(scale: str, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Bursts of calls of new functions over a steady background: SEUSS beside container pools.

    CPU-bound and IO-bound functions; these call a local server that answers late. The pools are
    podman's and crun's (`make peers` installs both); one that cannot run here is a row with the
    reason. --memory sets the memory of each node; --cores, --store and --isolation have no
    effect: a node has the host's processors, as the pools have.

    \b
    Writes into the folder:
      burst.json  every call: when it was due, latency, path, error; the environment
      burst.csv   the same, a row per call
      burst.png, burst.pdf
      burst.md    verdicts, latencies, what failed
    """
    plan = burst_experiment.Plan(settings, burst_experiment.SCALES[scale], _seed(seed))
    _carry_out(BURST, out, partial(burst_experiment.run, plan))


@run.command()
@_quick_option()
@_run_options
def network_throughput(
    quick: bool, out: pathlib.Path | None, seed: int | None, settings: Settings
) -> None:
    """One download of 64 MiB by a function, beside a Linux guest in the same QEMU.

    `make peers` installs what the guest needs; if it cannot run here, its row has the reason.
    Writes network-throughput.json, .csv, .png, .pdf and .md. --store and --isolation have no effect
    here.
    """
    rounds = network_experiment.QUICK_ROUNDS if quick else network_experiment.ROUNDS
    plan = network_experiment.Plan(settings, rounds, _seed(seed))
    _carry_out(NETWORK_THROUGHPUT, out, partial(network_experiment.run, plan))


@run.command()
@_quick_option("Fewer rounds, functions and stopped calls.")
@_out_option
@_seed_option
def micro_latency(quick: bool, out: pathlib.Path | None, seed: int | None) -> None:
    """Micro's Table 1: functions as processes and as libraries, warm and cold.

    Native code and a native load generator; needs `make micro` and two cores. Also throughput, and
    the memory of 5,000 distinct resident functions (500 with --quick).

    \b
    Writes into the folder:
      micro-latency.json  every sample, the environment
      micro-latency.csv   the same as rows
      micro-latency.png, micro-latency.pdf
      micro-latency.md    verdicts, our figures beside the paper's
    """
    experiment = micro_latency_experiment
    rounds = experiment.QUICK_ROUNDS if quick else experiment.ROUNDS
    plan = MicroPlan(rounds, _seed(seed), quick, *two_cores())
    _carry_out(MICRO_LATENCY, out, partial(experiment.run, plan))


@run.command()
@_quick_option("Fewer rounds, functions and stopped calls.")
@_out_option
@_seed_option
def micro_preemption(quick: bool, out: pathlib.Path | None, seed: int | None) -> None:
    """What stopping native functions costs, how fast it is, and which workers survive it.

    Native code and a native load generator; needs `make micro` and two cores.

    \b
    Writes into the folder:
      micro-preemption.json  every sample, the environment
      micro-preemption.csv   the same as rows
      micro-preemption.png, micro-preemption.pdf
      micro-preemption.md    verdicts, throughput by quantum beside the paper's and a bare loop's
    """
    experiment = micro_preemption_experiment
    rounds = experiment.QUICK_ROUNDS if quick else experiment.ROUNDS
    plan = MicroPlan(rounds, _seed(seed), quick, *two_cores())
    _carry_out(MICRO_PREEMPTION, out, partial(experiment.run, plan))


@experiments.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=pathlib.Path))
def report(folder: pathlib.Path) -> None:
    """Write reports and plots of FOLDER again from the raw data in it, of whatever experiment.

    Also for a run that was cut off: what was measured until then is all there.
    """
    if not any(each.raw(folder).exists() for each in EXPERIMENTS):
        names = ", ".join(f"{each.name}.json" for each in EXPERIMENTS)
        raise click.BadParameter(f"{folder} has no raw data of an experiment: none of {names}")
    try:
        verdicts = run_report.write(folder)
    except ValueError as error:
        raise click.BadParameter(f"{error}. Run the experiment again.") from error
    for checks in verdicts.values():
        _say(checks)
    click.echo(folder / "report.md")
    click.echo(folder / "report.html")


@experiments.command()
@click.argument("run_a", type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path))
@click.argument("run_b", type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path))
def compare(run_a: pathlib.Path, run_b: pathlib.Path) -> None:
    """Show what changed from the results folder RUN_A to RUN_B beyond noise.

    Rank test by series, adjusted for their number; ratios of medians with intervals.
    """
    found = comparison.compare(run_a, run_b)
    click.echo(comparison.render(found, str(run_a), str(run_b)), nl=False)


@experiments.command()
@click.option(
    "--scale",
    type=click.Choice([each.value for each in Scale]),
    default=Scale.DEFAULT.value,
    show_default=True,
    help="quick ends within 10 minutes, default within 45, full takes as long as it takes.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    help="Folder for the results.  [default: that of a run cut off, else results/<time>]",
)
@click.option("--seed", type=int, help="Seed of a new run.  [default: a random one]")
@settings_options
def suite(scale: str, out: pathlib.Path | None, seed: int | None, settings: Settings) -> None:
    """Run every experiment, and write report.md and report.html.

    A run that was cut off goes on where it stopped when it is started again, at the same scale and
    commit (changes in the checkout are another commit): experiments whose raw data is there are not
    run again. One that cannot run here is named in the report with the reason. --store and
    --isolation have no effect.
    """
    folder = out or suite_experiments.choose_folder(pathlib.Path("results"), Scale(scale))
    with suite_experiments.alone(folder):
        state = suite_experiments.begin(folder, Scale(scale), seed)
        click.echo(f"scale {state.scale}, results go to {folder}", err=True)
        progress.run(suite_experiments.run(folder, state, settings, _Bars))
        verdicts = run_report.write(folder)
    for name, checks in verdicts.items():
        click.echo(name)
        _say(checks)
    for name, reason in state.failures.items():
        click.echo(f"{name} did not run: {reason}", err=True)
    click.echo(folder / "report.html")


def _results_folder(out: pathlib.Path | None, experiment: Experiment[Record]) -> pathlib.Path:
    """Return the folder for an experiment's results, made if need be; BadParameter says why not."""
    folder = out or pathlib.Path("results") / time.strftime("%Y-%m-%dT%H-%M-%S")
    if experiment.raw(folder).exists():
        raise click.BadParameter(
            f"{folder} holds the results of another run. Name another folder.", param_hint="--out"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"{folder} cannot be made ({error.strerror}). Name another folder.", param_hint="--out"
        ) from error
    return folder


def _seed(seed: int | None) -> int:
    return secrets.randbelow(2**31) if seed is None else seed


class _Bars:
    """Shows what the experiment reports: a bar for each stage, on a terminal only."""

    def __init__(self, experiment: str) -> None:
        self._experiment = experiment
        self._steps = 0
        self._bar = progress.Progress("", 0)

    def __call__(self, label: str, done: int, steps: int) -> None:
        if steps != self._steps:
            self._bar.close()
            self._steps = steps
            self._bar = progress.Progress(self._experiment, steps)
        self._bar.show(done, label)
        if done + 1 == steps:
            self._bar.close()


def _say(checks: Sequence[Check]) -> None:
    for item in checks:
        measured = "not measured" if item.value is None else f"{item.value:.3g} {item.unit}"
        verdict = item.verdict if item.passed is not None else "-"
        why = f"; not judged: {item.unjudged}" if item.unjudged else ""
        click.echo(f"{verdict:4} {item.promise}: {measured} ({item.bound}{why})")
