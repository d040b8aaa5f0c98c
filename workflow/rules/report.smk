rule report:
    """Make the page that sums up all runs, with its figures and numbers."""
    input:
        all_products,
    output:
        page=report(
            product("report"),
            category="Summary",
            caption="../report/page.rst",
            labels={"content": "page"},
        ),
        figures=[
            report(
                f"{RESULTS}/{figure}",
                category="Figures",
                subcategory=Path(figure)
                .parent.relative_to(report_names.FOLDER)
                .as_posix(),
                caption=f"../report/{Path(figure).stem}.rst",
                labels={"figure": Path(figure).stem},
            )
            for figure in FIGURES
        ],
        numbers=[f"{RESULTS}/{table}" for table in NUMBERS],
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: at_most(
            "node_mem_mb", attempt * (2000 + 0.5 * input.size_mb)
        ),
        runtime=lambda wildcards, input, attempt: at_most(
            "walltime", attempt * (30 + 0.03 * input.size_mb)
        ),
    params:
        parameters=parameters("report"),
        fingerprint=fingerprint("report"),
        results=results_folder,
        runs=runs.ranges(RUNS),
    shell:
        "spyral_core report --runs {params.runs:q} --parameters {params.parameters:q}"
        " --results={params.results:q} > {log:q} 2>&1"
