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
    flag(fetch, "--list", "list the record's files and their sizes, without downloading")
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
    from degu_tf.data.zenodo import archives
    from degu_tf.data.zenodo import record as zenodo

    record = zenodo.read_record(options.record or zenodo.DOI)
    if options.list:
        say(zenodo.listing(record))
        return
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
