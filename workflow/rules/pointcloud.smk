rule pointcloud:
    """Turn a run's traces into point clouds: pulses in space, and the ion chamber."""
    input:
        **sources("pointcloud"),
    output:
        **products("pointcloud"),
    log:
        per_run("pointcloud", "log"),
    benchmark:
        per_run("pointcloud", "tsv")
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory(1500, per_worker=500),
        runtime=minutes(20, per_gigabyte=10),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("pointcloud"),
        fingerprint=fingerprint("pointcloud"),
        results=results_folder,
        traces=traces_of_run,
    shell:
        "spyral_core pointcloud --run {wildcards.run} --parameters {params.parameters:q}"
        " --results {params.results:q} --traces {params.traces:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
