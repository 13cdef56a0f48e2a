"""Look up: models, lexicons, prompts, scores."""

from pathlib import Path
from typing import Annotated

import typer

from birthmark.cli import options as opt
from birthmark.cli.app import LOOK_UP, app, examples

models = typer.Typer(no_args_is_help=True, help="The models that birthmark knows by name.")
lexicons = typer.Typer(no_args_is_help=True, help="Words by category: the bundled ones, the validated ones, your own.")
prompts = typer.Typer(no_args_is_help=True, help="The questions that models are asked.")
scores = typer.Typer(no_args_is_help=True, help="Score tables on disk.")
for name, group in (("models", models), ("lexicons", lexicons), ("prompts", prompts), ("scores", scores)):
    app.add_typer(group, name=name, rich_help_panel=LOOK_UP)


@models.command(
    "list",
    epilog=examples(
        "birthmark models list --kind reward",
        "birthmark models list --family Gemma --loadable",
        "birthmark models list --set study",
        "birthmark models list --search skywork --json",
    ),
)
def list_models(
    kind: Annotated[str | None, typer.Option(metavar="reward|logprob", help="Only models of this kind.")] = None,
    family: Annotated[str | None, typer.Option(help="Only models of this family.")] = None,
    head: Annotated[str | None, typer.Option(help="Only reward models with this head: linear, armorm, …")] = None,
    stage: Annotated[str | None, typer.Option(metavar="pretrained|instruct|reward", help="Only this stage.")] = None,
    team: Annotated[str | None, typer.Option(help="Only models of this team.")] = None,
    base_checkpoint: Annotated[str | None, typer.Option(help="Only models that were tuned from this one.")] = None,
    catalog_set: Annotated[str | None, typer.Option("--set", metavar="NAME", help="Only those of a set.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only models with this in any fact.")] = None,
    loadable: Annotated[
        bool, typer.Option("--loadable/--all", help="Leave out those that need foreign code or pickles.")
    ] = False,
    catalog: opt.Catalog = None,
    as_json: opt.Json = False,
) -> None:
    """List the catalog; several filters hold together, capitals do not matter."""
    from birthmark.cli.show import print_json
    from birthmark.cli.show_models import print_models
    from birthmark.inputs.catalog import load_catalog, load_set, select

    wanted = {
        "kind": kind,
        "family": family,
        "head": head,
        "stage": stage,
        "team": team,
        "base_checkpoint": base_checkpoint,
    }
    members = load_set(catalog_set, catalog) if catalog_set else None
    entries = select(load_catalog(catalog), wanted, members=members, text=search, loadable=loadable)
    print_json([entry.model_dump(mode="json") for entry in entries]) if as_json else print_models(entries)


@models.command(
    "show",
    epilog=examples(
        "birthmark models show skywork-reward-v2-llama-3.1-8b", "birthmark models show gemma-3-270m --json"
    ),
)
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A catalog name or hub id.")],
    catalog: opt.Catalog = None,
    as_json: opt.Json = False,
) -> None:
    """All that the catalog knows of one model, where each fact is from, and the memory that it takes."""
    from birthmark.api import model_facts
    from birthmark.cli.show import print_json
    from birthmark.cli.show_models import print_model

    facts = model_facts(name, catalog=catalog)
    print_json(facts) if as_json else print_model(facts)


@models.command("sets", epilog=examples("birthmark models sets", "birthmark audit --catalog-set study --dry-run"))
def list_sets(catalog: opt.Catalog = None, as_json: opt.Json = False) -> None:
    """The named sets of models that `birthmark audit --catalog-set NAME` runs one after another."""
    from birthmark.cli.show import print_json, print_rows
    from birthmark.inputs.catalog import load_sets

    sets = load_sets(catalog)
    if as_json:
        print_json({name: list(members) for name, members in sets.items()})
    else:
        print_rows(("set", "models"), [(name, ", ".join(members)) for name, members in sets.items()])


@models.command("fetch", epilog=examples("birthmark models fetch smollm2-135m-instruct"))
def fetch_model(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A catalog name or hub id.")],
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    quiet: opt.Quiet = False,
) -> None:
    """Fetch a model into the cache, and print its folder."""
    from birthmark.api import resolve

    print(resolve(name, revision=revision, catalog=catalog, quiet=quiet).path)


@models.command("check", epilog=examples("birthmark models check smollm2-135m-instruct"))
def check_model(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A catalog name, a hub id or a folder.")],
    dtype: opt.Dtype = None,
    device: opt.Device = None,
    template_date: opt.TemplateDate = None,
    revision: opt.Revision = None,
    catalog: opt.Catalog = None,
    chat_template: opt.ChatTemplate = None,
    kind: opt.As = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
) -> None:
    """Try on one model every trap that can falsify scores; exit code 3 where something is wrong."""
    from birthmark.cli.show import print_json
    from birthmark.cli.show_inspections import print_check
    from birthmark.errors import CheckFailed
    from birthmark.inspections import check_model as run

    found = run(
        name,
        dtype=dtype,
        device=device,
        template_date=template_date,
        revision=revision,
        catalog=catalog,
        chat_template=chat_template,
        kind=kind,
        quiet=quiet or as_json,
    )
    print_json(found.model_dump(mode="json")) if as_json else print_check(found)
    if found.wrong:
        raise CheckFailed(f"{found.model}: {found.wrong} of {len(found.findings)} findings are wrong")


Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="MODEL", help="Count single tokens of this model; repeatable.")
]


