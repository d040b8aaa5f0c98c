rule simulate:
    """Simulate a run of the embedded experiment: traces, and the truth beside them."""
    input:
        **sources("simulate"),
    output:
        **products("simulate"),
    log:
        per_run("simulate", "log"),
    benchmark:
        per_run("simulate", "tsv")
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("simulate"),
        runtime=minutes("simulate"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("simulate"),
        fingerprint=fingerprint("simulate"),
        results=results_folder,
    shell:
        "spyral_core simulate --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
