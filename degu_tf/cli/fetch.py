"""`degu fetch`: data and weights that the paper's authors released."""

import argparse

from degu_tf.cli.options import flag, option, quiet_option, several, verb
from degu_tf.cli.output import check_out_folder, progress, say


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    fetch = verb(
        verbs,
        "fetch",
        "download data and weights released by the paper's authors, or another Zenodo record",
        "[NAME ...] [options]",
        "degu fetch --list",
        "degu fetch --match '*.tar.gz' --out released --unpack",
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="files of the record")
    several(fetch, "--match", "GLOB", "files whose names match, such as '*.h5'; '*' for all files")
    what = "list the record's files, their sizes and the figures they serve, without downloading; "
    flag(fetch, "--list", f"{what}offline, what is known of them")
    where = "output folder (default: a folder in $DEGU_CACHE or the user's cache)"
    option(fetch, "--out", "FOLDER", where)
    flag(fetch, "--unpack", "unpack tar and zip archives into the folder they are in")
    record = "DOI, URL or number of the record (default: the authors' newest version)"
    option(fetch, "--record", "ID", record)
    quiet_option(fetch)
    return fetch


def run(options: argparse.Namespace) -> None:
    """List a record's files, or download some and unpack them."""
    if options.out is not None and not options.list:
        check_out_folder(options.out)
    if options.list:
        _list(options.record)
        return
    from degu_tf.data.zenodo import archives
    from degu_tf.data.zenodo import record as zenodo
    from degu_tf.data.zenodo.download import Connection

    says_at_once = Connection(connects=1, timeout=(3.0, 60.0))
    record = zenodo.read_record(options.record or zenodo.DOI, connection=says_at_once)
    files = zenodo.fetch(
        options.names,
        options.match or (),
        options.out,
        record=record,
        progress=progress(options),
    )
    for file in files:
        say(f"{file}")
        if options.unpack and archives.is_archive(file):
            unpacked = archives.unpack(file, file.parent, progress=progress(options))
            say(f"  {len(unpacked)} files unpacked into {file.parent}")


def _list(number: str | None) -> None:
    """List the files of a record, asking Zenodo once; offline, what is known of the authors'."""
    from degu_tf.data.zenodo import known_files
    from degu_tf.data.zenodo import record as zenodo
    from degu_tf.data.zenodo.download import Connection, UnreachableError

    at_once = Connection(attempts=1, timeout=(3.0, 10.0))
    try:
        record = zenodo.read_record(number or zenodo.DOI, connection=at_once)
    except UnreachableError as error:
        if number is not None:
            raise
        reason = str(error).split(". ")[0]
        say(f"Offline: {reason}")
        say(f"What is known of the authors' record, {zenodo.DOI}, without asking it:")
        say(known_files.known_listing())
        return
    say(zenodo.listing(record, known_files.figures_of if number is None else None))