@lexicons.command("list", epilog=examples("birthmark lexicons list"))
def list_lexicons(as_json: opt.Json = False) -> None:
    """List the lexicons that go by name."""
    from birthmark.cli.show import print_json, print_rows
    from birthmark.inputs.named_lexicons import NAMED

    if as_json:
        print_json(
            [{"name": item.name, "validated": item.validated, "citation": item.citation} for item in NAMED.values()]
        )
    else:
        rows = [(item.name, "yes" if item.validated else "no", item.citation) for item in NAMED.values()]
        print_rows(("name", "validated", "citation"), rows)


@lexicons.command(
    "show",
    epilog=examples("birthmark lexicons show starter", "birthmark lexicons show starter --model smollm2-135m-instruct"),
)
def show_lexicon(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A lexicon's name or file.")],
    model: Models = None,
    words: Annotated[bool, typer.Option("--words", help="Print every word as well.")] = False,
    as_json: opt.Json = False,
) -> None:
    """A lexicon's citation, licence, validation, size by category, and words that are single tokens."""
    from birthmark.api import token_texts
    from birthmark.cli.show import print_fields, print_json
    from birthmark.inputs.lexicon_check import single_tokens
    from birthmark.inputs.lexicons import load_lexicon

    lexicon = load_lexicon(name)
    facts: dict[str, object] = {
        "name": lexicon.name,
        "validated": lexicon.validated,
        "citation": lexicon.citation,
        "licence": lexicon.licence,
        "source": lexicon.source,
        "words": len(lexicon.words),
        "stems": len(lexicon.stems),
        "sizes": lexicon.sizes(),
    }
    if model:
        facts["single_tokens"] = {each: single_tokens(lexicon, token_texts(each)) for each in model}
    if words:
        facts["entries"] = {word: list(categories) for word, categories in lexicon.entries.items()}
    print_json(facts) if as_json else print_fields(facts)


@lexicons.command("check", epilog=examples("birthmark lexicons check my-words.csv"))
def check_lexicon_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A lexicon of your own, or a lexicon's name.")],
    model: Models = None,
    as_json: opt.Json = False,
) -> None:
    """Tell an author what is wrong with a lexicon (a CSV file `word,category`, say); exit code 3 where something keeps it from being read."""
    from birthmark.api import token_texts
    from birthmark.cli.show import print_json
    from birthmark.errors import CheckFailed
    from birthmark.inputs.lexicon_check import check_lexicon

    findings = check_lexicon(file, {each: token_texts(each) for each in model or ()})
    if as_json:
        print_json([{"level": item.level, "message": item.message, "words": item.words} for item in findings])
    else:
        print("\n".join(map(str, findings)) or "nothing to mend")
    if errors := [item for item in findings if item.level == "error"]:
        raise CheckFailed(f"{file} has {len(errors)} {'fault' if len(errors) == 1 else 'faults'} to mend")


@prompts.command(
    "list", epilog=examples("birthmark prompts list", "birthmark prompts list --prompts christian2026 --json")
)
def list_prompts(prompts: opt.Prompts = "christian2026", as_json: opt.Json = False) -> None:
    """List a prompt set's keys, framings and texts."""
    from birthmark.cli.show import print_json, print_rows
    from birthmark.inputs.prompts import load_prompts

    loaded = load_prompts(prompts)
    if as_json:
        print_json(loaded.model_dump(mode="json"))
    else:
        rows = [(key, prompt.framing or "–", prompt.text) for key, prompt in loaded.prompts.items()]
        print_rows(("key", "framing", "text"), rows)


@prompts.command("check", epilog=examples("birthmark prompts check my-prompts.yaml"))
def check_prompts(file: Annotated[str, typer.Argument(metavar="FILE", help="A prompt set of your own.")]) -> None:
    """Read a prompt file (lines such as `key: {text: "…?", framing: positive}`) and say what it holds, or what is wrong."""
    from birthmark.inputs.prompts import load_prompts

    loaded = load_prompts(file)
    framings = [prompt.framing for prompt in loaded.prompts.values()]
    one_sided = len(set(framings)) == 1
    print(
        f"{len(framings)} prompt{'s' if len(framings) != 1 else ''}: {framings.count('positive')} positive, "
        f"{framings.count('negative')} negative" + ("; a contrast needs prompts of both framings" if one_sided else "")
    )


@scores.command("show", epilog=examples("birthmark scores show scored/scores/gemma-3-270m.parquet --csv"))
def show_scores(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A score table, or a published score CSV.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print every row as CSV.")] = False,
    as_json: opt.Json = False,
) -> None:
    """A score table's provenance and best candidates, or all of it as CSV."""
    from birthmark.cli.show import print_json, print_scores, scores_as_dict
    from birthmark.scores import read_scores

    table = read_scores(file)
    if csv:
        print(table.frame.write_csv(), end="")
    elif as_json:
        print_json(scores_as_dict(table, None))
    else:
        print_scores(table, None)


@scores.command("check", epilog=examples("birthmark scores check scored/scores/gemma-3-270m.parquet"))
def check_scores(file: Annotated[Path, typer.Argument(metavar="FILE", help="A score table.")]) -> None:
    """Prove that a score table is whole and as it was written."""
    from birthmark.scores import read_scores

    print(f"{read_scores(file)!r} is as it was written")
