include: "workflow/Snakefile"


rule default:
    """What `snakemake` without a target makes: the report, and so everything."""
    default_target: True
    input:
        rules.all.input,
    localrule: True
