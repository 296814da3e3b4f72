"""The Ray cluster: found or started, and a class mapped over rows in a pool of its actors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BackendError, MissingDependencyError, OptionError
from ..system.child import child_path
from ..system.extras import pip_install


@dataclass(frozen=True)
class Cluster:
    """Where Ray is, and how much of it to take.

    Attributes:
        address: ``local`` (start Ray here, and stop it afterwards), ``auto`` (the cluster that this
            machine belongs to), ``host:port`` or ``ray://host:port``. Every machine needs vhash-sdk,
            and the paths must mean the same everywhere.
        actors: actors at work; None: as many as the CPUs or GPUs of the cluster allow.
        cpus_per_actor, gpus_per_actor: what Ray sets aside for each.
    """

    address: str = "local"
    actors: int | None = None
    cpus_per_actor: float = 1
    gpus_per_actor: float = 0

    def __post_init__(self) -> None:
        if (
            (self.actors is not None and self.actors < 1)
            or self.cpus_per_actor <= 0
            or self.gpus_per_actor < 0
        ):
            raise OptionError(f"{self}: actors and CPUs are above 0, GPUs not below")


_BLOCKS = 2000  # of rows: enough to balance any cluster, few enough for Ray to keep account of
_OBJECT_STORE = 256 << 20  # what passes through it here are names and counts


def map_rows(
    cluster: Cluster, work: type[Any], arguments: tuple[Any, ...], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Run each row through ``work(*arguments)`` in a pool of actors; results come as they are ready.

    An actor that dies is replaced, and the rows that it had are run again: ``work`` must give the same
    result when it is run twice.

    Raises:
        BackendError: Ray cannot be started or reached, or an actor raised.
    """
    with _connected(cluster) as ray:
        import ray.data as ray_data

        context = ray_data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.target_max_block_size = 1 << 20  # else Ray sets aside 128 MiB for each result
        with ray_data.DataContext.current(context):
            size = cluster.actors or _actors(ray, cluster)
            try:
                data = ray_data.from_items(list(rows), override_num_blocks=min(len(rows), _BLOCKS))
                results = data.map_batches(
                    work,
                    fn_constructor_args=arguments,
                    batch_size=1,
                    compute=ray_data.ActorPoolStrategy(min_size=1, max_size=min(size, len(rows))),
                    num_cpus=cluster.cpus_per_actor,
                    num_gpus=cluster.gpus_per_actor,
                )
                yield from results.iter_rows()
            except ray.exceptions.RayError as error:
                cause = str(error).strip().splitlines()
                raise BackendError(f"Ray at {cluster.address}: {cause[-1] if cause else error!r}") from error


def _actors(ray: Any, cluster: Cluster) -> int:
    resources = ray.cluster_resources()
    by_cpu = resources.get("CPU", 0) / cluster.cpus_per_actor
    by_gpu = resources.get("GPU", 0) / cluster.gpus_per_actor if cluster.gpus_per_actor else by_cpu
    if (size := int(min(by_cpu, by_gpu))) < 1:
        raise BackendError(
            f"Ray at {cluster.address} has {resources.get('CPU', 0):g} CPUs and "
            f"{resources.get('GPU', 0):g} GPUs, not enough for one actor of {cluster.cpus_per_actor:g} and "
            f"{cluster.gpus_per_actor:g}"
        )
    return size


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected; what was started here is stopped again."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about our users goes to anybody
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(f"Ray is not installed; {pip_install('ray')}") from error
    if ray.is_initialized():
        yield ray
        return
    job = ray.job_config.JobConfig()
    # this is how Ray can be told not to look for modules in the current directory, which is where the
    # videos are
    job._client_job = True
    options: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False, "job_config": job}
    if cluster.address == "local":
        from ..runtime.onnx import usable_cores

        options |= {
            "num_cpus": usable_cores(),
            "object_store_memory": _OBJECT_STORE,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        with _path_for_children():
            ray.init(address=cluster.address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise BackendError(f"Ray at {cluster.address}: {error}; is the cluster up?") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _path_for_children() -> Iterator[None]:
    """What a Ray that is started here inherits: where modules are, without the current directory."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(child_path(("vhash_sdk", "numpy", "av")))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
