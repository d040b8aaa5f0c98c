rule hypotheses:
    """Fit the equation of motion to a run's clusters under each species that is listed."""
    input:
        **sources("hypotheses"),
    output:
        **products("hypotheses"),
    log:
        per_run("hypotheses", "log"),
    benchmark:
        per_run("hypotheses", "tsv")
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("hypotheses"),
        runtime=minutes("hypotheses"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("hypotheses"),
        fingerprint=fingerprint("hypotheses"),
        results=results_folder,
    shell:
        "spyral_core hypotheses --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
