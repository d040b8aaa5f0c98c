rule species:
    """Find the probability of each species for a run's clusters, from all of them together."""
    input:
        **sources("species"),
    output:
        **products("species"),
    log:
        per_run("species", "log"),
    benchmark:
        per_run("species", "tsv")
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=memory("species"),
        runtime=minutes("species"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("species"),
        fingerprint=fingerprint("species"),
        results=results_folder,
    shell:
        "spyral_core species --run {wildcards.run} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
