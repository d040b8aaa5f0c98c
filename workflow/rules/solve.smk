rule solve:
    """Fit the equation of motion to a run's clusters inside one particle gate."""
    input:
        **sources("solve"),
        gate=lambda wildcards: str(GATES[wildcards.gate]),
    output:
        **products("solve"),
    log:
        per_run("solve", "log", "{gate}/"),
    benchmark:
        per_run("solve", "tsv", "{gate}/")
    conda:
        "../../envs/environment.yaml"
    threads: WORKERS
    resources:
        mem_mb=memory("solve"),
        runtime=minutes("solve"),
        chunk_events=CHUNK_EVENTS,
    params:
        parameters=parameters("solve"),
        fingerprint=fingerprint("solve"),
        results=results_folder,
    shell:
        "spyral_core solve --run {wildcards.run} --gate={input.gate:q} --parameters {params.parameters:q}"
        " --results={params.results:q}"
        " --threads {threads} --chunk-events {resources.chunk_events} > {log:q} 2>&1"
