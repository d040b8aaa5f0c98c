rule survey:
    """Find what only the whole run can tell: noisy and bit-flipped pads, from a sample of its events."""
    input:
        **sources("survey"),
    output:
        **products("survey"),
    log:
        per_run("survey", "log"),
    benchmark:
        per_run("survey", "tsv")
    group:
        "run_{run}"
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("survey"),
        runtime=minutes("survey"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("survey"),
        fingerprint=fingerprint("survey"),
        results=results_folder,
        traces=traces_of_run,
    shell:
        "spyral_core survey --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q} --traces={params.traces:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
