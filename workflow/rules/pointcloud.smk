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
    group:
        "run_{run}"
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("pointcloud"),
        runtime=minutes("pointcloud"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("pointcloud"),
        fingerprint=fingerprint("pointcloud"),
        results=results_folder,
        traces=traces_of_run,
    shell:
        "spyral_core pointcloud --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q} --traces={params.traces:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
