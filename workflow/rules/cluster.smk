rule cluster:
    """Find the tracks in a run's point clouds: clusters, joined, cleaned, with their direction."""
    input:
        **sources("cluster"),
    output:
        **products("cluster"),
    log:
        per_run("cluster", "log"),
    benchmark:
        per_run("cluster", "tsv")
    group:
        "run_{run}"
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("cluster"),
        runtime=minutes("cluster"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("cluster"),
        fingerprint=fingerprint("cluster"),
        results=results_folder,
    shell:
        "spyral_core cluster --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
