rule estimate:
    """Estimate vertex, angles, rigidity and energy loss of a run's clusters."""
    input:
        **sources("estimate"),
    output:
        **products("estimate"),
    log:
        per_run("estimate", "log"),
    benchmark:
        per_run("estimate", "tsv")
    group:
        "run_{run}"
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("estimate"),
        runtime=minutes("estimate"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("estimate"),
        fingerprint=fingerprint("estimate"),
        results=results_folder,
    shell:
        "spyral_core estimate --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
